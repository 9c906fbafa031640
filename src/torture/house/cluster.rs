//! NATS servers and what lies between them: one alone, or a cluster of three, every one of whose connections goes through
//! a proxy.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, ServerAddr};
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::links::{Link, Weather};
use super::server::{Server, free_port};
use crate::torture::journal::Members;

/// How many servers a cluster has.
const SERVERS: usize = 3;

/// How long a connection may take.
const CONNECTED_WITHIN: Duration = Duration::from_secs(30);

/// The servers.
#[derive(Debug)]
pub(super) struct Servers {
    servers: Vec<Server>,
    /// From one server to another, by their numbers.
    routes: Vec<(usize, usize, Link)>,
    /// From clients to a server. Empty for one server alone, whose clients reach it themselves.
    doors: Vec<Link>,
}

impl Servers {
    /// One server.
    pub(super) async fn alone(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        let mut server = Server::new(binary, folder.join("nats"), "")?;
        server.start().await?;
        Ok(Self { servers: vec![server], routes: Vec::new(), doors: Vec::new() })
    }

    /// Three.
    pub(super) async fn cluster(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        let ports: Vec<u16> = (0..SERVERS).map(|_| free_port()).collect::<Result<_, _>>()?;
        let mut routes = Vec::new();
        for from in 0..SERVERS {
            for (to, port) in ports.iter().enumerate().filter(|(to, _)| *to != from) {
                routes.push((from, to, Link::open(*port).await?));
            }
        }
        let (mut servers, mut doors) = (Vec::new(), Vec::new());
        // Servers tell each other where they listen; nothing listens there, so that they keep to the proxies.
        let nowhere = free_port()?;
        for (number, port) in ports.iter().enumerate() {
            let own = routes.iter().filter(|(from, ..)| *from == number);
            let urls: Vec<String> =
                own.map(|(_, _, link)| format!("nats://127.0.0.1:{}", link.port())).collect();
            let config = format!(
                "server_name: n{number}\ncluster {{ name: torture, listen: \"127.0.0.1:{port}\", \
                 advertise: \"127.0.0.1:{nowhere}\", no_advertise: true, routes: {urls:?} }}"
            );
            let server = Server::new(binary, folder.join(format!("nats-{number}")), &config)?;
            doors.push(Link::open(server.port()).await?);
            servers.push(server);
        }
        let mut servers = Self { servers, routes, doors };
        try_join_all(servers.servers.iter_mut().map(Server::start)).await?;
        Ok(servers)
    }

    pub(super) fn replicas(&self) -> usize {
        self.servers.len()
    }

    /// Where clients reach them, beginning with one.
    pub(super) fn url(&self, first: usize) -> String {
        let mut ports = self.ports();
        let first = first % ports.len().max(1);
        ports.rotate_left(first);
        let urls: Vec<String> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        urls.join(",")
    }

    /// One of their ports.
    pub(super) fn a_port(&self) -> Option<u16> {
        self.ports().first().copied()
    }

    fn ports(&self) -> Vec<u16> {
        match self.doors.is_empty() {
            true => self.servers.iter().map(Server::port).collect(),
            false => self.doors.iter().map(Link::port).collect(),
        }
    }

    /// A connection that comes back as soon as a server does.
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        let urls = self.url(0);
        let urls: Result<Vec<ServerAddr>, _> = urls.split(',').map(str::parse).collect();
        let options = ConnectOptions::new()
            .retry_on_initial_connect()
            .reconnect_delay_callback(|_| Duration::from_millis(50))
            .connection_timeout(Duration::from_secs(3))
            .ping_interval(Duration::from_secs(2));
        let client = options.connect(urls?).await.context("no connection to the nats-server")?;
        let connected = async {
            while client.connection_state() != State::Connected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(CONNECTED_WITHIN, connected)
            .await
            .context("no connection to the nats-server")?;
        Ok(client)
    }

    /// Kill -9.
    pub(super) fn kill(&mut self, number: usize) {
        let number = number % self.servers.len().max(1);
        if let Some(server) = self.servers.get_mut(number) {
            server.kill();
        }
    }

    pub(super) async fn start(&mut self, number: usize) -> anyhow::Result<()> {
        let number = number % self.servers.len().max(1);
        match self.servers.get_mut(number) {
            Some(server) => server.start().await,
            None => Ok(()),
        }
    }

    /// Changes the weather around a server.
    pub(super) fn weather(&self, number: usize, weather: Weather) {
        let around = self.routes.iter().filter(|(from, to, _)| *from == number || *to == number);
        around.map(|(_, _, link)| link).chain(self.doors.get(number)).for_each(|link| link.set(weather));
    }

    /// The server that leads the events.
    pub(super) async fn leader(&self, client: &Client) -> Option<usize> {
        let asked = client.request("$JS.API.STREAM.INFO.COPYDESK_EVENTS", json!({}).to_string().into());
        let answer = tokio::time::timeout(Duration::from_secs(5), asked).await.ok()?.ok()?;
        let info: Value = serde_json::from_slice(&answer.payload).ok()?;
        info.at("cluster").text("leader").strip_prefix('n')?.parse().ok()
    }
}
