//! Connections to NATS: one that answers commands, one that writes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr};

/// How long one attempt to connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How often a silent connection is tried: after twice as long it is given up and made anew.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long a request waits for its answer, where whoever asks sets no time of their own.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// The pause before a lost connection is first made anew; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What the service's own inboxes begin with: apart from everybody's, so that the server's permissions can keep
/// others from reading there, or answering in the place of JetStream.
const INBOXES: &str = "_INBOX.copydesk";
/// What the inboxes of a process begin with that serves readers alone: apart from the service's, where events pass.
pub const FEED_INBOXES: &str = "_INBOX.copydesk-feed";

/// The inboxes that no command is answered to.
pub(super) const OWN_INBOXES: [&str; 2] = [INBOXES, FEED_INBOXES];

/// Why there is no connection. Names servers, never what a URL holds beside them.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL can't be read.
    #[error("a NATS URL can't be read: write nats://host:4222, several separated by commas")]
    Url,
    /// The credentials can't be read.
    #[error("the NATS credentials {path} can't be used: {source}", path = path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No server took the connection.
    #[error("no connection to NATS at {servers}: {source}")]
    Failed {
        /// The servers tried.
        servers: String,
        /// Why.
        source: async_nats::ConnectError,
    },
}

/// Connects to one of several servers (`nats://host:4222`, separated by commas), and comes back to one of them
/// whenever the connection is lost, for ever. `credentials` is a file with a `.creds` or with an nkey's seed; `role`
/// is what the connection is for, as operators see it in its name.
///
/// # Errors
/// [`ConnectError`], where there is no connection to begin with.
pub async fn connect(
    url: &str,
    credentials: Option<&Path>,
    role: &'static str,
) -> Result<Client, ConnectError> {
    connect_with(url, credentials, role, INBOXES).await
}

/// The same, with inboxes of its own.
///
/// # Errors
/// As [`connect`].
pub async fn connect_with(
    url: &str,
    credentials: Option<&Path>,
    role: &'static str,
    inboxes: &str,
) -> Result<Client, ConnectError> {
    let servers: Result<Vec<ServerAddr>, _> = url.split(',').map(|one| one.trim().parse()).collect();
    let servers = servers.map_err(|_| ConnectError::Url)?;
    let mut options = ConnectOptions::new()
        .name(format!("copydesk {role}"))
        .custom_inbox_prefix(inboxes)
        .connection_timeout(CONNECT_WITHIN)
        .ping_interval(PING_INTERVAL)
        .request_timeout(Some(REQUEST_WITHIN))
        .max_reconnects(None)
        .reconnect_delay_callback(pause)
        .event_callback(move |event| async move { note(role, &event) });
    if let Some(path) = credentials {
        let unusable = |source| ConnectError::Credentials { path: path.to_owned(), source };
        let secret = tokio::fs::read_to_string(path).await.map_err(unusable)?;
        options = match secret.trim() {
            seed if seed.starts_with("SU") => options.nkey(seed.to_owned()),
            _ => options.credentials(&secret).map_err(unusable)?,
        };
    }
    options.connect(servers).await.map_err(|source| ConnectError::Failed { servers: shown(url), source })
}

/// The servers that a URL names, without what it holds beside them.
pub fn shown(url: &str) -> String {
    let name = |one: &str| match one.trim().parse::<ServerAddr>() {
        Ok(server) => format!("{}:{}", server.host(), server.port()),
        Err(_) => "an address that can't be read".to_owned(),
    };
    url.split(',').map(name).collect::<Vec<_>>().join(", ")
}

/// The pause before an attempt to connect, the first being 1.
fn pause(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

fn note(role: &str, event: &Event) {
    match event {
        Event::Connected => tracing::info!(role, "connected to NATS"),
        Event::Draining | Event::Closed => tracing::debug!(role, %event, "the connection to NATS ends"),
        // What was dropped has no answer; the intake takes faster than the network brings, so this is a fault.
        Event::SlowConsumer(_) => tracing::error!(role, "messages from NATS were dropped unread"),
        Event::Disconnected | Event::LameDuckMode | Event::ServerError(_) | Event::ClientError(_) => {
            tracing::warn!(role, %event, "the connection to NATS is in trouble");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = [0, 1, 2, 3, 6, 7, 1000, usize::MAX].map(|n| pause(n).as_millis());
        assert_eq!(pauses, [50, 50, 100, 200, 1600, 2000, 2000, 2000]);
    }

    #[tokio::test]
    async fn an_error_tells_no_password() {
        for url in ["nats://ana:s3cret@127.0.0.1:1", "nats://ana:s3cret@[::1"] {
            let error = connect(url, None, "test").await.unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(!said.contains("s3cret"), "{said}");
        }
        let error =
            connect("nats://127.0.0.1:1", Some(Path::new("/nowhere/x.creds")), "test").await.unwrap_err();
        assert!(error.to_string().contains("/nowhere/x.creds"), "{error}");
    }
}
