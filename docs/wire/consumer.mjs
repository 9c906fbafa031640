// node consumer.mjs nats://localhost:4222 site ./stories [SECTION or ""] [start or now]
// Keeps each story of the wire as FOLDER/<article>.json: its newest edition, or its withdrawal. See ../WIRE.md.
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect, nanos, nkeyAuthenticator } from "@nats-io/transport-node";
import { AckPolicy, DeliverPolicy, jetstream } from "@nats-io/jetstream";

const [STREAM, SUBJECT] = ["COPYDESK_WIRE", "copydesk.wire"];
const [server, name, folder, section = "", since = "start"] = process.argv.slice(2);

// Whole or not at all, and on the disk.
function write(path, data) {
  const file = openSync(`${path}.new`, "w");
  writeFileSync(file, data);
  fsyncSync(file);
  closeSync(file);
  renameSync(`${path}.new`, path);
}

function take(message) {
  const [article, edition] = message.headers.get("Nats-Msg-Id").split("/");
  const count = Number(message.headers.get("Copydesk-Count"));
  const last = existsSync(`${folder}/count`) ? Number(readFileSync(`${folder}/count`, "utf8")) : 0;
  if (!section && (last || since === "start") && count > last + 1) {
    throw new Error(`${count - last - 1} messages are missing between ${last} and ${count}`);
  }
  const kept = `${folder}/${article}.json`;
  if (!existsSync(kept) || Number(JSON.parse(readFileSync(kept, "utf8")).version) < Number(edition)) {
    let data = message.data, readable = false;
    try {
      const item = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
      readable = item.version === edition && ["usable", "canceled"].includes(item.pubStatus);
    } catch { /* not readable */ }
    if (!readable) { // Keep it, tell someone, and go on; the headers alone can take a text down.
      write(`${folder}/unread-${count}`, data);
      console.error(`edition ${edition} of ${article} can't be read`);
      data = JSON.stringify({ version: edition, pubStatus: "canceled" });
    }
    if (readable || message.headers.get("Copydesk-Kind") === "withdrawal") write(kept, data);
  }
  write(`${folder}/count`, String(Math.max(count, last)));
}

mkdirSync(folder, { recursive: true });
const key = process.env.NATS_NKEY && new TextEncoder().encode(readFileSync(process.env.NATS_NKEY, "utf8").trim());
const connection = await connect({
  servers: server, inboxPrefix: `_INBOX.${name}`, maxReconnectAttempts: -1,
  authenticator: key ? nkeyAuthenticator(key) : undefined,
});
const subject = [SUBJECT, ...section.split("/").filter(Boolean)].join(".");
const wire = jetstream(connection);
const { consumers } = await wire.jetstreamManager(false);
await consumers.add(STREAM, {
  name, durable_name: name, ack_policy: AckPolicy.Explicit, ack_wait: nanos(10_000), max_ack_pending: 1,
  deliver_policy: since === "start" ? DeliverPolicy.All : DeliverPolicy.New,
  filter_subjects: [subject, `${subject}.>`],
});
const consumer = await wire.consumers.get(STREAM, name);
// It goes on over reconnects. What wasn't acknowledged comes again.
for await (const message of await consumer.consume({ max_messages: 1, abort_on_missing_resource: true })) {
  take(message);
  await message.ackAck().catch((error) => console.error(error.message));
}
process.exit(1); // Someone deleted the consumer.
