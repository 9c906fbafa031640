//! The network between servers of a cluster, and to their clients: small TCP proxies whose weather changes.
//!
//! What TCP carries comes in order or not at all; so a proxy delays, carries nothing, cuts, or cuts half-way through what
//! it carries, and never reorders within a connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How a connection fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// As if it weren't there.
    Fair,
    /// Everything takes this much longer.
    Delay(Duration),
    /// Nothing is carried, and nothing closed.
    Silence,
    /// Everything is closed, and nothing taken.
    Cut,
    /// Half of what comes next is carried, then all is closed. New connections are as in fair weather once this ends.
    Halve,
}

/// A proxy to one port.
#[derive(Debug)]
pub(super) struct Link {
    port: u16,
    weather: Arc<watch::Sender<Weather>>,
    accepting: JoinHandle<()>,
}

impl Link {
    /// To a port of this machine.
    pub(super) async fn open(to: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let weather = Arc::new(watch::Sender::new(Weather::Fair));
        let accepting = tokio::spawn(accept(listener, to, Arc::clone(&weather)));
        Ok(Self { port, weather, accepting })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set(Weather::Cut);
    }
}

async fn accept(listener: TcpListener, to: u16, weather: Arc<watch::Sender<Weather>>) {
    while let Ok((client, _)) = listener.accept().await {
        if matches!(*weather.borrow(), Weather::Cut | Weather::Halve) {
            continue;
        }
        let (out, back) = (weather.subscribe(), weather.subscribe());
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            // Where one direction ends, both do.
            tokio::select! {
                () = carry(from_client, to_server, out) => {}
                () = carry(from_server, to_client, back) => {}
            }
        });
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            cut = weather.wait_for(|weather| *weather == Weather::Cut) => {
                drop(cut);
                return;
            }
            read = from.read(&mut buffer) => read,
        };
        let Some(chunk) = read.ok().filter(|read| *read > 0).and_then(|read| buffer.get(..read)) else {
            return;
        };
        let now = *weather.borrow();
        match now {
            Weather::Fair => {}
            Weather::Delay(by) => tokio::time::sleep(by).await,
            Weather::Silence => {
                if weather.wait_for(|weather| *weather != Weather::Silence).await.is_err() {
                    return;
                }
            }
            Weather::Cut => return,
            Weather::Halve => {
                let _ = to.write_all(chunk.get(..chunk.len() / 2).unwrap_or_default()).await;
                return;
            }
        }
        if to.write_all(chunk).await.is_err() {
            return;
        }
    }
}
