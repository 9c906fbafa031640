// GO111MODULE=off GOPATH=/usr/share/gocode go run consumer.go nats://localhost:4222 site ./stories [SECTION or ""] [start or now]
// Keeps each story of the wire as FOLDER/<article>.json: its newest edition, or its withdrawal. See ../WIRE.md.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const stream, subject = "COPYDESK_WIRE", "copydesk.wire"

var args = append(os.Args[1:], []string{"", "", "", "", "start"}[len(os.Args)-1:]...)
var server, name, folder, section, since = args[0], args[1], args[2], args[3], args[4]

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Whole or not at all, and on the disk.
func write(path string, data []byte) {
	file, err := os.Create(path + ".new")
	check(err)
	_, err = file.Write(data)
	check(err)
	check(file.Sync())
	check(file.Close())
	check(os.Rename(path+".new", path))
}

type item struct{ Version, PubStatus string }

func take(message *nats.Msg) {
	article, edition, _ := strings.Cut(message.Header.Get("Nats-Msg-Id"), "/")
	number, err := strconv.Atoi(edition)
	check(err)
	count, err := strconv.Atoi(message.Header.Get("Copydesk-Count"))
	check(err)
	counted, _ := os.ReadFile(filepath.Join(folder, "count"))
	last, _ := strconv.Atoi(string(counted))
	if section == "" && (last > 0 || since == "start") && count > last+1 {
		log.Fatalf("%d messages are missing between %d and %d", count-last-1, last, count)
	}
	path, have := filepath.Join(folder, article+".json"), 0
	if text, err := os.ReadFile(path); err == nil {
		var kept item
		check(json.Unmarshal(text, &kept))
		have, err = strconv.Atoi(kept.Version)
		check(err)
	}
	if have < number {
		var new item
		data, withdrawn := message.Data, message.Header.Get("Copydesk-Kind") == "withdrawal"
		readable := json.Unmarshal(data, &new) == nil && new.Version == edition &&
			(new.PubStatus == "usable" || new.PubStatus == "canceled")
		if !readable { // Keep it, tell someone, and go on; the headers alone can take a text down.
			write(filepath.Join(folder, fmt.Sprintf("unread-%d", count)), data)
			log.Printf("edition %s of %s can't be read", edition, article)
			data = []byte(fmt.Sprintf(`{"version":%q,"pubStatus":"canceled"}`, edition))
		}
		if readable || withdrawn {
			write(path, data)
		}
	}
	if count > last {
		write(filepath.Join(folder, "count"), []byte(strconv.Itoa(count)))
	}
}

func main() {
	check(os.MkdirAll(folder, 0o755))
	options := []nats.Option{nats.CustomInboxPrefix("_INBOX." + name), nats.MaxReconnects(-1)}
	if key := os.Getenv("NATS_NKEY"); key != "" {
		option, err := nats.NkeyOptionFromSeed(key)
		check(err)
		options = append(options, option)
	}
	connection, err := nats.Connect(server, options...)
	check(err)
	home := subject
	if section != "" {
		home += "." + strings.ReplaceAll(section, "/", ".")
	}
	policy := map[string]string{"start": "all", "now": "new"}[since]
	// Asked for in JSON, for the library learnt of filter_subjects only in 1.29.
	config, err := json.Marshal(map[string]any{"stream_name": stream, "config": map[string]any{
		"name": name, "durable_name": name, "ack_policy": "explicit", "ack_wait": 10 * time.Second,
		"max_ack_pending": 1, "deliver_policy": policy, "filter_subjects": []string{home, home + ".>"}}})
	check(err)
	made, err := connection.Request("$JS.API.CONSUMER.CREATE."+stream+"."+name, config, 5*time.Second)
	check(err)
	var answer struct{ Error *nats.APIError }
	check(json.Unmarshal(made.Data, &answer))
	if answer.Error != nil {
		log.Fatal(answer.Error)
	}
	wire, err := connection.JetStream()
	check(err)
	messages, err := wire.PullSubscribe("", name, nats.Bind(stream, name))
	check(err)
	for {
		got, err := messages.Fetch(1, nats.MaxWait(5*time.Second))
		if err == nil {
			take(got[0])
			err = got[0].AckSync()
		}
		if errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) {
			time.Sleep(100 * time.Millisecond) // Nothing new, or the server is away. What wasn't acknowledged comes again.
		} else {
			check(err)
		}
	}
}
