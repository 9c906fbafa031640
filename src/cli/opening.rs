//! `demo` with a story of one's own: a claim for each quotation and each sentence with a figure, and then the
//! commands that would open the gate.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use copydesk_article::article::Article;
use copydesk_article::claims::Place;
use copydesk_article::coverage::{self, Checkable};
use copydesk_article::event;
use serde_json::{Map, Value, json};

use super::demo::{Play, command};
use super::members::Members;
use super::refused::Refused;
use super::safe;
use super::screen::{BOLD, DIM, Screen};

/// So many claims are shown one by one.
const SHOWN: usize = 12;
/// What stands in the place of words that only the newsroom can write.
const TO_WRITE: &str = "(to be written)";
/// The section in which a story without one is put.
const SECTION: &str = "news";

/// From the draft to the shut gate.
pub async fn story(play: &mut Play<'_>, folder: &Path) -> anyhow::Result<()> {
    claims(play).await?;
    play.step("pia", "tries to publish")?;
    play.refused("pia", "publish", json!({}), "gate_shut").await?;
    let screen = &mut *play.screen;
    screen.line(format!("\n{}", screen.paint(BOLD, "What would open the gate")))?;
    screen.wrapped(
        4,
        "Read before you send: a verdict is a checker's word that the evidence bears the claim out. Where it \
         doesn't, change the words or the verdict.",
        DIM,
    )?;
    for (actor, commands) in opening(&play.article) {
        screen.line(format!("\ncopydesk send --as {actor} \\\n  --data {} <<'END'", folder.display()))?;
        lines(screen, &commands)?;
        screen.line("END")?;
    }
    Ok(())
}

fn lines(screen: &mut Screen, commands: &[Value]) -> io::Result<()> {
    commands.iter().try_for_each(|command| screen.raw(format!("{command}\n").as_bytes()))
}

/// Raises a claim for each quotation and each sentence with a figure, as the core finds them.
async fn claims(play: &mut Play<'_>) -> anyhow::Result<()> {
    let article = fold(&play.history().await?)?;
    play.step("ana", "claims each quotation and each sentence with a figure")?;
    let mut raised = 0;
    for sentence in coverage::checkable(&article) {
        let kind = match sentence.why {
            Checkable::Quotation => "quotation",
            Checkable::Figure => "statistic",
        };
        let mut data = json!({"quote": sentence.words, "kind": kind});
        match sentence.place {
            Place::Block(block) => data.put("block", json!(block)),
            Place::Field(field) => data.put("field", field.name()),
        }
        let quote = safe::cut(&format!("“{}”", sentence.words.as_str()), 59);
        match play.send("ana", "claim", data).await {
            Ok(answer) if raised < SHOWN => {
                let id = safe::pad(answer.text("created"), 3);
                play.screen.line(format!("    {id}  {}  {quote}", safe::pad(kind, 9)))?;
            }
            Ok(_) => {}
            Err(error) => {
                // The same sentence twice in one block can't be told apart by its words.
                let refused = error.downcast::<Refused>()?;
                play.screen.line(format!("    {}  {quote}", safe::pad(refused.code(), 14)))?;
                continue;
            }
        }
        raised += 1;
    }
    if raised > SHOWN {
        play.screen.line(format!("    and {} more", raised - SHOWN))?;
    }
    if raised == 0 {
        play.screen.line("    there are none")?;
    }
    play.look().await?;
    play.outcome()
}

/// The article that a history folds to, by the core's own fold.
fn fold(history: &Value) -> anyhow::Result<Article> {
    let mut article = None;
    for event in history.list("events") {
        let mut event = event.clone();
        if let Some(members) = event.as_object_mut() {
            members.remove("seq");
        }
        let subject = event.text("subject").to_owned();
        let event::Read::Event(event) = event::read(&subject, event.to_string().as_bytes()) else {
            bail!("an event of the article can't be read back");
        };
        article = Some(Arc::new(Article::evolve(article.as_deref(), &event)?));
    }
    match article.map(Arc::unwrap_or_clone) {
        Some(article) => Ok(article),
        None => bail!("the article has no history"),
    }
}

