//! A real nats-server of a test's own: on a port that the system picks, with its store in a temporary folder,
//! killed when it is dropped.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions};

/// How long a server may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// `sync_interval: always`.
    pub sync_always: bool,
    /// More lines for the configuration file.
    pub extra: String,
}

/// A nats-server with JetStream.
pub struct NatsServer {
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl NatsServer {
    /// A server with its defaults.
    pub fn start() -> Self {
        Self::with(&Setup::default())
    }

    /// A server set up in a certain way.
    pub fn with(setup: &Setup) -> Self {
        let sync = if setup.sync_always { "sync_interval: always" } else { "" };
        Self::configured(&format!("jetstream {{ {sync} }}\n{}\n", setup.extra))
    }

    /// A server with a configuration that doesn't say where it listens and stores.
    pub fn configured(config: &str) -> Self {
        let folder = new_folder();
        fs::write(folder.join("nats.conf"), config).unwrap();
        let (child, port) = launch(&folder, -1);
        Self { folder, port, child }
    }

    /// Three servers of one cluster.
    pub fn cluster() -> Vec<Self> {
        // All three must know each other's port before any has one, so the system is asked for three free ones.
        let free: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = free.iter().map(|l| l.local_addr().unwrap().port()).collect();
        drop(free);
        let routes: Vec<String> = ports.iter().map(|p| format!("nats://127.0.0.1:{p}")).collect();
        let launch_one = |(number, port): (usize, &u16)| {
            Self::with(&Setup {
                sync_always: false,
                extra: format!(
                    "server_name: n{number}\ncluster {{ name: c, listen: \"127.0.0.1:{port}\", routes: {routes:?} }}"
                ),
            })
        };
        ports.iter().enumerate().map(launch_one).collect()
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it keeps its streams.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// A connection that comes back as soon as the server does.
    pub async fn client(&self) -> Client {
        connect(std::slice::from_ref(self)).await
    }

    /// Ends it as a power cut would end the process: at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same port and store.
    pub fn start_again(&mut self) {
        let (child, port) = launch(&self.folder, i32::from(self.port));
        assert_eq!(port, self.port);
        self.child = child;
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A connection to any of several servers that comes back as soon as one does.
pub async fn connect(servers: &[NatsServer]) -> Client {
    let urls: Vec<async_nats::ServerAddr> = servers.iter().map(|s| s.url().parse().unwrap()).collect();
    ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(20))
        .connection_timeout(Duration::from_secs(5))
        .connect(urls)
        .await
        .unwrap()
}

/// The server's binary.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("COPYDESK_NATS_SERVER") {
        return path.into();
    }
    let installed = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join(".tools/nats-server"))
        .find(|path| path.is_file());
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("nats-server")).find(|path| path.is_file())
    };
    installed.or_else(in_path).expect("there is no nats-server here: run ./check or scripts/nats-server")
}

fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("copydesk-nats-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Starts a server and waits until it says on which port it listens.
fn launch(folder: &Path, port: i32) -> (Child, u16) {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    let mut child = Command::new(binary())
        .args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--config"])
        .arg(folder.join("nats.conf"))
        .arg("--store_dir")
        .arg(folder.join("store"))
        .arg("--ports_file_dir")
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("nats-server starts");
    let ports_file = folder.join(format!("nats-server_{}.ports", child.id()));
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if let Some(port) = fs::read(&ports_file).ok().and_then(|text| client_port(&text)) {
            let _ = fs::remove_file(&ports_file);
            return (child, port);
        }
        let ended = child.try_wait().unwrap();
        if ended.is_some() || Instant::now() > deadline {
            let _ = child.kill();
            let said = fs::read_to_string(folder.join("log")).unwrap_or_default();
            panic!("nats-server did not start: {ended:?}\n{said}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn client_port(ports: &[u8]) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_slice(ports).ok()?;
    ports.get("nats")?.get(0)?.as_str()?.rsplit(':').next()?.parse().ok()
}
