//! The real binary, as an operator runs it: started on a configuration file, killed, told to stop, started again on
//! the same data.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use copydesk::config::token::TokenHash;
use serde_json::Value;
use tempfile::TempDir;

/// How long the service may take to be ready, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

const PEOPLE: [(&str, &str); 6] = [
    ("ana", "reporter"),
    ("eva", "editor"),
    ("chen", "checker"),
    ("pia", "publisher"),
    ("carl", "chief"),
    ("audra", "auditor"),
];

/// A file that says that a service is to log all it can.
const LOUD: &str = "loud";

/// A file with what a service's environment is to have, a `NAME=value` on each line.
const ENVIRONMENT: &str = "environment";

/// Somebody's token.
pub fn token(actor: &str) -> String {
    format!("token-of-{actor}")
}

/// A running `copydesk serve`, killed when it is dropped.
pub struct Serving {
    folder: TempDir,
    arguments: Vec<String>,
    child: Child,
    url: String,
    /// Hears of it when the process is ready again by itself.
    again: mpsc::Receiver<String>,
    agent: ureq::Agent,
}

impl Serving {
    /// On an embedded log in a folder of its own.
    pub fn embedded() -> Self {
        Self::start("", Vec::new())
    }

    /// The same, with more in its configuration file.
    pub fn embedded_with(more: &str) -> Self {
        Self::start(more, Vec::new())
    }

    /// On a NATS server's log, its folded state in a folder of its own.
    pub fn on_nats(url: &str) -> Self {
        Self::start("", vec!["--nats".to_owned(), url.to_owned()])
    }

    /// With more in its configuration file, and with these arguments.
    pub fn start(more: &str, arguments: Vec<String>) -> Self {
        Self::start_as("copydesk", more, arguments)
    }

    /// The same, its subjects and streams with another prefix.
    pub fn start_as(prefix: &str, more: &str, arguments: Vec<String>) -> Self {
        let mut more = format!("{more}\n");
        for (name, role) in PEOPLE {
            let hash = TokenHash::of(&token(name));
            write!(more, "[people.{name}]\nroles = [{role:?}]\ntoken = \"{hash}\"\n").unwrap();
        }
        Self::without_people_as(prefix, &more, arguments)
    }

    /// With nobody but those that the configuration's further lines name.
    pub fn without_people(more: &str, arguments: Vec<String>) -> Self {
        Self::without_people_as("copydesk", more, arguments)
    }

    /// The same, its subjects and streams with another prefix.
    pub fn without_people_as(prefix: &str, more: &str, arguments: Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[desk]\nname = \"Test\"\nprefix = {prefix:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n{more}",
            folder.path().join("data")
        );
        std::fs::write(folder.path().join("copydesk.toml"), config).unwrap();
        let (child, url, again) = launch(folder.path(), &arguments);
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Self { folder, arguments, child, url, again, agent: agent.build().into() }
    }

    /// Ends it as a power cut would end the process: at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Tells it to stop (SIGTERM) and gives how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Tells it to read its configuration file again (SIGHUP).
    pub fn hang_up(&self) {
        let told = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("copydesk.toml")
    }

    /// What it said on stderr so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// Starts it again on the same data.
    pub fn start_again(&mut self) {
        (self.child, self.url, self.again) = launch(self.folder.path(), &self.arguments);
    }

    /// Waits until the process has started itself anew.
    pub fn starts_anew(&mut self) {
        self.url = self.again.recv_timeout(PATIENCE).expect("it starts itself anew");
    }

    /// Has it say everything on stderr from its next start on.
    pub fn be_loud(&self) {
        std::fs::write(self.folder.path().join(LOUD), "").unwrap();
    }

    /// Gives it this environment from its next start on.
    pub fn set_environment(&self, variables: &[(&str, String)]) {
        let lines: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        std::fs::write(self.folder.path().join(ENVIRONMENT), lines).unwrap();
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps its folded state, and an embedded log.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where it is reached now.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads a route as somebody.
    pub fn get(&self, actor: &str, route: &str) -> (u16, String) {
        let request = self.agent.get(format!("{}{route}", self.url));
        let mut answer = request.header("Authorization", format!("Bearer {}", token(actor))).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    /// Every event of the log, with its `seq`.
    pub fn events(&self) -> Vec<Value> {
        let (status, lines) = self.get("audra", "/v1/events");
        assert_eq!(status, 200, "{lines}");
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Waits until a condition holds; fails where it doesn't within a time that no working service needs.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a command to a service that may be gone; none where no answer came.
pub fn send(agent: &ureq::Agent, url: &str, actor: &str, command: &Value) -> Option<(u16, Value)> {
    let request = agent.post(format!("{url}/v1/commands")).header("Content-Type", "application/json");
    let request = request.header("Authorization", format!("Bearer {}", token(actor)));
    let mut answer = request.send(command.to_string()).ok()?;
    let body = answer.body_mut().read_to_string().ok()?;
    Some((answer.status().as_u16(), serde_json::from_str(&body).ok()?))
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
            eprintln!("what the service said:\n{said}");
        }
    }
}

/// Starts the binary and waits for the line that says it is ready; gives who hears of further ones, too.
fn launch(folder: &Path, arguments: &[String]) -> (Child, String, mpsc::Receiver<String>) {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("stderr")).unwrap();
    let environment = std::fs::read_to_string(folder.join(ENVIRONMENT)).unwrap_or_default();
    let mut child = Command::new(env!("CARGO_BIN_EXE_copydesk"))
        .args(["serve", "--config"])
        .arg(folder.join("copydesk.toml"))
        .args(arguments)
        .envs(environment.lines().filter_map(|line| line.split_once('=')))
        .env("COPYDESK_LOG", if folder.join(LOUD).exists() { "trace" } else { "info" })
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let (tell, told) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        // Read to the end, so that the service never waits for us.
        for line in stdout.lines().map_while(Result::ok) {
            if let Some(url) = line.strip_prefix("copydesk ready ") {
                let _ = tell.send(url.trim_end_matches('/').to_owned());
            }
        }
    });
    match told.recv_timeout(PATIENCE) {
        Ok(url) => (child, url, told),
        Err(_) => {
            let _ = child.kill();
            panic!("it was never ready\n{}", std::fs::read_to_string(folder.join("stderr")).unwrap());
        }
    }
}
