//! One signed request to a subscriber's address.
//!
//! `ureq` is blocking, and here already for the command line: an attempt is a thread of its own, of which there is a
//! small number. An asynchronous client would bring a second HTTP stack; attempts are some a minute.

use std::io::Read;
use std::thread;
use std::time::Duration;

use ureq::http::{HeaderName, HeaderValue, Request};

use super::letter::Letter;
use super::signature::Key;
use super::{Subscriber, Why};

/// How long an attempt may take, from the look-up of the host to the end of the answer.
pub const ATTEMPT: Duration = Duration::from_secs(15);
/// How much of an answer is read, in bytes, so that its connection can be used again.
const ANSWER_BYTES: u64 = 16 * 1024;
/// What the receiver gets, which any framework takes for JSON; ninjs has no media type that they all know.
const CONTENT_TYPE: &str = "application/json";

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Taken: a status of 2xx.
    Taken,
    /// 410: nothing is to be sent there any more.
    Gone,
    /// Not taken, or nobody knows.
    Failed(Why),
}

/// A subscriber's address.
#[derive(Debug, Clone)]
pub struct Post {
    agent: ureq::Agent,
    url: String,
    key: Key,
}

impl Post {
    /// To a subscriber.
    pub fn to(subscriber: &Subscriber) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(ATTEMPT))
            .tls_config(trust())
            .user_agent(concat!("copydesk/", env!("CARGO_PKG_VERSION")));
        Self { agent: config.build().into(), url: subscriber.url.clone(), key: subscriber.key.clone() }
    }

    /// Sends a message, signed at this Unix time.
    pub async fn send(&self, letter: Letter, timestamp: i64) -> Outcome {
        let (done, outcome) = tokio::sync::oneshot::channel();
        let post = self.clone();
        let sending = move || {
            let _ = done.send(post.attempt(&letter, timestamp));
        };
        match thread::Builder::new().name("webhook".to_owned()).spawn(sending) {
            Ok(_) => outcome.await.unwrap_or(Outcome::Failed(Why::Protocol)),
            Err(error) => {
                tracing::warn!(%error, "no thread for a webhook");
                Outcome::Failed(Why::Unreachable)
            }
        }
    }

    fn attempt(&self, letter: &Letter, timestamp: i64) -> Outcome {
        let id = letter.event.as_hyphenated().to_string();
        let mut request = Request::post(&self.url)
            .header("Content-Type", CONTENT_TYPE)
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.key.sign(&id, timestamp, &letter.body));
        for (name, value) in &letter.headers {
            // What can't be a header here is left out: it is all in the body.
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                request = request.header(name, value);
            }
        }
        let Ok(request) = request.body(&letter.body[..]) else { return Outcome::Failed(Why::Protocol) };
        match self.agent.run(request) {
            Ok(mut answer) => {
                // Whatever it says is not looked at, and what comes after the status can't undo it.
                let mut rest = answer.body_mut().as_reader().take(ANSWER_BYTES);
                let _ = std::io::copy(&mut rest, &mut std::io::sink());
                match answer.status().as_u16() {
                    200..300 => Outcome::Taken,
                    410 => Outcome::Gone,
                    status => Outcome::Failed(Why::Status(status)),
                }
            }
            Err(error) => Outcome::Failed(why(&error)),
        }
    }
}

fn why(error: &ureq::Error) -> Why {
    match error {
        ureq::Error::StatusCode(status) => Why::Status(*status),
        ureq::Error::Timeout(_) => Why::Timeout,
        // What rustls says comes as an error of the stream that it sits on.
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Why::Tls,
        ureq::Error::Io(_) | ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => Why::Unreachable,
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => Why::Tls,
        _ => Why::Protocol,
    }
}

/// The certificates that this machine trusts; where it has none, Mozilla's.
pub fn trust() -> ureq::tls::TlsConfig {
    let own = rustls_native_certs::load_native_certs().certs;
    let roots = if own.is_empty() {
        ureq::tls::RootCerts::WebPki
    } else {
        let certificates =
            own.iter().map(|certificate| ureq::tls::Certificate::from_der(certificate).to_owned());
        ureq::tls::RootCerts::from(certificates)
    };
    ureq::tls::TlsConfig::builder().root_certs(roots).build()
}
