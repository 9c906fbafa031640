//! Receivers of webhooks: one that takes everything, one that fails at times, one that never answers. What they get is
//! written down before they answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::torture::dice::Dice;
use crate::torture::journal::Delivered;
use crate::torture::load::Shared;

/// What editions are signed with.
const SECRET: [u8; 32] = [0x5a; 32];
/// How many of a hundred deliveries the second receiver fails.
const FAILS_PERCENT: u64 = 25;
/// How long it may keep somebody waiting.
const SLOWLY: Duration = Duration::from_millis(400);

/// The receiver that takes everything.
pub(super) const HEALTHY: &str = "healthy";
/// The one that fails at times.
pub(super) const AT_TIMES: &str = "at-times";
/// The one that never answers.
const SILENT: &str = "silent";

/// Where they listen.
#[derive(Debug)]
pub(super) struct Receivers {
    listeners: Vec<(&'static str, TcpListener)>,
    is_calm: Arc<AtomicBool>,
}

/// One of them.
#[derive(Clone)]
struct Receiver {
    name: &'static str,
    shared: Arc<Shared>,
    dice: Arc<std::sync::Mutex<Dice>>,
    is_calm: Arc<AtomicBool>,
}

impl Receivers {
    pub(super) async fn bind() -> anyhow::Result<Self> {
        let mut listeners = Vec::new();
        for name in [HEALTHY, AT_TIMES, SILENT] {
            listeners.push((name, TcpListener::bind("127.0.0.1:0").await?));
        }
        Ok(Self { listeners, is_calm: Arc::default() })
    }

    /// What an instance's configuration says of them.
    pub(super) fn config(&self) -> anyhow::Result<String> {
        let mut config = String::new();
        for (name, listener) in &self.listeners {
            let (at, secret) = (listener.local_addr()?, STANDARD.encode(SECRET));
            config += &format!(
                "[webhooks.{name}]\nurl = \"http://{at}/\"\nsecret = \"whsec_{secret}\"\nfrom = \"start\"\n"
            );
        }
        Ok(config)
    }

    /// Has them receive until the set is dropped. While the flag that is given is up, none fails.
    pub(super) fn start(
        self,
        shared: &Arc<Shared>,
        watchers: &mut JoinSet<()>,
        dice: &mut Dice,
    ) -> Arc<AtomicBool> {
        shared.journal().receivers = vec![HEALTHY, AT_TIMES];
        for (number, (name, listener)) in (300..).zip(self.listeners) {
            let receiver = Receiver {
                name,
                shared: Arc::clone(shared),
                dice: Arc::new(dice.another(number).into()),
                is_calm: Arc::clone(&self.is_calm),
            };
            let router = Router::new().fallback(receive).with_state(receiver);
            watchers.spawn(async move { drop(axum::serve(listener, router).await) });
        }
        self.is_calm
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if receiver.name == SILENT {
        std::future::pending::<()>().await;
    }
    let (status, pause) = receiver.mood();
    tokio::time::sleep(pause).await;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let delivered = Delivered {
        receiver: receiver.name,
        event: header("webhook-id").to_owned(),
        body: Sha256::digest(&body).into(),
        is_signed: is_signed(
            [header("webhook-id"), header("webhook-timestamp")],
            header("webhook-signature"),
            &body,
        ),
        is_taken: status.is_success(),
    };
    let mut journal = receiver.shared.journal();
    journal.saw_outside("a webhook", &String::from_utf8_lossy(&body), Utc::now());
    journal.delivered.push(delivered);
    status
}

impl Receiver {
    /// What is answered, and after how long.
    fn mood(&self) -> (StatusCode, Duration) {
        let fails = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::FOUND, StatusCode::BAD_REQUEST];
        let mut dice = self.dice.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (is_calm, fails_now) = (self.is_calm.load(Ordering::Relaxed), dice.chance(FAILS_PERCENT));
        let status = dice.pick(&fails).copied().filter(|_| fails_now && self.name == AT_TIMES && !is_calm);
        let is_slow = self.name == AT_TIMES && !is_calm && dice.chance(10);
        (status.unwrap_or(StatusCode::NO_CONTENT), if is_slow { SLOWLY } else { Duration::ZERO })
    }
}

/// Whether a message is signed as Standard Webhooks has it, now or a little while ago.
fn is_signed([id, timestamp]: [&str; 2], signature: &str, body: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&SECRET) else { return false };
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    let age = timestamp.parse::<i64>().map_or(i64::MAX, |at| (Utc::now().timestamp() - at).abs());
    age < 60 && signature == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
