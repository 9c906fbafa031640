//! `gate`: what stands between an article and its readers.

use std::io;

use clap::Args;
use serde_json::Value;

use super::Ending;
use super::client::Client;
use super::members::Members;
use super::safe;
use super::screen::{BAD, DIM, GOOD, Screen};

/// `copydesk gate`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  copydesk gate 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01\n\n\
                  Exits 0 whether it is open or shut: `--json` says which.")]
pub struct Gate {
    /// The article's id
    article: uuid::Uuid,
}

impl Gate {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let gate = client.get(&format!("/v1/articles/{}/gate", self.article)).await?;
        if screen.json {
            screen.value(&gate)?;
        } else {
            whole(screen, &gate)?;
        }
        Ok(Ending::Done)
    }
}

/// The gate with every reason on a line of its own.
pub fn whole(screen: &mut Screen, gate: &Value) -> io::Result<()> {
    if gate.at("open") == true {
        screen.line(screen.paint(GOOD, "The gate is open."))?;
    } else {
        screen.line(screen.paint(BAD, "The gate is shut."))?;
    }
    for (list, style) in [("reasons", anstyle::Style::new()), ("waived", DIM)] {
        for reason in gate.list(list) {
            let detail = if list == "waived" { "waived: " } else { "" }.to_owned() + reason.text("detail");
            let code = safe::pad(reason.text("code"), 18);
            for (at, line) in safe::wrap(&detail, 80 - 22).iter().enumerate() {
                let head = if at == 0 { code.as_str() } else { "" };
                screen.line(format!(
                    "  {}  {}",
                    screen.paint(DIM, &safe::pad(head, 18)),
                    screen.paint(style, line)
                ))?;
            }
        }
    }
    Ok(())
}

/// The gate in a line: its codes, each with the claims, queries, fields and blocks that it names.
pub fn summary(gate: &Value) -> String {
    if gate.at("open") == true {
        return "open".to_owned();
    }
    let mut codes: Vec<(&str, Vec<&str>)> = Vec::new();
    for reason in gate.list("reasons") {
        let names = ["claim", "query", "field", "block"];
        let name = names.iter().find_map(|name| reason[name].as_str());
        let code = reason.text("code");
        match codes.iter_mut().find(|(known, _)| *known == code) {
            Some((_, named)) => named.extend(name),
            None => codes.push((code, name.into_iter().collect())),
        }
    }
    let said = codes.iter().map(|(code, named)| {
        let shown = named.iter().take(6).copied().collect::<Vec<_>>().join(" ");
        let more = named.len().saturating_sub(6);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{code} {shown}{more}").trim_end().to_owned()
    });
    format!("shut: {}", said.collect::<Vec<_>>().join(" · "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_summary_names_each_code_once() {
        let reason = |code: &str, claim: &str| json!({"code": code, "claim": claim, "detail": "d"});
        let reasons = [
            reason("verdict_adverse", "c4"),
            json!({"code": "not_approved"}),
            reason("verdict_adverse", "c5"),
        ];
        let gate = json!({"open": false, "reasons": reasons});
        assert_eq!(summary(&gate), "shut: verdict_adverse c4 c5 · not_approved");
        assert_eq!(summary(&json!({"open": true})), "open");
    }
}
