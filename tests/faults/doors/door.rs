//! A function for each door that bytes from outside come in by. Whatever they are, it neither panics nor takes long, and
//! what it says of good ones holds: what is read and written reads back the same.
//!
//! The tests beside this file knock at each with documents broken on purpose; the targets in `fuzz/` hand the same
//! functions what libFuzzer thinks of.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use copydesk::audit::{Checkpoint, Key};
use copydesk::config::token::{Expiry, TokenHash};
use copydesk::config::{Config, webhook::Secret};
use copydesk::door::Network;
use copydesk::merkle::Leaf;
use copydesk::merkle::path::TilePath;
use copydesk::{agency, config};
use copydesk_article::article::Article;
use copydesk_article::command::{Command, Context, Decision, Hints, Past, Undecided, decide};
use copydesk_article::event::{self, Frozen, Hex, Read};
use copydesk_article::ids;
use copydesk_article::newsroom::{Newsroom, NewsroomSet, Person, Role};
use copydesk_article::problem::{Code, Problem};
use copydesk_article::text::{markdown, marks};
use copydesk_article::{json, limits};
use copydesk_public::WireMessage;
use serde_json::json;

/// Bytes come in.
type Door = fn(&[u8]);

/// Every door, by the name of what comes in.
pub const DOORS: &[(&str, Door)] = &[
    ("command", command),
    ("json", any_json),
    ("markdown", document),
    ("marks", text_with_marks),
    ("event", stored_event),
    ("newsroom", newsroom_event),
    ("ninjs", agency_file),
    ("config", configuration),
    ("checkpoint", checkpoint),
    ("tile", tile),
    ("wire", wire_message),
    ("words", words),
];

/// Hands bytes to the door of that name.
pub fn knock(name: &str, bytes: &[u8]) {
    let door = DOORS.iter().find(|(of, _)| *of == name).map(|(_, door)| door);
    door.expect("there is such a door")(bytes);
}

/// The article that commands and events are of.
pub const ARTICLE: &str = "00000000-0000-0000-0000-000000000007";

/// Its events: one at least of every sort.
pub const EVENTS: &str = include_str!("../../golden/every-event.jsonl");

/// Someone with every role.
const ACTOR: &str = "carl";

fn newsroom() -> &'static Newsroom {
    static NEWSROOM: OnceLock<Newsroom> = OnceLock::new();
    NEWSROOM.get_or_init(|| {
        let roles = vec![Role::Reporter, Role::Editor, Role::Checker, Role::Publisher, Role::Chief];
        let carl = Person { roles, ..Person::default() };
        let set = NewsroomSet { people: [(ACTOR.into(), carl)].into(), ..NewsroomSet::default() };
        Newsroom { version: 1, set }
    })
}

/// The article after each of its events, from none on.
fn states() -> &'static [Option<Article>] {
    static STATES: OnceLock<Vec<Option<Article>>> = OnceLock::new();
    STATES.get_or_init(|| {
        let mut states = vec![None];
        for line in EVENTS.lines() {
            let Read::Event(event) = event::read(ARTICLE, line.as_bytes()) else { panic!("it is good") };
            let before = states.last().and_then(Option::as_ref);
            states.push(Some(Article::evolve(before, &event).expect("it follows")));
        }
        states
    })
}

fn hour() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000, 0).expect("an hour")
}

fn decided(article: Option<&Article>, command: &Command) -> Result<Decision, Option<Box<Problem>>> {
    let (actor, source) = (Arc::from(ACTOR), Arc::from("/copydesk"));
    let context = Context {
        now: hour(),
        actor: &actor,
        newsroom: newsroom(),
        salt: Hex([7; 16]),
        source: &source,
        seal: None,
        erasing: None,
    };
    decide(article, &Past::new(), command, &context).map_err(|undecided| match undecided {
        Undecided::Refused(problem) => Some(problem),
        Undecided::Needs(_) | Undecided::NeedsLine => None,
    })
}

