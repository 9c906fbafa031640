//! What readers got, held against what the newsroom did, from the bytes of the events and of the wire alone (promises 6,
//! 7 and 8): every edition once, in order and complete; every sentence that a claim is on as a checker ruled on it; every
//! word as an editor approved it. The desk's own gate has no say here.

use std::collections::BTreeMap;

use copydesk::log::{Content, Entry, Log};
use copydesk_article::article::Article;
use copydesk_article::fields::FieldName;
use serde_json::Value;

use super::checks::{Happened, History};
use super::refusals;
use super::world::{World, now};

/// A claim as its events say.
#[derive(Debug, Default, Clone)]
struct Claim {
    quote: String,
    dropped: bool,
    /// The last verdict on each sentence.
    rulings: BTreeMap<String, String>,
}

pub fn check(world: &World, history: &History, wrong: &mut Vec<String>) {
    let out: Vec<&Happened> =
        history.events.iter().filter(|happened| happened.raw.get("wire").is_some()).collect();
    let wire: Vec<Entry> =
        (1..=now(world.log.wire().end())).map(|seq| now(world.log.wire().get(seq)).unwrap()).collect();
    if out.len() != wire.len() {
        wrong.push(format!("the log has {} editions, and the wire {}", out.len(), wire.len()));
    }
    for (count, (happened, entry)) in (1..).zip(out.iter().zip(&wire)) {
        message(count, happened, entry, wrong);
        if happened.raw["type"] == "copydesk.article.published" {
            claims(history, happened, entry, wrong);
            approvals(history, happened, wrong);
        }
    }
    hours(history, wrong);
}

/// The message is that of the event.
fn message(count: u64, happened: &Happened, entry: &Entry, wrong: &mut Vec<String>) {
    let Content::Message { headers, .. } = &entry.content else { panic!("nothing is erased here") };
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let body = body(entry);
    let raw = &happened.raw;
    let edition = raw["data"]["answer"]["edition"].to_string();
    let is_withdrawal = raw["wire"] == "withdrawal";
    let expected = [
        (header("Copydesk-Count") == Some(&*count.to_string()), "count"),
        (header("Copydesk-Seq") == Some(&*happened.seq.to_string()), "seq"),
        (header("Copydesk-Event") == raw["id"].as_str(), "event"),
        (header("Copydesk-Edition") == Some(&*edition), "edition"),
        (body["version"] == edition, "version"),
        (body["uri"] == format!("urn:uuid:{}", happened.article), "uri"),
        (body["pubStatus"] == if is_withdrawal { "canceled" } else { "usable" }, "status"),
        (entry.subject == "world", "home"),
        (is_withdrawal == body.get("bodies").is_none(), "body"),
    ];
    for (holds, what) in expected {
        if !holds {
            wrong.push(format!("the wire's {count}: its {what} isn't that of the event at {}", happened.seq));
        }
    }
    if !is_withdrawal {
        let blocks = happened.after.blocks.iter().map(|block| {
            let texts: Vec<String> = block.content.texts().map(|text| text.plain()).collect();
            texts.join("\n")
        });
        if plain(&body) != blocks.collect::<Vec<_>>().join("\n\n") {
            wrong
                .push(format!("the wire's {count}: its words aren't those of the event at {}", happened.seq));
        }
    }
}

fn body(entry: &Entry) -> Value {
    let Content::Message { body, .. } = &entry.content else { panic!("nothing is erased here") };
    serde_json::from_slice(body).unwrap()
}

/// The words that readers get.
fn plain(body: &Value) -> &str {
    let bodies = body["bodies"].as_array().into_iter().flatten();
    bodies.filter(|body| body["contentType"] == "text/plain").find_map(|body| body["value"].as_str()).unwrap()
}

/// Each claim whose words are out was ruled on as they are.
fn claims(history: &History, happened: &Happened, entry: &Entry, wrong: &mut Vec<String>) {
    let mut claims: BTreeMap<String, Claim> = BTreeMap::new();
    for past in before(history, happened) {
        let data = &past.raw["data"];
        let text = |member: &str| data[member].as_str().unwrap_or_default().to_owned();
        let claim = text("claim");
        match past.raw["type"].as_str().unwrap() {
            "copydesk.article.claim_raised" => {
                claims.insert(claim, Claim { quote: text("quote"), ..Claim::default() });
            }
            "copydesk.article.claim_ruled" => {
                claims.entry(claim).or_default().rulings.insert(text("sentence"), text("verdict"));
            }
            "copydesk.article.claim_dropped" => claims.entry(claim).or_default().dropped = true,
            _ => {}
        }
    }
    let body = body(entry);
    let words = plain(&body);
    for (id, claim) in claims {
        if claim.dropped || !words.contains(&claim.quote) {
            continue;
        }
        let out = claim.rulings.iter().filter(|(sentence, _)| words.contains(sentence.as_str()));
        let verdicts: Vec<&str> = out.map(|(_, verdict)| verdict.as_str()).collect();
        // Withdrawn words may come back in other sentences: then the claim is of those that went.
        if verdicts.is_empty() || verdicts.iter().any(|verdict| *verdict != "supported") {
            wrong.push(format!("{}: {id} is out, and its verdicts are {:?}", happened.seq, claim.rulings));
        }
    }
}

/// As many editors as the rules ask approved these words, or a chief took that on himself.
fn approvals(history: &History, happened: &Happened, wrong: &mut Vec<String>) {
    let proof = &happened.raw["data"]["proof"];
    if proof["waived"].as_array().is_some_and(|waived| !waived.is_empty()) {
        return;
    }
    let out = history.article_at(happened.article, happened.seq - 1).unwrap();
    let mut editors = std::collections::BTreeSet::new();
    for past in before(history, happened) {
        match past.raw["type"].as_str().unwrap() {
            "copydesk.article.approved" if words(&past.after) == words(out) => {
                editors.insert(past.raw["actor"].as_str().unwrap());
            }
            "copydesk.article.returned" => editors.clear(),
            _ => {}
        }
    }
    let deskversion = happened.event.deskversion;
    let newsroom = history.newsrooms.iter().find(|(_, newsroom)| newsroom.version == deskversion).unwrap();
    let needed = newsroom.1.set.rules.approvals as usize;
    if editors.len() < needed {
        wrong.push(format!("{}: out with {} of {needed} approvals", happened.seq, editors.len()));
    }
}

/// What an editor approves: of all that the senders change, the blocks' words and the byline.
fn words(article: &Article) -> (Vec<String>, Option<String>) {
    let blocks = article.blocks.iter().flat_map(|block| block.content.texts().map(|text| text.plain()));
    (blocks.collect(), article.fields.line(FieldName::Byline).map(str::to_owned))
}

/// What happened to the article before.
fn before<'a>(history: &'a History, happened: &'a Happened) -> impl Iterator<Item = &'a Happened> {
    history.events.iter().filter(move |past| past.article == happened.article && past.seq < happened.seq)
}

/// What was scheduled went out or was held, once, and not before its hour.
fn hours(history: &History, wrong: &mut Vec<String>) {
    for happened in history.events.iter().filter(|happened| &*happened.event.actor == "desk") {
        let schedule = before(history, happened).last().and_then(|past| past.after.schedule.clone());
        match schedule {
            Some(schedule) if schedule.at <= happened.event.time => {
                refusals::clock_again(history, happened, wrong);
            }
            schedule => wrong.push(format!("{}: the clock struck too early: {schedule:?}", happened.seq)),
        }
    }
}
