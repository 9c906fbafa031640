//! The desk as the command line sees it: HTTP to a running service, or the same routes in this process on an
//! embedded folder.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use bytes::Bytes;
use copydesk::deliver::post::trust;
use copydesk::service::{ActingAs, Embedded};
use futures::StreamExt;
use serde_json::Value;
use tower::ServiceExt;

use super::refused::Refused;
use super::screen::Screen;

/// How long a running service may take to be reached.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take to begin its answer; longer than the desk waits for its log.
const ANSWER: Duration = Duration::from_secs(60);
/// What is read at once of a long answer, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// An answer's status and body.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// A way to the desk.
#[derive(Clone)]
pub enum Client {
    /// A running service.
    Remote {
        /// The HTTP client.
        agent: ureq::Agent,
        /// The service's address, without a slash at the end.
        server: String,
        /// The bearer token.
        token: Option<String>,
    },
    /// The routes in this process.
    InProcess {
        /// All routes.
        router: Router,
        /// Who is asking.
        actor: Arc<str>,
        /// What is let go of at the end.
        desk: Option<Arc<dyn Embedded>>,
    },
}

impl Client {
    /// A running service.
    pub fn remote(server: &str, token: Option<String>) -> anyhow::Result<Client> {
        let server = server.trim_end_matches('/').to_owned();
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .user_agent(concat!("copydesk/", env!("CARGO_PKG_VERSION")));
        if server.starts_with("https://") {
            config = config.tls_config(trust());
        } else if !server.starts_with("http://") {
            bail!(super::Misuse(format!("--server: {server} doesn't start with http:// or https://")));
        }
        Ok(Client::Remote { agent: config.build().into(), server, token })
    }

    /// A desk in this process.
    pub fn in_process(desk: Arc<dyn Embedded>, actor: &str) -> Client {
        Client::InProcess { router: desk.router(), actor: actor.into(), desk: Some(desk) }
    }

    /// The same desk in this process, asked by someone else.
    pub fn acting_as(&self, name: &str) -> Client {
        let mut client = self.clone();
        if let Client::InProcess { actor, .. } = &mut client {
            *actor = name.into();
        }
        client
    }

    /// Lets go of an embedded folder.
    pub async fn close(&self) -> anyhow::Result<()> {
        match self {
            Client::InProcess { desk: Some(desk), .. } => desk.close().await,
            _ => Ok(()),
        }
    }

    /// One request, its answer whole.
    pub async fn call(&self, method: Method, path: &str, body: Option<Bytes>) -> anyhow::Result<Reply> {
        let mut whole = Vec::new();
        let mut take = |_, chunk: &[u8]| {
            whole.extend_from_slice(chunk);
            Ok(())
        };
        let status = self.stream(method, path, body, &mut take).await?;
        Ok(Reply { status, body: whole.into() })
    }

    /// One request, its answer in chunks, each with the status.
    async fn stream(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        take: &mut (dyn FnMut(u16, &[u8]) -> anyhow::Result<()> + Send),
    ) -> anyhow::Result<u16> {
        let sends = body.is_some();
        match self {
            Client::Remote { agent, server, token } => {
                let mut request = Request::builder().method(method).uri(format!("{server}{path}"));
                if let Some(token) = token {
                    request = request.header("Authorization", format!("Bearer {token}"));
                }
                if sends {
                    request = request.header("Content-Type", "application/json");
                }
                let request = request.body(body.unwrap_or_default().to_vec())?;
                let no_answer = || format!("no answer from {server}");
                let mut response = agent.run(request).with_context(no_answer)?;
                let status = response.status().as_u16();
                let mut reader = response.body_mut().as_reader();
                let mut chunk = vec![0; CHUNK_BYTES];
                loop {
                    match reader.read(&mut chunk).with_context(no_answer)? {
                        0 => return Ok(status),
                        read => take(status, chunk.get(..read).unwrap_or_default())?,
                    }
                }
            }
            Client::InProcess { router, actor, .. } => {
                let mut request = Request::builder().method(method).uri(path);
                if sends {
                    request = request.header("Content-Type", "application/json");
                }
                let request = request
                    .extension(ActingAs(Arc::clone(actor)))
                    .body(body.map_or_else(Body::empty, Body::from))?;
                let Ok(response) = router.clone().oneshot(request).await;
                let status = response.status().as_u16();
                let mut chunks = response.into_body().into_data_stream();
                while let Some(chunk) = chunks.next().await {
                    take(status, &chunk?)?;
                }
                Ok(status)
            }
        }
    }

