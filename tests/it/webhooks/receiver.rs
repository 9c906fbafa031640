//! A receiver of webhooks as a subscriber might write one, on plain sockets: it checks signatures by the letter of the
//! specification, and fails in every way that it is told to.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What every subscriber's messages are signed with here.
pub const SECRET: &str = "whsec_c2VjcmV0LW9mLXRoZS1hcmNoaXZlLTAxMjM0NTY3ODk=";

/// What came.
#[derive(Debug, Clone)]
pub struct Got {
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    /// What it was answered.
    pub act: Act,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn ninjs(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Article and edition.
    pub fn edition(&self) -> (String, String) {
        let ninjs = self.ninjs();
        let uri = ninjs["uri"].as_str().unwrap().strip_prefix("urn:uuid:").unwrap().to_owned();
        (uri, ninjs["version"].as_str().unwrap().to_owned())
    }

    /// That the signature is the one that the specification asks for: HMAC-SHA256 (RFC 2104) of
    /// `id.timestamp.body`, in base64, after `v1,`; and that it is fresh.
    pub fn is_signed(&self) {
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
        let padded = |pad: u8| (0..64).map(|n| key.get(n).unwrap_or(&0) ^ pad).collect::<Vec<u8>>();
        let signed = [padded(0x36).as_slice(), id.as_bytes(), b".", at.as_bytes(), b".", &self.body].concat();
        let mac = Sha256::digest([padded(0x5c).as_slice(), &Sha256::digest(signed)].concat());
        assert_eq!(self.header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac)));
        let age = chrono::Utc::now().timestamp() - at.parse::<i64>().unwrap();
        assert!((0..300).contains(&age), "{age}");
        assert!(!id.is_empty() && !id.contains('.'), "{id}");
    }
}

/// What a receiver does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Answers with a status.
    Say(u16),
    /// Answers twice on one connection.
    Twice,
    /// Takes it and never answers.
    Hang,
    /// Takes it and cuts the connection.
    Cut,
    /// Answers with a status and a body without end.
    Flood,
}

type Behaviour = Box<dyn FnMut(&Got) -> Act + Send>;

pub struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    behaviour: Arc<Mutex<Behaviour>>,
    is_down: Arc<AtomicBool>,
}

impl Receiver {
    /// One that takes everything.
    pub fn start() -> Self {
        let receiver = Self {
            port: 0,
            got: Arc::default(),
            behaviour: Arc::new(Mutex::new(Box::new(|_| Act::Say(204)))),
            is_down: Arc::default(),
        };
        let port = receiver.listen(0);
        Self { port, ..receiver }
    }

    fn listen(&self, port: u16) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (got, behaviour) = (Arc::clone(&self.got), Arc::clone(&self.behaviour));
        let is_down = Arc::clone(&self.is_down);
        is_down.store(false, Ordering::SeqCst);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if is_down.load(Ordering::SeqCst) {
                    return;
                }
                let (got, behaviour) = (Arc::clone(&got), Arc::clone(&behaviour));
                std::thread::spawn(move || serve(connection, &got, &behaviour));
            }
        });
        port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?key=CANARY-IN-THE-ADDRESS", self.port)
    }

    /// A `[webhooks.<name>]` table for it.
    pub fn table(&self, name: &str, more: &str) -> String {
        format!("[webhooks.{name}]\nurl = {:?}\nsecret = {SECRET:?}\n{more}\n", self.url())
    }

    /// What it does from now on.
    pub fn does(&self, behaviour: impl FnMut(&Got) -> Act + Send + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    /// Nobody listens any more.
    pub fn goes_down(&self) {
        self.is_down.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
            assert!(Instant::now() < deadline, "it still listens");
        }
    }

    /// It listens again where it did.
    pub fn comes_back(&self) {
        self.listen(self.port);
    }

    /// Everything that came so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// What it took, as article and edition, in order.
    pub fn taken(&self) -> Vec<(String, String)> {
        let taken = |got: &Got| matches!(got.act, Act::Say(200..300) | Act::Twice | Act::Flood);
        self.got().iter().filter(|got| taken(got)).map(Got::edition).collect()
    }

    /// Waits until it took so many messages, and gives them all.
    pub fn took(&self, count: usize) -> Vec<(String, String)> {
        self.until(&format!("{count} taken"), |receiver| receiver.taken().len() >= count);
        self.taken()
    }

    pub fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while !is_so(self) {
            let shown = || {
                let got = self.got();
                got.iter().map(|got| (got.edition(), got.act)).collect::<Vec<_>>()
            };
            assert!(Instant::now() < deadline, "waited in vain: {what}; came: {:#?}", shown());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn serve(connection: TcpStream, got: &Mutex<Vec<Got>>, behaviour: &Mutex<Behaviour>) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut line = String::new();
    let mut headers = HashMap::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    assert!(line.starts_with("POST /hook?key=CANARY-IN-THE-ADDRESS "), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let mut message = Got { headers, body, act: Act::Hang };
    let act = behaviour.lock().unwrap()(&message);
    message.act = act;
    got.lock().unwrap().push(message);
    let mut writer = connection;
    let answer =
        |status: u16| format!("HTTP/1.1 {status} So\r\nContent-Length: 2\r\nLocation: /else\r\n\r\nok");
    // The sender may have gone.
    let _ = match act {
        Act::Say(status) => writer.write_all(answer(status).as_bytes()),
        Act::Twice => writer.write_all(answer(200).repeat(2).as_bytes()),
        Act::Cut => Ok(()),
        Act::Hang => {
            // Until the sender gives up.
            let _ = reader.read(&mut [0]);
            Ok(())
        }
        Act::Flood => {
            let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
            while writer.write_all(chunk.as_bytes()).is_ok() {}
            Ok(())
        }
    };
}
