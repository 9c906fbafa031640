//! The senders: newsroom people who read at one instance, send to another, send again where no answer came, send twice
//! at once, take an id for something else, and judge what has changed meanwhile.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use copydesk::log::Log;
use copydesk_article::article::{Article, Stage, Status};
use copydesk_article::claims::ClaimState;
use copydesk_article::command::{Command, Hints};
use copydesk_article::newsroom::Rules;
use copydesk_article::problem::Code;
use futures::future::{Either, join_all, select};
use serde_json::{Value, json};
use uuid::Uuid;

use super::dice::Dice;
use super::world::{Attempted, World};

pub const SENDERS: usize = 4;
const COMMANDS: usize = 4;

/// A command as one sender sent it, and what all attempts came to.
pub struct Sending {
    pub actor: Arc<str>,
    pub command: Arc<Command>,
    pub attempts: Vec<Attempted>,
}

/// The articles that there are when a run begins.
pub fn articles() -> [Uuid; 2] {
    [1, 2].map(Uuid::from_u128)
}

/// One that someone may draft: two at once, perhaps.
const TO_COME: Uuid = Uuid::from_u128(3);

/// Sends some commands, one after the other, each until it is known what came of it, or nearly.
pub async fn work(world: Rc<World>, sender: usize, seed: u64, sent: Rc<std::cell::RefCell<Vec<Sending>>>) {
    let mut dice = Dice::new(seed, 100 + sender as u64);
    for number in 0..COMMANDS {
        let pause = if dice.once_in(8) { dice.draw() % 5_000 } else { dice.draw() % 100 };
        sleep(&world, pause).await;
        let article = if dice.once_in(12) { TO_COME } else { *dice.pick(&articles()) };
        let seen = world.any_up(&mut dice).and_then(|(_, instance)| instance.store.article(article).unwrap());
        let seen = seen.map(|stored| stored.article);
        let (actor, mut command) =
            choose(&mut dice, seen.as_deref(), world.now(), &format!("{sender}/{number}"));
        command["article"] = json!(article);
        let id = dice.id();
        command["id"] = json!(id);
        match (dice.roll(40), &seen) {
            (0, _) => command["try"] = json!(true),
            (1, Some(seen)) => command["expect"] = json!(seen.version),
            (2, _) => command["not_after"] = json!(world.now() + TimeDelta::milliseconds(300)),
            (3, Some(seen)) => command["base"] = json!(1 + dice.roll(seen.revision as usize)),
            _ => {}
        }
        let sending = insist(&world, &mut dice, actor, &command).await;
        sent.borrow_mut().push(sending);
        if dice.once_in(12) {
            let other = json!({"id": id, "article": article, "type": "ask",
                "data": {"text": format!("What of {sender}/{number}?"), "blocking": false}});
            let (actor, command) =
                if dice.once_in(2) { (actor, &other) } else { (*dice.pick(&["emil", "carl"]), &command) };
            let sending = insist(&world, &mut dice, actor, command).await;
            sent.borrow_mut().push(sending);
        }
    }
}

async fn sleep(world: &World, ms: u64) {
    world.log.clock().sleep(Duration::from_millis(ms)).await;
}

/// Sends until there is a definite answer, or, now and then, until the sender has had enough.
async fn insist(world: &Rc<World>, dice: &mut Dice, actor: &str, command: &Value) -> Sending {
    let command = Arc::new(Command::read(command.to_string().as_bytes(), Hints::default()).unwrap());
    let mut sending = Sending { actor: actor.into(), command, attempts: Vec::new() };
    loop {
        let at_once = if dice.once_in(6) { 2 } else { 1 };
        let mut waiting = Vec::new();
        for _ in 0..at_once {
            let Some((number, instance)) = world.any_up(dice) else { continue };
            let (from, hour) = (world.end(), world.now());
            let told = world.send(number, &instance, &sending.actor, &sending.command, dice.once_in(2));
            let patience = Duration::from_millis(100 + dice.draw() % 15_000);
            waiting.push(async move {
                match select(told, world.log.clock().sleep(patience)).await {
                    Either::Left((Ok(attempted), _)) => attempted,
                    _ => Attempted { result: None, from, to: world.end(), hours: [hour, world.now()] },
                }
            });
        }
        let attempts = join_all(waiting).await;
        let is_known = |attempted: &Attempted| match &attempted.result {
            Some(Ok(_)) => true,
            Some(Err(problem)) => problem.code.status() < 500 && problem.code != Code::Busy,
            None => false,
        };
        let known = attempts.iter().any(is_known);
        sending.attempts.extend(attempts);
        if (known && !dice.once_in(8)) || (!sending.attempts.is_empty() && dice.once_in(30)) {
            return sending;
        }
        sleep(world, 5 + dice.draw() % 300).await;
    }
}

