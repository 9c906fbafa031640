//! Discovery by the protocol of NATS micro services (ADR-32): `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS`, for all
//! services, those of our name, and this instance.

use std::sync::Arc;

use async_nats::{Client, Message, SubscribeError, Subscriber};
use chrono::{DateTime, SecondsFormat, Utc};
use futures::StreamExt;
use futures::stream::{SelectAll, select_all};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{SERVICE, Stats, answer};

const VERBS: [&str; 3] = ["PING", "INFO", "STATS"];
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What others can find out of this instance.
#[derive(Debug)]
pub(super) struct Discovery {
    questions: SelectAll<Subscriber>,
    id: String,
    started: DateTime<Utc>,
    subject: String,
    inboxes: String,
    stats: Arc<Stats>,
}

impl Discovery {
    /// Subscribes for an instance that answers commands on `subject`.
    pub(super) async fn open(
        client: &Client,
        subject: &str,
        inboxes: &str,
        stats: &Arc<Stats>,
    ) -> Result<Self, SubscribeError> {
        let id = Uuid::new_v4().simple().to_string();
        let mut questions = Vec::new();
        for verb in VERBS {
            for scope in [String::new(), format!(".{SERVICE}"), format!(".{SERVICE}.{id}")] {
                questions.push(client.subscribe(format!("$SRV.{verb}{scope}")).await?);
            }
        }
        Ok(Self {
            questions: select_all(questions),
            id,
            started: Utc::now(),
            subject: subject.to_owned(),
            inboxes: inboxes.to_owned(),
            stats: Arc::clone(stats),
        })
    }

    /// Answers until the connection is closed for good.
    pub(super) async fn answer(mut self, client: Client) {
        while let Some(question) = self.questions.next().await {
            let Some(reply) = answer::inbox(question.reply.as_ref(), &self.inboxes) else {
                self.stats.passed_over();
                continue;
            };
            let Some(said) = self.say(&question) else { continue };
            if let Err(error) = client.publish(reply.clone(), said.to_string().into()).await {
                tracing::debug!(%error, "a question of discovery could not be answered");
            }
        }
    }

    fn say(&self, question: &Message) -> Option<Value> {
        let verb = question.subject.split('.').nth(1)?;
        let mut said = json!({
            "type": format!("io.nats.micro.v1.{}_response", verb.to_ascii_lowercase()),
            "name": SERVICE, "id": self.id, "version": VERSION, "metadata": {},
        });
        let more = match verb {
            "INFO" => json!({
                "description": env!("CARGO_PKG_DESCRIPTION"),
                "endpoints": [self.endpoint()],
            }),
            "STATS" => json!({
                "started": self.started.to_rfc3339_opts(SecondsFormat::Nanos, true),
                "endpoints": [self.counted()],
            }),
            _ => json!({}),
        };
        if let (Value::Object(said), Value::Object(more)) = (&mut said, more) {
            said.extend(more);
        }
        Some(said)
    }

    fn endpoint(&self) -> Value {
        json!({"name": "command", "subject": self.subject, "queue_group": SERVICE, "metadata": {}})
    }

    fn counted(&self) -> Value {
        let stats = &self.stats;
        let nanos = u64::try_from(stats.time().as_nanos()).unwrap_or(u64::MAX);
        let last = stats.last_refusal().map(|code| format!("{}:{}", code.status(), code.name()));
        json!({
            "name": "command", "subject": self.subject, "queue_group": SERVICE,
            "num_requests": stats.answered(), "num_errors": stats.refused(),
            "last_error": last.unwrap_or_default(),
            "processing_time": nanos,
            "average_processing_time": nanos.checked_div(stats.answered()).unwrap_or_default(),
            "data": {"busy": stats.busy(), "unanswerable": stats.unanswerable()},
        })
    }
}
