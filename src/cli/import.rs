//! `import`: stories from files into drafts. The same story imported twice is one article.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use copydesk_article::problem::Code;
use serde_json::{Value, json};

use super::client::Client;
use super::front::{Story, command_id};
use super::members::Members;
use super::refused::Refused;
use super::screen::Screen;
use super::{Ending, Global, complain, safe};

/// `copydesk import`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk import story.md
  copydesk import stories/*.md --data ./copydesk-data --as ana
  copydesk import commands.jsonl

Markdown (.md) with front matter, or JSON lines of commands (.jsonl). What is missing (language, slug) comes from
the configuration and the headline; the rest is left to the gate.")]
pub struct Import {
    /// The files
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// A command on its way in, or why there is none.
type Item = (String, anyhow::Result<Value>);

impl Import {
    pub async fn run(&self, client: &Client, global: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        let language = global.config()?.desk.language;
        let mut ending = Ending::Done;
        for file in &self.files {
            for (name, command) in items(file, &language) {
                let imported = match command {
                    Ok(command) => one(client, &name, &command, screen).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = imported {
                    screen.flush()?;
                    ending = Ending::Refused;
                    if screen.json {
                        let problem = error.downcast_ref::<Refused>().map(|refused| refused.problem.clone());
                        let problem = problem.unwrap_or_else(|| json!(format!("{error:#}")));
                        screen.value(&json!({"file": name, "imported": false, "problem": problem}))?;
                    } else {
                        complain(&format!("{name}: {error:#}"));
                    }
                }
            }
        }
        Ok(ending)
    }
}

/// The commands that a file holds.
fn items(file: &Path, language: &str) -> Vec<Item> {
    let name = safe::line(&file.display().to_string());
    match read(file, language) {
        Ok(commands) if commands.len() == 1 => {
            commands.into_iter().map(|(_, item)| (name.clone(), item)).collect()
        }
        Ok(commands) => commands.into_iter().map(|(line, item)| (format!("{name}:{line}"), item)).collect(),
        Err(error) => vec![(name, Err(error))],
    }
}

fn read(file: &Path, language: &str) -> anyhow::Result<Vec<(usize, anyhow::Result<Value>)>> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let whole = || std::fs::read_to_string(file).context("it can't be read as text (UTF-8)");
    match extension.to_ascii_lowercase().as_str() {
        "md" | "markdown" => {
            let story = Story::read(&whole()?)?;
            if !story.unknown.is_empty() {
                complain(&format!(
                    "{}: left out, no article has {}",
                    file.display(),
                    story.unknown.join(", ")
                ));
            }
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            Ok(vec![(1, Ok(story.draft(language, stem)))])
        }
        "jsonl" | "ndjson" => {
            let text = whole()?;
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            Ok(lines.map(|(at, line)| (at + 1, command(line, language))).collect())
        }
        "json" => bail!(
            "ninjs can't be imported by this build; JSON lines of commands are named .jsonl, one command a line"
        ),
        _ => bail!("what is it? Markdown is named .md, JSON lines of commands .jsonl"),
    }
}

/// A command of JSON lines; a draft without id, language or slug gets them.
fn command(line: &str, language: &str) -> anyhow::Result<Value> {
    // The core's reader first: it refuses keys that are there twice, which serde_json would drop.
    copydesk_article::json::parse(line.as_bytes()).map_err(|problem| anyhow::anyhow!(problem.detail))?;
    let mut command: Value = serde_json::from_str(line).context("not JSON")?;
    let Some(members) = command.as_object_mut() else { bail!("a command is a JSON object") };
    if *members.entry("type").or_insert_with(|| "draft".into()) != "draft" {
        return Ok(command);
    }
    let Some(data) = members.get("data").and_then(Value::as_object).cloned() else {
        bail!("a draft has `data`")
    };
    let id = members.get("id").cloned().unwrap_or_else(|| json!(command_id(&data)));
    let filled = Story { data, unknown: Vec::new() }.draft(language, "imported");
    members.insert("id".to_owned(), id);
    members.insert("data".to_owned(), filled.at("data").clone());
    Ok(command)
}

async fn one(client: &Client, name: &str, command: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    let reply = client.send(command.to_string().into()).await?;
    let answer = reply.accepted().map_err(|error| match error.downcast_ref::<Refused>() {
        Some(refused) if refused.code() == Code::IdReused.name() => {
            error.context("imported before, by someone else or with other defaults")
        }
        _ => error,
    })?;
    if screen.json {
        screen.value(&json!({"file": name, "imported": true, "answer": answer}))?;
        return Ok(());
    }
    let slug = command.at("data").text("slug");
    let what = match (answer.at("duplicate") == true, command.text("type")) {
        (true, _) => "already imported as",
        (false, "draft") => "imported as",
        (false, other) => other,
    };
    let line = format!("{name}: {what} {} {slug}", answer.text("article"));
    screen.line(safe::line(&line))?;
    for warning in answer.list("warnings") {
        screen.line(format!(
            "  {}: {}",
            safe::line(warning.text("code")),
            safe::line(warning.text("detail"))
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{TestDesk, shown};
    use super::*;

    #[tokio::test]
    async fn the_same_story_imported_twice_is_one_article() {
        let desk = TestDesk::new();
        let client = desk.client("ana");
        let story = Story::read("---\nheadline: A story\nsection: world\n---\n\nWords.").unwrap();
        let draft = story.draft("en", "file");
        let (mut screen, out) = shown(false);
        one(&client, "a.md", &draft, &mut screen).await.unwrap();
        one(&client, "elsewhere/b.md", &draft, &mut screen).await.unwrap();
        screen.flush().unwrap();
        let text = out.text();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("a.md: imported as ") && lines[0].ends_with(" a-story"), "{lines:?}");
        assert!(lines[1].starts_with("elsewhere/b.md: already imported as "), "{lines:?}");
        assert!(one(&desk.client("emil"), "a.md", &draft, &mut screen).await.is_err());
    }

    #[test]
    fn json_lines_get_what_is_missing_and_keep_what_is_there() {
        let draft = command(r#"{"data":{"headline":"Two words"}}"#, "de").unwrap();
        assert_eq!(draft["data"]["slug"], "two-words");
        assert_eq!(draft["data"]["language"], "de");
        assert_eq!(draft["id"], command(r#"{"data":{"headline":"Two words"}}"#, "en").unwrap()["id"]);
        let given = command(r#"{"id":"x","type":"edit","data":{}}"#, "en").unwrap();
        assert_eq!(given, json!({"id": "x", "type": "edit", "data": {}}));
        assert!(command(r#"{"id":1,"id":2}"#, "en").is_err());
        assert!(command("[1]", "en").is_err() && command("{", "en").is_err());
    }

    #[test]
    fn ninjs_is_refused_by_name() {
        let error = read(Path::new("a.json"), "en").unwrap_err();
        assert!(error.to_string().contains("ninjs"));
    }
}
