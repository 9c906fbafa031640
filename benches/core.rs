//! What the steps of one edit take without any I/O: `cargo bench --bench core`. `copydesk bench` says what a command
//! costs altogether; this says where in the core a change of it comes from.

use std::sync::Arc;
use std::time::Instant;

use chrono::DateTime;
use copydesk::bench::load;
use copydesk_article::article::Article;
use copydesk_article::command::{Command, Context, Past, decide};
use copydesk_article::event::{self, Hex, Read};
use copydesk_article::newsroom::{Newsroom, NewsroomSet, Person, Role};

/// The steps, in the order of an edit's life.
const STEPS: [&str; 4] = ["command read", "decided, event written", "event read", "event folded"];
/// How many edits are timed of each article.
const EDITS: usize = 500;

fn main() {
    let reporter = Person { roles: vec![Role::Reporter], ..Person::default() };
    let set = NewsroomSet { people: [("ana".into(), reporter)].into(), ..NewsroomSet::default() };
    let newsroom = Newsroom { version: 1, set };
    let mut history = load::script(EDITS + 1);
    let edits = history.split_off(1);
    println!("median of {EDITS} edits, in microseconds");
    print("8 blocks, no claims", &timed(&newsroom, history, edits));
    let (made, edits) = load::claimed(5, 3, EDITS);
    print("5 blocks, 3 claims", &timed(&newsroom, made, edits));
    let (made, edits) = load::claimed(500, 300, EDITS);
    print("500 blocks, 300 claims", &timed(&newsroom, made, edits));
}

fn print(what: &str, micros: &[f64; 4]) {
    let steps: Vec<String> =
        STEPS.iter().zip(micros).map(|(step, micros)| format!("{step} {micros:.1}")).collect();
    println!("{what:>24}: {}", steps.join(", "));
}

/// Makes an article and edits it; the median of each step's times.
fn timed(newsroom: &Newsroom, made: load::Script, edits: load::Script) -> [f64; 4] {
    let mut article = None;
    for body in made {
        article = Some(one(newsroom, article.as_ref(), &body).0);
    }
    let mut times: [Vec<f64>; 4] = Default::default();
    for body in edits {
        let (next, took) = one(newsroom, article.as_ref(), &body);
        article = Some(next);
        times.iter_mut().zip(took).for_each(|(all, one)| all.push(one));
    }
    times.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    })
}

/// One command on an article; the article after it, and how long each step took, in microseconds.
#[expect(clippy::panic, reason = "a load that is refused measures nothing")]
fn one(newsroom: &Newsroom, article: Option<&Article>, body: &[u8]) -> (Article, [f64; 4]) {
    let actor: Arc<str> = "ana".into();
    let context = Context {
        now: DateTime::UNIX_EPOCH,
        actor: &actor,
        newsroom,
        salt: Hex([7; 16]),
        source: &"/bench".into(),
        seal: None,
        erasing: None,
    };
    let began = Instant::now();
    let Ok(command) = Command::read(body, Default::default()) else { panic!("a command that doesn't read") };
    let read = began.elapsed();
    let began = Instant::now();
    let decision = match decide(article, &Past::new(), &command, &context) {
        Ok(decision) => decision,
        Err(undecided) => panic!("a command that is refused: {undecided:?}"),
    };
    let decided = began.elapsed();
    let subject = decision.event.subject.to_string();
    let began = Instant::now();
    let Read::Event(event) = event::read(&subject, &decision.bytes) else {
        panic!("an event that doesn't read")
    };
    let understood = began.elapsed();
    let began = Instant::now();
    let Ok(folded) = Article::evolve(article, &event) else { panic!("an event that doesn't fold") };
    let evolved = began.elapsed();
    assert_eq!(folded.version, decision.article.version);
    (folded, [read, decided, understood, evolved].map(|time| time.as_secs_f64() * 1e6))
}
