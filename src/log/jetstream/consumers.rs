//! Durable consumers on a stream, and how far each has got: the server keeps that for them.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Raw;
use crate::log::{Consumer, LogError, Seq};

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    total: usize,
    #[serde(default)]
    consumers: Vec<Info>,
}

#[derive(Deserialize)]
struct Info {
    created: DateTime<Utc>,
    config: Config,
    ack_floor: Place,
    delivered: Place,
    #[serde(default)]
    num_pending: u64,
    #[serde(default)]
    num_ack_pending: u64,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    durable_name: String,
    #[serde(default)]
    deliver_policy: String,
    #[serde(default)]
    opt_start_seq: Seq,
    opt_start_time: Option<DateTime<Utc>>,
    #[serde(default)]
    ack_policy: String,
    #[serde(default)]
    filter_subject: String,
    #[serde(default)]
    filter_subjects: Vec<String>,
}

#[derive(Deserialize)]
struct Place {
    #[serde(default)]
    stream_seq: Seq,
}

/// The durable consumers of a stream, by name.
pub(super) async fn durable(raw: &Raw) -> Result<Vec<Consumer>, LogError> {
    let mut found = Vec::new();
    let mut offset = 0;
    loop {
        let page: Listed = raw
            .api("CONSUMER.LIST", "", &json!({ "offset": offset }))
            .await
            .map_err(|failure| raw.unavailable(&failure))?;
        offset += page.consumers.len();
        let is_last = page.consumers.is_empty() || offset >= page.total;
        let durable = page.consumers.into_iter().filter(|info| !info.config.durable_name.is_empty());
        found.extend(durable.map(|info| info.consumer(raw)));
        if is_last {
            found.sort_by(|a, b| a.name.cmp(&b.name));
            return Ok(found);
        }
    }
}

/// Sees to it that there is a durable consumer of that name on the wire, which is pulled from and acknowledges each
/// message, for these homes (all, where there are none). One that is there is brought to these homes and keeps its
/// place.
///
/// # Errors
/// [`LogError`] where JetStream refuses it or can't be asked.
pub(super) async fn provide(raw: &Raw, name: &str, homes: &[String]) -> Result<(), LogError> {
    let filters: Vec<String> = match homes {
        [] => vec![raw.full(">")],
        homes => homes.iter().map(|home| raw.full(home)).collect(),
    };
    let request = json!({
        "stream_name": raw.name,
        "config": {
            "durable_name": name,
            "name": name,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "filter_subjects": filters,
        },
    });
    let made: Result<Value, _> = raw.api("CONSUMER.CREATE", &format!(".{name}"), &request).await;
    made.map(drop).map_err(|failure| raw.unavailable(&failure))
}

impl Info {
    fn consumer(self, raw: &Raw) -> Consumer {
        let Config { durable_name, ack_policy, filter_subject, mut filter_subjects, .. } = self.config;
        // The server doesn't say where one began that was to begin with what is new; when is all that is known.
        let since = match self.config.deliver_policy.as_str() {
            "all" | "by_start_sequence" => None,
            "by_start_time" => self.config.opt_start_time,
            _ => Some(self.created),
        };
        let began = self.config.opt_start_seq.saturating_sub(1);
        if !filter_subject.is_empty() {
            filter_subjects.push(filter_subject);
        }
        let all = raw.full(">");
        let homes = if filter_subjects.iter().any(|filter| *filter == all || filter == ">") {
            Vec::new()
        } else {
            filter_subjects.iter().map(|filter| raw.short(filter).to_owned()).collect()
        };
        let taken = match ack_policy.as_str() {
            // It acknowledges nothing: what it was sent is all that is known.
            "none" => self.delivered.stream_seq,
            // The floor stays where the last acknowledged message stood, though nothing after it is for it.
            _ if self.num_pending == 0 && self.num_ack_pending == 0 => {
                self.ack_floor.stream_seq.max(self.delivered.stream_seq)
            }
            _ => self.ack_floor.stream_seq,
        };
        Consumer { name: durable_name, homes, began, since, taken }
    }
}
