//! The ways into the service: each instance's HTTP, and NATS.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use async_nats::Client;
use serde_json::Value;

use crate::torture::house::token;
use crate::torture::journal::{Members, Outcome};

/// How long a tool waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// One way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// An instance's HTTP.
    Http(usize),
    /// Whichever instance NATS gives the command to.
    Nats,
}

/// All ways in.
#[derive(Debug)]
pub struct Doors {
    /// Where each instance is reached now.
    urls: Vec<RwLock<Option<String>>>,
    nats: Option<Client>,
    agent: ureq::Agent,
}

impl Doors {
    /// The doors of so many instances, none of which is up yet.
    pub fn new(instances: usize, nats: Option<Client>) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = agent.timeout_global(Some(ANSWER_WITHIN)).build().into();
        Self { urls: (0..instances).map(|_| RwLock::default()).collect(), nats, agent }
    }

    /// Says where an instance is reached; nowhere while it is down.
    pub fn moved(&self, instance: usize, to: Option<&str>) {
        if let Some(url) = self.urls.get(instance) {
            *url.write().unwrap_or_else(PoisonError::into_inner) = to.map(str::to_owned);
        }
    }

    /// Where an instance is reached.
    pub fn url(&self, instance: usize) -> Option<String> {
        self.urls.get(instance)?.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many instances there are.
    pub fn instances(&self) -> usize {
        self.urls.len()
    }

    /// Every way in.
    pub fn all(&self) -> Vec<Door> {
        let http = (0..self.urls.len()).map(Door::Http);
        http.chain(self.nats.iter().map(|_| Door::Nats)).collect()
    }

    /// Sends a command once.
    pub async fn send(&self, door: Door, actor: &str, command: &Value) -> Outcome {
        match door {
            Door::Nats => self.send_nats(actor, command).await,
            Door::Http(instance) => self.send_http(instance, actor, command).await,
        }
    }

    async fn send_nats(&self, actor: &str, command: &Value) -> Outcome {
        let Some(client) = &self.nats else { return Outcome::Unknown };
        let subject = format!("copydesk.command.{actor}.{}", command.text("type"));
        let asked = client.request(subject, command.to_string().into());
        let Ok(Ok(answer)) = tokio::time::timeout(ANSWER_WITHIN, asked).await else {
            return Outcome::Unknown;
        };
        let header = |name: &str| answer.headers.as_ref().and_then(|headers| headers.get(name));
        let status =
            header("Nats-Service-Error-Code").map_or(Some(200), |status| status.as_str().parse().ok());
        outcome(status.unwrap_or_default(), &answer.payload)
    }

    async fn send_http(&self, instance: usize, actor: &str, command: &Value) -> Outcome {
        let Some(url) = self.url(instance) else { return Outcome::Unknown };
        let request = self.agent.post(format!("{url}/v1/commands"));
        let request = request.header("Authorization", format!("Bearer {}", token(actor)));
        let body = command.to_string();
        let asked = tokio::task::spawn_blocking(move || {
            let mut answer = request.content_type("application/json").send(body).ok()?;
            Some((answer.status().as_u16(), answer.body_mut().read_to_vec().ok()?))
        });
        match asked.await {
            Ok(Some((status, body))) => outcome(status, &body),
            _ => Outcome::Unknown,
        }
    }

    /// Asks for something to be done. Whether it was isn't told.
    pub async fn post(&self, instance: usize, actor: &str, route: &str) {
        let Some(url) = self.url(instance) else { return };
        let request = self.agent.post(format!("{url}{route}"));
        let request = request.header("Authorization", format!("Bearer {}", token(actor)));
        let _ = tokio::task::spawn_blocking(move || drop(request.send_empty())).await;
    }

    /// Reads a route; as nobody where no actor is named. None where no answer came.
    pub async fn get(&self, instance: usize, actor: Option<&str>, route: &str) -> Option<(u16, String)> {
        self.get_as(instance, actor, route, "*/*").await
    }

    /// The same, in a form that is asked for.
    pub async fn get_as(
        &self,
        instance: usize,
        actor: Option<&str>,
        route: &str,
        form: &str,
    ) -> Option<(u16, String)> {
        let request = self.agent.get(format!("{}{route}", self.url(instance)?));
        let mut request = request.header("Accept", form);
        if let Some(actor) = actor {
            request = request.header("Authorization", format!("Bearer {}", token(actor)));
        }
        let asked = tokio::task::spawn_blocking(move || {
            let mut answer = request.call().ok()?;
            let body = answer.body_mut().with_config().limit(64 << 20).read_to_string().ok()?;
            Some((answer.status().as_u16(), body))
        });
        asked.await.ok()?
    }
}

/// What an answer means. Only what the service itself says, with its `code`, is definite.
fn outcome(status: u16, body: &[u8]) -> Outcome {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match (status, body.text("code")) {
        (200, _) if body.get("version").is_some() => Outcome::Accepted(body),
        (_, "" | "outcome_unknown") => Outcome::Unknown,
        (status, code) => Outcome::Refused { status, code: code.to_owned() },
    }
}