/// The commands that would open the gate, by who sends them.
fn opening(article: &Value) -> Vec<(&'static str, Vec<Value>)> {
    let mut article = article.clone();
    let mut sent = Vec::new();
    let edit = missing(&article);
    if !edit.is_empty() {
        sent.push(("emil", vec![command(&article, "edit", edit.clone().into())]));
        let revision = article.at("revision").as_u64().unwrap_or_default() + 1;
        article.put("revision", revision);
    }
    let claims = article.list("claims");
    let unruled = claims.iter().filter(|claim| claim.at("state") == "unruled");
    let rulings = unruled.map(|claim| {
        let mut data = json!({"claim": claim.at("id"), "verdict": "supported"});
        if claim.at("field") == "headline"
            && let Some(headline) = edit.get("set").and_then(|set| set.at("headline").as_str())
        {
            // The headline had to be changed: the claim stands by its new words.
            data.put("quote", json!(headline));
            data.put("field", json!("headline"));
        }
        command(&article, "rule", data)
    });
    sent.push(("chen", rulings.collect()));
    sent.push(("ana", vec![command(&article, "submit", json!({}))]));
    sent.push(("eva", vec![command(&article, "approve", json!({}))]));
    sent.push(("pia", vec![command(&article, "publish", json!({}))]));
    sent.retain(|(_, commands)| !commands.is_empty());
    sent
}

/// The data of an edit that adds what the gate misses: what can be known is said, what only the newsroom can
/// write is marked as such.
fn missing(article: &Value) -> Map<String, Value> {
    let fields = article.at("fields");
    let mut set = Map::new();
    let mut ops = Vec::new();
    for reason in article.at("gate").list("reasons") {
        match (reason.text("code"), reason.text("field"), reason.text("block")) {
            ("missing_field", "section", _) => {
                set.insert("section".to_owned(), SECTION.into());
            }
            ("missing_field", "headline", _) => {
                let slug = fields.text("slug").replace('-', " ");
                set.insert("headline".to_owned(), slug.into());
            }
            ("missing_field", "body", _) => {
                let block = json!({"kind": "paragraph", "text": TO_WRITE});
                ops.push(json!({"op": "insert", "after": null, "block": block}));
            }
            ("too_long", "headline", _) => {
                let cut = safe::cut(fields.text("headline"), 100);
                set.insert("headline".to_owned(), cut.into());
            }
            ("image_incomplete", "image", _) => {
                set.insert("image".to_owned(), completed(fields.at("image"), &["uri"]).into());
            }
            ("image_incomplete", _, block) if !block.is_empty() => {
                let mut blocks = article.list("blocks").iter();
                let there = blocks.find(|there| there.at("id") == block).cloned().unwrap_or_default();
                let mut op = completed(&there, &[]);
                op.insert("op".to_owned(), "replace".into());
                op.insert("block".to_owned(), block.into());
                ops.push(op.into());
            }
            _ => {}
        }
    }
    let mut data = Map::new();
    if !set.is_empty() {
        data.insert("set".to_owned(), set.into());
    }
    if !ops.is_empty() {
        data.insert("ops".to_owned(), ops.into());
    }
    data
}

/// The parts of a picture, with those to be written that the rules may ask for; `keep` are kept beside them.
fn completed(image: &Value, keep: &[&str]) -> Map<String, Value> {
    let mut parts = Map::new();
    for name in keep.iter().chain(&["caption"]).filter(|name| !image.at(name).is_null()) {
        parts.insert((*name).to_owned(), image.at(name).clone());
    }
    for name in ["alt", "credit", "rights"] {
        let there = Some(image.text(name)).filter(|words| !words.trim().is_empty());
        parts.insert(name.to_owned(), there.unwrap_or(TO_WRITE).into());
    }
    parts
}