    /// Sends a command as bytes: the answer or the refusal, as JSON, and whether it was accepted.
    pub async fn send(&self, command: Bytes) -> anyhow::Result<Reply> {
        self.call(Method::POST, "/v1/commands", Some(command)).await
    }

    /// Sends a command that should be accepted.
    pub async fn command(&self, command: &Value) -> anyhow::Result<Value> {
        let reply = self.send(command.to_string().into()).await?;
        reply.accepted()
    }

    /// Reads JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await?.accepted()
    }

    /// Reads an answer that may be long, straight to the screen.
    pub async fn copy(&self, path: &str, screen: &mut Screen) -> anyhow::Result<()> {
        // On a terminal lines are made safe as text, which a chunk may cut within a character.
        self.lines(path, &mut |lines| Ok(screen.raw(lines)?)).await
    }

    /// Reads an answer of lines that may be long: whole lines, some at a time, with what ends each; at last what
    /// stands after the last of them.
    pub async fn lines(
        &self,
        path: &str,
        take: &mut (dyn FnMut(&[u8]) -> anyhow::Result<()> + Send),
    ) -> anyhow::Result<()> {
        let mut refusal = Vec::new();
        let mut rest = Vec::new();
        let status = self
            .stream(Method::GET, path, None, &mut |status, chunk| {
                if status != 200 {
                    refusal.extend_from_slice(chunk);
                    return Ok(());
                }
                rest.extend_from_slice(chunk);
                let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                if whole == 0 {
                    return Ok(());
                }
                let lines: Vec<u8> = rest.drain(..whole).collect();
                take(&lines)
            })
            .await?;
        if status != 200 {
            return Err(Refused::read(status, &refusal).into());
        }
        if rest.is_empty() { Ok(()) } else { take(&rest) }
    }
}

impl Reply {
    /// The answer's JSON.
    pub fn accepted(&self) -> anyhow::Result<Value> {
        if self.status != 200 {
            return Err(Refused::read(self.status, &self.body).into());
        }
        serde_json::from_slice(&self.body).context("the answer isn't JSON: is this a copydesk service?")
    }
}

/// Whether a service was never reached, so that nothing was sent to it.
pub fn never_reached(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<ureq::Error>() {
        // Any other failure of a connection may be of one that had carried it.
        Some(ureq::Error::Io(error)) => error.kind() == ErrorKind::ConnectionRefused,
        Some(ureq::Error::Timeout(step)) => matches!(step, ureq::Timeout::Resolve | ureq::Timeout::Connect),
        Some(error) => matches!(error, ureq::Error::HostNotFound | ureq::Error::ConnectionFailed),
        None => false,
    }
}

/// A value for a path or query, with everything escaped that isn't plainly harmless (RFC 3986, section 2.3).
pub fn escape(value: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    value.bytes().map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A path with a query of those values that are there.
pub fn with_query(path: &str, values: &[(&str, Option<String>)]) -> String {
    let given =
        values.iter().filter_map(|(name, value)| Some(format!("{name}={}", escape(value.as_deref()?))));
    let query: Vec<String> = given.collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_running_service_is_asked_over_http() {
        use super::super::testing::{TestDesk, shown};
        let router = TestDesk::new().router().layer(axum::Extension(ActingAs("ana".into())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = Client::remote(&server, Some("cd_token".to_owned())).unwrap();
        let draft = r#"{"id":"0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01","type":"draft","data":{"slug":"s","language":"en"}}"#;
        let answer = client.send(draft.into()).await.unwrap().accepted().unwrap();
        assert_eq!(answer["version"], 1);
        let error = client.get("/v1/articles/0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01").await.unwrap_err();
        assert_eq!(error.downcast_ref::<Refused>().unwrap().code(), "not_found");
        let (mut screen, out) = shown(false);
        client.copy("/feed.json", &mut screen).await.unwrap();
        screen.flush().unwrap();
        assert_eq!(out.text(), r#"{"items":[]}"#);
    }

    #[test]
    fn a_server_is_an_http_address() {
        assert!(
            Client::remote("localhost:8080", None).is_err_and(|error| error.is::<super::super::Misuse>())
        );
        assert!(Client::remote("https://desk.example.test", None).is_ok());
    }

    #[test]
    fn what_is_put_in_a_query_stays_in_it() {
        let path = with_query(
            "/v1/events",
            &[("until", Some("2026-01-01T00:00:00+01:00&a".into())), ("from", None)],
        );
        assert_eq!(path, "/v1/events?until=2026-01-01T00%3A00%3A00%2B01%3A00%26a");
        assert_eq!(with_query("/x", &[("a", None)]), "/x");
    }
}