/// A refusal that can be sent: with a status of the contract's, and not the sender's own words back in bulk.
fn well_formed(problem: &Problem) {
    assert!(Code::ALL.contains(&problem.code) && problem.code.status() < 600);
    assert!(problem.detail.len() <= Problem::LINE_BYTES, "{} bytes of detail", problem.detail.len());
    assert!(problem.field.as_ref().is_none_or(|field| field.len() <= Problem::LINE_BYTES), "a long field");
    serde_json::to_vec(problem).expect("a refusal is JSON");
}

/// A command's body: read, decided on an article, and the event read back.
pub fn command(bytes: &[u8]) {
    let command = match Command::read(bytes, Hints::default()) {
        Ok(command) => command,
        Err(problem) => {
            let expected =
                [Code::Malformed, Code::Invalid, Code::UnknownType, Code::UnknownField, Code::TooLarge];
            assert!(expected.contains(&problem.code), "{problem:?}");
            return well_formed(&problem);
        }
    };
    // On no article, one that was just begun, and one to which everything has happened.
    for present in [0, 1, states().len() - 1].map(|at| states()[at].as_ref()) {
        match decided(present, &command) {
            Ok(Decision { event, bytes, article }) => {
                assert!(bytes.len() <= limits::EVENT_BYTES);
                let Read::Event(read) = event::read(&event.subject, &bytes) else {
                    panic!("what was decided doesn't read back")
                };
                assert_eq!(event::write(&*read).ok().as_deref(), Some(&*bytes));
                assert!(Article::evolve(present, &read).is_ok_and(|again| again == article));
            }
            Err(Some(problem)) => well_formed(&problem),
            Err(None) => {}
        }
    }
}

/// Any JSON: its canonical form is read as the same.
pub fn any_json(bytes: &[u8]) {
    if let Err(problem) = json::parse(bytes) {
        assert_eq!(problem.code, Code::Malformed);
        well_formed(&problem);
    }
}

/// A Markdown document: what is written of what was read reads back the same, and sent back it changes nothing.
pub fn document(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if markdown::read(&text).is_err() {
        return;
    }
    let data = json!({"slug": "s", "language": "en", "markdown": text});
    let draft = json!({"id": ARTICLE, "type": "draft", "article": ARTICLE, "data": data});
    let Ok(draft) = Command::read(draft.to_string().as_bytes(), Hints::default()) else { return };
    let Ok(Decision { article, .. }) = decided(None, &draft) else { return };
    let written = markdown::write(article.blocks.iter().map(|block| &block.content));
    let again = json!({"id": uuid::Uuid::nil(), "type": "edit", "article": ARTICLE, "base": 1, "data": {"markdown": written}});
    match Command::read(again.to_string().as_bytes(), Hints::default()) {
        Ok(again) => match decided(Some(&article), &again) {
            Err(Some(problem)) if problem.code == Code::NothingNew => {}
            Err(Some(problem)) if problem.code == Code::TooLarge => {}
            Err(other) => panic!("what was written, sent back: {other:?}"),
            Ok(Decision { event, .. }) => panic!("what was written, sent back: {:?}", event.data),
        },
        Err(problem) => assert_eq!(problem.code, Code::TooLarge, "{problem:?}"),
    }
}

/// A text with marks.
pub fn text_with_marks(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok((spans, _)) = marks::read(&text) else { return };
    let plain = copydesk_article::text::spans::plain(&spans);
    assert!(plain.len() <= text.len() * 3 + 16, "more comes out than went in");
}

/// What stands on an article's subject in the log: understood whole, set aside, or foreign.
pub fn stored_event(bytes: &[u8]) {
    let frozen = Frozen::read(ARTICLE, bytes);
    assert_eq!(frozen.is_some(), Leaf::of(ARTICLE, bytes).is_some());
    match event::read(ARTICLE, bytes) {
        Read::Event(event) => {
            assert!(frozen.is_some_and(|frozen| frozen.id == event.id && frozen.command == event.command));
            let written = event::write(&*event).expect("an event is JSON");
            let Read::Event(again) = event::read(ARTICLE, &written) else { panic!("it doesn't read back") };
            assert_eq!(again, event);
            let before =
                (event.articleversion as usize).checked_sub(1).and_then(|before| states().get(before));
            if let Some(Ok(after)) = before.map(|before| Article::evolve(before.as_ref(), &event)) {
                let stored = serde_json::to_vec(&after).expect("an article is JSON");
                let read: Article = serde_json::from_slice(&stored).expect("and reads back");
                assert_eq!(read, after);
            }
        }
        Read::NotUnderstood { frozen: of, .. } => assert_eq!(frozen, Some(of)),
        Read::Foreign => {}
        Read::Newsroom(_) => panic!("an article's subject holds no newsroom"),
    }
}

