//! The real binary's verbs on an embedded folder that no service has open: what they print, and how they exit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::harness::Serving;
use crate::instance::uuid_of;

mod audit;
mod import;
mod whole;

/// How a verb ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// What it wrote, of a verb that must have done its work.
    fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    fn value(self) -> Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// What it wrote to say why it failed, which it must have, by this exit code.
    fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        self.err
    }
}

/// A folder of files, and a data folder in it.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn file(&self, name: &str, content: &str) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    /// Runs a verb in the folder of files.
    fn run(&self, line: &str) -> Ended {
        self.run_with(line, &[])
    }

    /// The same, with this in its environment.
    fn run_with(&self, line: &str, environment: &[(&str, &str)]) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_copydesk"))
            .args(line.split(' '))
            .current_dir(self.0.path())
            .env_remove("COPYDESK_SERVER")
            .env_remove("COPYDESK_TOKEN")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Sends commands as somebody, each accepted.
    fn send(&self, actor: &str, commands: &[Value]) -> Vec<Value> {
        self.file(
            "commands.jsonl",
            &commands.iter().map(|command| format!("{command}\n")).collect::<String>(),
        );
        let answers = self.run(&format!("send commands.jsonl --data data --as {actor}")).done();
        answers.lines().map(|answer| serde_json::from_str(answer).unwrap()).collect()
    }

    /// A story that went out: its article.
    fn published(&self) -> Uuid {
        let draft = json!({"id": Uuid::new_v4(), "type": "draft", "data": {
            "slug": "rivers", "language": "en", "section": "world/asia", "headline": "Rivers rise",
            "blocks": [{"kind": "paragraph", "text": "A river rose."}]}});
        let article = uuid_of(&self.send("ana", &[draft])[0]["article"]);
        for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
            self.send(actor, &[json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": 1})]);
        }
        article
    }

    fn events(&self) -> Vec<Value> {
        lines(&self.run("replay --data data").done())
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn stories_are_imported_once() {
    let desk = Desk::new();
    desk.file(
        "story.md",
        "---\nheadline: Rivers rise\nsection: world/asia\nmediatopics: [medtop:20000065]\nlanguage: de\n---\n\nOne *river* rose.\n\n> Higher than ever.\n",
    );
    let named = Uuid::new_v4();
    let first = json!({"data": {"headline": "Two words", "markdown": "Words."}});
    let second =
        json!({"id": named, "type": "draft", "data": {"slug": "s", "language": "en", "headline": "Named"}});
    desk.file("lines.jsonl", &format!("{first}\n\n{second}\n"));

    let said = desk.run("import story.md lines.jsonl --data data --as ana").done();
    let said: Vec<Vec<&str>> = said.lines().map(|line| line.split(' ').collect()).collect();
    let [story, one, two] = &said[..] else { panic!("{said:?}") };
    let (names, slugs) =
        (["story.md:", "lines.jsonl:1:", "lines.jsonl:3:"], ["rivers-rise", "two-words", "s"]);
    for (line, (name, slug)) in [story, one, two].into_iter().zip(names.into_iter().zip(slugs)) {
        assert_eq!((line[0], &line[1..3], line[4]), (name, &["imported", "as"][..], slug));
    }
    let events = desk.events();
    assert_eq!((events.len(), &events[3]["command"]), (4, &json!(named)), "the newsroom and three drafts");

    let shown = desk.run(&format!("show {} --json --data data", story[3])).value();
    let fields = &shown["fields"];
    assert_eq!(
        [&fields["headline"], &fields["section"], &fields["language"], &fields["subjects"]],
        [&json!("Rivers rise"), &json!("world/asia"), &json!("de"), &json!(["medtop:20000065"])]
    );
    let blocks = shown["blocks"].as_array().unwrap();
    let blocks: Vec<_> = blocks.iter().map(|block| (&block["kind"], &block["text"])).collect();
    let expected =
        [(json!("paragraph"), json!("One *river* rose.")), (json!("quote"), json!("Higher than ever."))];
    assert_eq!(blocks, expected.each_ref().map(|(kind, text)| (kind, text)));
    let filled = desk.run(&format!("show {} --json --data data", one[3])).value();
    assert_eq!(filled["fields"]["language"], "en", "from the configuration");

    let again = desk.run("import story.md lines.jsonl --data data --as ana").done();
    for (line, first) in again.lines().zip(&said) {
        assert_eq!(line, format!("{} already imported as {} {}", first[0], first[3], first[4]));
    }
    let answers = lines(&desk.run("import lines.jsonl story.md --data data --as ana --json").done());
    for (answer, first) in answers.iter().zip([one, two, story]) {
        assert_eq!((&answer["imported"], &answer["answer"]["duplicate"]), (&json!(true), &json!(true)));
        assert_eq!(answer["answer"]["article"], first[3]);
    }
    assert_eq!((answers.len(), desk.events()), (3, events), "nothing was added");
}

#[test]
fn what_can_not_be_imported_is_said_and_the_rest_is_imported() {
    let desk = Desk::new();
    desk.file("story.md", "---\nheadline: Rivers rise\n---\nWords.");
    desk.file("open.md", "---\nheadline: Rivers rise\nWords.");
    desk.file(
        "lines.jsonl",
        "{\"data\":{\"headline\":\"Good\"}}\n{\"id\":1,\"id\":2}\n{\"data\":{\"headlin\":\"x\"}}\n",
    );
    desk.file("story.txt", "Words.");
    let files = "open.md lines.jsonl story.txt nowhere.md story.md";
    let ended = desk.run(&format!("import {files} --data data --as ana"));
    assert_eq!(ended.code, Some(1));
    let imported: Vec<_> = ended.out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(imported, ["lines.jsonl:1:", "story.md:"]);
    let complaints: Vec<_> = ended.err.lines().collect();
    let expected = [
        "open.md: the front matter isn't closed",
        "lines.jsonl:2: ",
        "lines.jsonl:3: refused: 400 unknown_field",
        "story.txt: what is it?",
        "nowhere.md: it can't be read",
    ];
    assert_eq!(complaints.len(), expected.len(), "{complaints:#?}");
    for (said, expected) in complaints.iter().zip(expected) {
        assert!(said.starts_with(expected), "{said}");
    }
    assert!(complaints[2].ends_with("did you mean `headline`?"), "{complaints:#?}");

    let others = lines(&desk.run(&format!("import {files} --data data --as emil --json")).out);
    assert!(others.len() == 7 && others.iter().all(|other| other["imported"] == false), "{others:#?}");
    for known in [&others[1], &others[6]] {
        assert_eq!(known["problem"]["code"], "id_reused", "what somebody else imported is theirs");
    }
    assert!(desk.run("import story.md --data data").failed(2).contains("--as ACTOR"));
    assert!(desk.run("import --data data --as ana").failed(2).contains("<FILES>"));
    assert_eq!(desk.events().len(), 3);
}

#[test]
fn the_state_is_rebuilt_from_the_log_whatever_became_of_it() {
    let desk = Desk::new();
    let article = desk.published();
    desk.send(
        "ana",
        &[json!({"id": Uuid::new_v4(), "type": "draft", "data": {"slug": "s", "language": "en"}})],
    );
    let look = || {
        ["board", &format!("show {article}"), &format!("history {article}"), &format!("gate {article}")]
            .map(|verb| desk.run(&format!("{verb} --data data --json")).value())
    };
    let (shown, log, state) = (look(), desk.data().join("log"), desk.data().join("state"));
    // Looking signs what was folded and not yet under a checkpoint.
    let but_checkpoints = |mut files: std::collections::BTreeMap<_, _>| {
        files.retain(|path: &PathBuf, _: &mut Vec<u8>| !path.to_string_lossy().contains("checkpoints"));
        files
    };
    let before = but_checkpoints(files(&log));
    let read = |path: &Path| std::fs::read(path).unwrap();
    type Harm<'a> = (&'static str, &'a dyn Fn());
    let other = Desk::new();
    other.published();
    let harms: [Harm<'_>; 5] = [
        ("as it was", &|| ()),
        ("another log's", &|| {
            std::fs::remove_dir_all(&state).unwrap();
            std::fs::rename(other.data().join("state"), &state).unwrap();
            assert!(desk.run("board --data data").failed(1).contains("another log"));
        }),
        ("deleted", &|| std::fs::remove_dir_all(&state).unwrap()),
        ("cut", &|| {
            let whole = read(&state.join("db"));
            std::fs::write(state.join("db"), &whole[..whole.len() / 2]).unwrap();
        }),
        ("scribbled over", &|| {
            let whole = read(&state.join("db"));
            let scribbled = whole.iter().enumerate().map(|(n, b)| if n % 97 == 5 { !b } else { *b });
            std::fs::write(state.join("db"), scribbled.collect::<Vec<u8>>()).unwrap();
        }),
    ];
    for (what, harm) in harms {
        harm();
        assert_eq!(desk.run("rebuild --data data").done(), "Folded 6 events into 2 articles.\n", "{what}");
        assert_eq!(look(), shown, "{what}");
    }
    std::fs::remove_dir_all(&state).unwrap();
    assert_eq!(desk.run("rebuild --data data --json").value(), json!({"articles": 2, "events": 6}));
    assert_eq!(look(), shown);
    assert!(but_checkpoints(files(&log)) == before, "the log isn't touched");

    assert!(desk.run("rebuild").failed(2).contains("--data DIR or --config F"));
    assert!(desk.run("rebuild --data nowhere").failed(1).contains("there is no folder nowhere"));
    assert!(!desk.0.path().join("nowhere").exists());
}

#[test]
fn a_folder_that_a_service_has_open_is_neither_rebuilt_nor_read() {
    let serving = Serving::embedded();
    let desk = Desk::new();
    for verb in ["rebuild", "board", "replay"] {
        let why = desk.run(&format!("{verb} --data {}", serving.data().display())).failed(1);
        assert!(why.contains("another process has the log"), "{why}");
    }
    assert_eq!(serving.get("carl", "/v1/articles").0, 200, "it works on");
}

#[test]
fn an_option_that_names_a_desk_wins_over_the_environment() {
    let desk = Desk::new();
    desk.published();
    let chief = "[people.carl]\nroles = [\"chief\"]\n";
    desk.file(
        "copydesk.toml",
        &format!("[http]\nlisten = \"127.0.0.1:1\"\n[store]\npath = \"data\"\n{chief}"),
    );
    let run = |line: &str| desk.run_with(line, &[("COPYDESK_SERVER", "http://127.0.0.1:2")]);
    assert!(run("backup kept --data data").done().contains("5 events"));
    assert!(run("recover kept --data back").done().contains("5 events"));
    assert!(run("verify --config copydesk.toml").done().contains("Verified 5 events"));
    assert!(run("reload --config copydesk.toml").done().contains("version 2"));
    assert!(run("board --data data").done().contains("Rivers rise"));
    let asked = [("board", 2), ("board --config copydesk.toml", 1), ("board --server http://127.0.0.1:3", 3)];
    for (line, port) in asked {
        let why = run(line).failed(1);
        assert!(why.contains(&format!("no answer from http://127.0.0.1:{port}")), "{why}");
    }
    assert!(run("backup kept --data data --server http://127.0.0.1:3").failed(2).contains("--data DIR"));
    desk.file("any.toml", &format!("[http]\nlisten = \"127.0.0.1:0\"\n{chief}"));
    assert!(run("board --config any.toml").failed(2).contains("say --server URL"));
}

#[test]
fn a_command_that_reached_no_service_was_not_written() {
    let desk = Desk::new();
    desk.file("command.jsonl", "{}\n");
    let sent = desk.run("send command.jsonl --server http://127.0.0.1:1");
    assert_eq!((sent.code, sent.err.as_str()), (Some(1), ""), "{}", sent.out);
    let problem: Value = serde_json::from_str(&sent.out).unwrap();
    assert_eq!(problem["code"], "log_unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("nothing was sent"), "{problem}");
}

#[test]
fn tokens_are_drawn_for_a_service_that_can_serve() {
    let desk = Desk::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let why = desk.run(&format!("serve --data data --listen {}", taken.local_addr().unwrap())).failed(1);
    assert!(why.contains("can't listen on") && !why.contains("Tokens"), "{why}");
    desk.published();
    desk.file("data/log/log", "not a log");
    let why = desk.run("serve --data data --listen 127.0.0.1:0").failed(1);
    assert!(why.contains("the log is damaged") && !why.contains("Tokens"), "{why}");
}

#[test]
fn readers_alone_are_not_served_from_an_embedded_log() {
    let desk = Desk::new();
    let why = desk.run("serve --parts feed --listen 127.0.0.1:0").failed(2);
    assert!(why.contains("--nats URL") && !why.contains("Tokens"), "{why}");
    desk.file("feed.toml", "[log]\nkind = \"nats\"\n[nats]\nurl = \"nats://127.0.0.1:1\"\n");
    assert!(desk.run("check-config feed.toml").failed(1).contains("someone must be chief"));
    assert!(desk.run("check-config feed.toml --parts feed").done().contains("good"));
}

#[test]
fn a_configuration_is_checked_whole() {
    let desk = Desk::new();
    let token = "sha256:".to_owned() + &"0".repeat(64);
    let good = format!("[desk]\nname = \"Desk\"\n[people.carl]\nroles = [\"chief\"]\ntoken = \"{token}\"\n");
    desk.file("good.toml", &good);
    assert_eq!(
        desk.run("check-config good.toml").done(),
        "good.toml: good. 1 person, embedded log in ./copydesk-data.\n"
    );
    assert_eq!(
        desk.run("check-config --json --config good.toml").value(),
        json!({"ok": true, "problems": [], "warnings": []})
    );

    desk.file(
        "bad.toml",
        &good.replace("name =", "nmae =").replace("roles =", "rolls =").replace("chief", "chef"),
    );
    let said = desk.run("check-config bad.toml").failed(1);
    for key in ["desk.nmae", "`name`", "people.carl.rolls", "`roles`"] {
        assert!(said.contains(key), "{said}");
    }
    let ended = desk.run("check-config bad.toml --json");
    assert_eq!((ended.code, ended.err.as_str()), (Some(1), ""));
    let said: Value = serde_json::from_str(&ended.out).unwrap();
    let keys: Vec<_> = said["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["key"].clone(), p["suggestion"].clone()))
        .collect();
    assert_eq!(said["ok"], false);
    assert!(keys.contains(&(json!("desk.nmae"), json!("name"))), "{keys:?}");
    assert!(keys.contains(&(json!("people.carl.rolls"), json!("roles"))), "{keys:?}");
    let why = desk.run("serve --config bad.toml").failed(1);
    assert!(why.contains("desk.nmae"), "the service doesn't start on it: {why}");

    desk.file("torn.toml", "[desk\n");
    assert!(desk.run("check-config torn.toml").failed(1).contains("line 1"));
    assert!(desk.run("check-config nowhere.toml").failed(1).contains("nowhere.toml can't be read"));
    assert!(desk.run("check-config").failed(2).contains("which file?"));
}

#[test]
fn an_embedded_folder_is_looked_into_without_a_service() {
    let desk = Desk::new();
    let article = desk.published();
    let look = |verb: &str| desk.run(&format!("{verb} --data data --json")).value();

    let board = look("board");
    let rows = board["articles"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[0]["article"], &rows[0]["status"]),
        (1, &json!(article), &json!("published"))
    );
    assert_eq!(look("board --status unpublished")["articles"], json!([]));
    let shown = look(&format!("show {article}"));
    assert_eq!(
        (&shown["version"], &shown["edition"], &shown["stage"]),
        (&json!(4), &json!(1), &json!("approved"))
    );
    let then = look(&format!("show {article} --at-version 1"));
    assert_eq!(
        (&then["version"], &then["status"], &then["stage"]),
        (&json!(1), &json!("unpublished"), &json!("draft"))
    );
    assert_eq!(look(&format!("gate {article}")), json!({"open": true, "reasons": [], "waived": []}));

    let events = desk.events();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected =
        ["newsroom.set", "article.drafted", "article.submitted", "article.approved", "article.published"];
    assert_eq!(types, expected.map(|kind| format!("copydesk.{kind}")));
    assert_eq!(look(&format!("history {article}"))["events"], json!(events[1..]));
    let replayed = |options: &str| lines(&desk.run(&format!("replay {options} --data data --json")).done());
    assert_eq!(replayed("--from 3"), events[2..]);
    assert_eq!(replayed(&format!("--article {article}")), events[1..]);
    assert_eq!(replayed(&format!("--until {}", events[3]["time"].as_str().unwrap())), events[..4]);
    assert_eq!(replayed(&format!("--article {}", Uuid::new_v4())), [] as [Value; 0]);

    let text = desk.run(&format!("show {article} --data data")).done();
    assert!(text.contains("Rivers rise") && text.contains("A river rose."), "{text}");
    assert!(desk.run(&format!("gate {article} --data data")).done().contains("The gate is open."));

    let edit = json!({"id": Uuid::new_v4(), "type": "edit", "article": article, "base": 1, "data": {
        "set": {"byline": "By Ana"}, "ops": [{"op": "replace", "block": "b1", "text": "A river never rose."}]}});
    std::fs::write(desk.0.path().join("edit.jsonl"), edit.to_string()).unwrap();
    desk.run("send edit.jsonl --data data --as ana").done();
    assert_eq!(
        desk.run(&format!("diff {article} --data data")).done(),
        "revision 1 to 2\n\nbyline  changed by ana\n  + By Ana\n\nb1  changed by ana\n  A river {+never +}rose.\n"
    );
    assert_eq!(look(&format!("diff {article} --from 2 --to 2"))["blocks"], json!([]));

    let nothing = Uuid::new_v4();
    for verb in ["show", "history", "gate", "diff"] {
        let said = desk.run(&format!("{verb} {nothing} --data data")).failed(1);
        assert!(said.contains("404 not_found"), "{said}");
        let ended = desk.run(&format!("{verb} {nothing} --data data --json"));
        let problem: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(
            (ended.code, ended.err.as_str(), &problem["code"]),
            (Some(1), "", &json!("not_found")),
            "{verb}"
        );
        desk.run(&format!("{verb} rivers --data data")).failed(2);
    }
    assert!(
        desk.run("replay --data data --as ana").failed(1).contains("403 forbidden"),
        "it takes an auditor"
    );
    assert!(desk.run("replay --from x --data data").failed(2).contains("--from"));
    assert!(desk.run("board --data nowhere").failed(1).contains("there is no folder nowhere"));
    assert!(desk.run("board --as ana").failed(2).contains("--as goes with --data"));
    assert!(!desk.0.path().join("nowhere").exists());
}
