//! The load: articles of about 2 KB, each drafted once and then edited word by word.

use std::sync::Arc;

use anyhow::anyhow;
use copydesk_article::command::{Command, Hints};
use serde_json::json;
use uuid::Uuid;

use crate::desk::Desk;

/// One article's commands, made before the clock starts.
pub(super) struct Script {
    /// The commands in order, each good only after the one before.
    pub commands: Vec<Vec<u8>>,
}

impl Script {
    /// Has every command decided, one after the other.
    pub async fn send(self, desk: &Desk) -> anyhow::Result<()> {
        let actor: Arc<str> = "ana".into();
        for body in self.commands {
            let command =
                Command::read(&body, Hints::default()).map_err(|problem| anyhow!(problem.detail))?;
            desk.command(&actor, &command).await.map_err(|problem| anyhow!(problem.detail))?;
        }
        Ok(())
    }
}

/// Scripts of `writers` articles with `commands` commands in all.
pub(super) fn scripts(writers: usize, commands: usize) -> Vec<Script> {
    let each = commands.div_ceil(writers).max(2);
    (0..writers).map(|_| script(each)).collect()
}

fn script(commands: usize) -> Script {
    let article = Uuid::new_v4();
    let paragraph =
        "The river rose overnight, and the wardens counted the houses along its lower bank again. ";
    let draft = json!({
        "id": Uuid::new_v4(), "type": "draft", "article": article,
        "data": {
            "slug": "river", "language": "en", "section": "world/asia", "headline": "The river rises",
            "blocks": (0..8).map(|n| json!({"kind": "paragraph", "text": format!("{n}. {}", paragraph.repeat(3))}))
                .collect::<Vec<_>>(),
        },
    });
    let edit = |n: usize| {
        json!({
            "id": Uuid::new_v4(), "type": "edit", "article": article, "base": n,
            "data": {"ops": [{
                "op": "replace", "block": format!("b{}", n % 8 + 1),
                "text": format!("{n}. {}And then there was call {n}. {}", paragraph.repeat(2), paragraph),
            }]},
        })
    };
    let all = std::iter::once(draft).chain((1..commands).map(edit));
    Script { commands: all.map(|command| command.to_string().into_bytes()).collect() }
}