/// What someone might do who sees the article so, and who.
fn choose(
    dice: &mut Dice,
    seen: Option<&Article>,
    now: chrono::DateTime<chrono::Utc>,
    tag: &str,
) -> (&'static str, Value) {
    let Some(seen) = seen else {
        let text = format!("The story of {tag}.");
        let data = json!({"slug": "s", "language": "en", "section": "world", "headline": "More", "blocks": [
            {"kind": "paragraph", "text": text}]});
        return ("ana", json!({"type": "draft", "data": data}));
    };
    let base = seen.revision;
    let writer = *dice.pick(&["ana", "ana", "emil"]);
    match dice.roll(38) {
        0..=2 => (writer, edit(base, "b1", &format!("Some {tag} people came to the square."))),
        3 => (writer, edit(base, "b2", &format!("The bridge was shut at {tag}. Nobody knew why."))),
        4 => {
            let block = json!({"kind": "paragraph", "text": format!("More by {tag}.")});
            (
                writer,
                json!({"type": "edit", "base": base, "data": {"ops": [{"op": "insert", "after": "b1", "block": block}]}}),
            )
        }
        5 => {
            (writer, json!({"type": "edit", "base": base, "data": {"set": {"byline": format!("By {tag}")}}}))
        }
        6 => (
            writer,
            json!({"type": "edit", "base": base, "data": {"ops": [{"op": "delete", "block": "b2"}]}}),
        ),
        7..=9 => {
            let (block, quote) = *dice.pick(&[("b1", "people came"), ("b2", "bridge was shut")]);
            (
                "chen",
                json!({"type": "claim", "base": base, "data": {"quote": quote, "block": block, "kind": "fact"}}),
            )
        }
        10 => (
            writer,
            json!({"type": "ask", "data": {"text": format!("Why {tag}?"), "blocking": dice.once_in(3)}}),
        ),
        11 => ("eva", json!({"type": "return", "data": {"reason": format!("As {tag} says.")}})),
        12 => (
            "carl",
            json!({"type": "waive", "base": base, "data": {
            "reasons": [{"code": "not_approved"}], "reason": format!("As {tag} says.")}}),
        ),
        13 => {
            let until = now + TimeDelta::milliseconds(500 + dice.roll(10_000) as i64);
            ("eva", json!({"type": "embargo", "data": {"until": until}}))
        }
        14 => ("pia", json!({"type": "withdraw", "data": {"notice": format!("Gone by {tag}.")}})),
        15 => (
            "eva",
            json!({"type": if dice.once_in(2) { "spike" } else { "revive" }, "data": {"reason": "So."}}),
        ),
        16 => (
            "eva",
            json!({"type": "restore", "base": base, "data": {"revision": 1 + dice.roll(base as usize)}}),
        ),
        _ => onward(dice, seen, now, tag),
    }
}

fn edit(base: u32, block: &str, text: &str) -> Value {
    json!({"type": "edit", "base": base, "data": {"ops": [{"op": "replace", "block": block, "text": text}]}})
}

/// The next step towards readers.
fn onward(
    dice: &mut Dice,
    seen: &Article,
    now: chrono::DateTime<chrono::Utc>,
    tag: &str,
) -> (&'static str, Value) {
    let base = seen.revision;
    let unruled =
        seen.claims.values().find(|claim| matches!(claim.state, ClaimState::Unruled | ClaimState::Stale));
    if let Some(claim) = unruled {
        let verdict = if dice.once_in(8) { "inaccurate" } else { "supported" };
        return (
            "chen",
            json!({"type": "rule", "base": base, "data": {
            "claim": claim.id, "verdict": verdict, "quote": claim.sentence}}),
        );
    }
    if let Some(query) = seen.blocking_queries().next() {
        return (
            "ana",
            json!({"type": "answer", "data": {"query": query.id, "text": format!("So, {tag}.")}}),
        );
    }
    if seen.spiked {
        return ("eva", json!({"type": "revive", "data": {"reason": "So."}}));
    }
    if !seen.submitted {
        return ("ana", json!({"type": "submit", "base": base}));
    }
    if seen.stage(&Rules::default()) != Stage::Approved {
        let editor = *dice.pick(&["eva", "eva", "carl", "emil"]);
        return (editor, json!({"type": "approve", "base": base}));
    }
    if seen.schedule.is_some() {
        return ("pia", json!({"type": "unschedule"}));
    }
    let mut data = json!({"note": format!("What readers are told: {tag}.")});
    if dice.once_in(3) {
        let at = now + TimeDelta::milliseconds(1_000 + dice.roll(8_000) as i64);
        data["at"] = json!(at);
    }
    if seen.status() == Status::Published && dice.once_in(3) {
        data["kind"] = json!("correction");
    }
    ("pia", json!({"type": "publish", "base": base, "data": data}))
}