/// What stands on the newsroom line.
pub fn newsroom_event(bytes: &[u8]) {
    if let Read::Newsroom(event) = event::read(ids::DESK, bytes) {
        let _ = Newsroom::default().evolve(&event);
        let written = event::write(&*event).expect("an event is JSON");
        assert!(matches!(event::read(ids::DESK, &written), Read::Newsroom(again) if again == event));
    }
    if let Ok(set) = serde_json::from_slice::<NewsroomSet>(bytes) {
        newsroom().set.changes(&set);
    }
}

/// A file of an agency's: each of its items becomes a draft, or is refused.
pub fn agency_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for item in agency::items(&text).into_iter().flatten() {
        let Ok(item) = agency::Item::read(item.get(), &agency::Defaults::default()) else { continue };
        let draft = json!({"id": item.command(), "type": "draft", "article": item.article(),
            "data": item.draft(|_| Some("slug".to_owned()))});
        match Command::read(draft.to_string().as_bytes(), Hints::default()) {
            Ok(draft) => match decided(None, &draft) {
                Ok(_) => {}
                Err(problem) => well_formed(&problem.expect("a draft needs no past")),
            },
            Err(problem) => well_formed(&problem),
        }
    }
}

/// A configuration.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Config::parse(&text) {
        Ok(config) => {
            config.check();
            config.check_for_feed();
            config.newsroom_set();
            config.tokens();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A signed checkpoint, and a key.
pub fn checkpoint(bytes: &[u8]) {
    let key = Key::new("desk.test/log", &[7; 32]).expect("a name");
    if let Ok(read) = Checkpoint::parse(bytes)
        && let Ok(signed) = Key::new(&read.origin, &[7; 32]).and_then(|key| key.sign(read.size, read.root))
    {
        let again = Checkpoint::parse(&signed).expect("what is signed is read");
        assert_eq!((again.size, again.root), (read.size, read.root));
    }
    let opened = Checkpoint::open(bytes, &key.verifier());
    assert!(opened.is_err() || Checkpoint::parse(bytes).is_ok());
    let text = String::from_utf8_lossy(bytes);
    let _ = Checkpoint::open(&key.sign(1, [7; 32]).expect("a note"), &text);
    if let Ok(key) = Key::named(&text) {
        assert!(Key::named(&key.secret_text()).is_ok());
    }
}

/// A leaf's record, and the path of a tile.
pub fn tile(bytes: &[u8]) {
    if let Some(leaf) = Leaf::parse(bytes) {
        assert_eq!(leaf.record(), bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    if let Ok(path) = text.parse::<TilePath>() {
        assert_eq!(path.to_string(), text);
    }
}

/// A message of the wire: lines of headers, an empty line, and the body.
pub fn wire_message(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\n\n").unwrap_or_default();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let message = WireMessage {
        seq: 1,
        subject: "world".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.as_bytes().to_vec().into(),
        erased: false,
    };
    if let Ok(received) = message.read() {
        let _ = received.ninjs.notes();
    }
}

/// What is read of single words: in paths, headers, configurations and subjects.
pub fn words(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(id) = ids::parse_uuid(&text) {
        assert_eq!(id.as_hyphenated().to_string(), text);
    }
    if let Ok(hash) = text.parse::<TokenHash>() {
        assert_eq!(hash.to_string(), text);
    }
    let _ = text.parse::<Expiry>();
    let _ = text.parse::<Network>();
    let _ = text.parse::<copydesk::deliver::Why>();
    let _ = text.parse::<copydesk::service::Part>();
    let _ = Secret::parse(&text);
    config::token::is_token_name(&text);
    copydesk_article::fields::is_section(&text);
    if let Some((one, other)) = text.split_once(' ') {
        let _ = agency::compare(one, other);
    }
}
