//! The doors of the real binary: tokens that end while it runs, TLS, and what it refuses to listen on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use copydesk::config::token::{Token, TokenHash};
use serde_json::Value;

use crate::harness::{Serving, token, until};
use crate::nats_server::NatsServer;

fn copydesk(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_copydesk")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn status(url: &str, token: &str) -> u16 {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.get(format!("{url}/v1/articles")).header("Authorization", format!("Bearer {token}"));
    request.call().unwrap().status().as_u16()
}

#[test]
fn a_token_revoked_at_one_instance_is_nobodys_at_any() {
    let (laptop, old) = (Token::draw().unwrap(), Token::draw().unwrap());
    let tokens = format!(
        "[[people.ana.tokens]]\nname = \"laptop\"\nsha256 = \"{}\"\nexpires = 2100-01-01\n\
         [[people.ana.tokens]]\nname = \"old\"\nsha256 = \"{}\"\nexpires = 2020-01-01\n",
        laptop.hash(),
        old.hash()
    );
    let server = NatsServer::start();
    let start = || Serving::start(&tokens, vec!["--nats".to_owned(), server.url()]);
    let mut instances = [start(), start()];
    for instance in &instances {
        assert_eq!(status(instance.url(), laptop.as_str()), 200);
        assert_eq!(status(instance.url(), old.as_str()), 401);
    }
    // Someone follows a stream at the other instance.
    let host = instances[1].url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "GET /v1/stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        laptop.as_str()
    )
    .unwrap();
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).unwrap() > 0);

    let carl = token("carl");
    let url = instances[0].url().to_owned();
    let at = |words: &[&str]| copydesk(&[words, &["--server", &url, "--token", &carl]].concat());
    let (code, listed, _) = at(&["tokens", "list"]);
    let line = |name: &str| listed.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert_eq!(code, Some(0));
    let today = chrono::Utc::now().date_naive().to_string();
    assert!(line("laptop").contains("good") && line("laptop").contains(&today), "{listed}");
    assert!(line(" old ").contains("expired") && line("carl").contains("token"), "{listed}");
    assert!(!listed.contains(&laptop.hash().to_string()[7..]) && !listed.contains(laptop.as_str()));
    let (code, _, said) = copydesk(&["tokens", "list", "--server", &url, "--token", &token("ana")]);
    assert!(code == Some(1) && said.contains("chief"), "{said}");

    assert_eq!(at(&["tokens", "revoke", "ana", "laptop"]).0, Some(0));
    let revoked = Instant::now();
    assert_eq!(status(&url, laptop.as_str()), 401);
    until("the other instance to hear of it", || status(instances[1].url(), laptop.as_str()) == 401);
    assert!(revoked.elapsed() < Duration::from_secs(2), "{:?}", revoked.elapsed());
    // The stream has ended: what was under way is read to its end.
    while stream.read(&mut buffer).unwrap() > 0 {}
    assert_eq!(at(&["tokens", "revoke", "ana", "phone"]).0, Some(1));
    assert_eq!(status(&url, &token("ana")), 200, "her other token is good");

    // For good: over a restart, and a file that is read again.
    instances[0].kill();
    instances[0].start_again();
    assert_eq!(status(instances[0].url(), laptop.as_str()), 401);
    instances[0].hang_up();
    until("the file read again", || instances[0].said().contains("in force as the file has it"));
    assert_eq!(status(instances[0].url(), laptop.as_str()), 401);
    for instance in &instances {
        let said = instance.said();
        assert!(!said.contains("cd_") && !said.contains(&laptop.hash().beginning()), "{said}");
    }
    assert!(!instances[1].events().iter().any(|event| event.to_string().contains("laptop")));
}

#[test]
fn an_embedded_folders_tokens_are_listed_and_revoked_while_no_service_has_it_open() {
    let mut serving = Serving::embedded();
    assert_eq!(serving.terminate().code(), Some(0));
    let (file, data) = (serving.config(), serving.data());
    let there = ["--config", file.to_str().unwrap(), "--data", data.to_str().unwrap()];
    assert_eq!(copydesk(&[&["tokens", "revoke", "ana", "token"], &there[..]].concat()).0, Some(0));
    let (_, listed, _) = copydesk(&[&["tokens", "list", "--json"], &there[..]].concat());
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let ana =
        listed["tokens"].as_array().unwrap().iter().find(|token| token["actor"] == "ana").unwrap().clone();
    assert_eq!((ana["state"].as_str(), ana["revoked"]["by"].as_str()), (Some("revoked"), Some("carl")));
    serving.start_again();
    assert_eq!(status(serving.url(), &token("ana")), 401);
    assert_eq!(status(serving.url(), &token("eva")), 200);
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls").join(name)
}

/// Asks with trust in one certificate alone; none where there is no such trust.
fn asked(url: &str, trusted: &str) -> Option<u16> {
    let pem = std::fs::read(certificate(trusted)).unwrap();
    let root = ureq::tls::Certificate::from_pem(&pem).unwrap();
    let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::from([root])).build();
    let config = ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls);
    let agent: ureq::Agent = config.build().into();
    agent.get(format!("{url}/healthz")).call().ok().map(|answer| answer.status().as_u16())
}

#[test]
fn tls_is_spoken_and_a_renewed_certificate_is_taken_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    let install = |name: &str| {
        std::fs::copy(certificate(&format!("{name}.pem")), &pem).unwrap();
        std::fs::copy(certificate(&format!("{name}.key")), &key).unwrap();
    };
    install("one");
    let more = format!("[http.tls]\ncertificate = {pem:?}\nkey = {key:?}\n");
    let serving = Serving::start(&more, Vec::new());
    let url = serving.url().to_owned();
    assert!(url.starts_with("https://"), "{url}");
    assert_eq!((asked(&url, "one.pem"), asked(&url, "other.pem")), (Some(200), None));
    // In clear there is nothing to be had, and who says nothing holds nobody up.
    let host = url.trim_start_matches("https://").to_owned();
    let _silent = TcpStream::connect(&host).unwrap();
    let mut plain = TcpStream::connect(&host).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));

    install("other");
    serving.hang_up();
    until("the renewed certificate", || asked(&url, "other.pem") == Some(200));
    assert_eq!(asked(&url, "one.pem"), None);
    std::fs::write(&key, "nonsense").unwrap();
    serving.hang_up();
    until("the refusal", || serving.said().contains("the certificate stays as it was"));
    assert_eq!(asked(&url, "other.pem"), Some(200));
}

#[test]
fn tokens_never_cross_a_network_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copydesk.toml");
    let hash = TokenHash::of("x");
    let write = |http: &str| {
        let data = folder.path().join("data");
        let text = format!(
            "[store]\npath = {data:?}\n[http]\n{http}\n[people.carl]\nroles = [\"chief\"]\ntoken = \"{hash}\"\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    let file = file.to_str().unwrap();
    write("listen = \"0.0.0.0:0\"");
    for arguments in [&["check-config", file][..], &["serve", "--config", file]] {
        let (code, _, said) = copydesk(arguments);
        assert!(
            code == Some(1) && said.contains("loopback only unless tls or behind_proxy is set"),
            "{said}"
        );
    }
    write("listen = \"127.0.0.1:0\"");
    let (code, _, said) = copydesk(&["serve", "--config", file, "--listen", "0.0.0.0:0"]);
    assert!(code == Some(1) && said.contains("http.listen"), "{said}");
    for way in ["behind_proxy = true", "behind_proxy = [\"10.0.0.0/8\"]\nactor_header = \"X-Remote-User\""] {
        write(&format!("listen = \"0.0.0.0:0\"\n{way}"));
        assert_eq!(copydesk(&["check-config", file]).0, Some(0), "{way}");
    }
    write("tls = { certificate = \"/nowhere/a.pem\", key = \"/nowhere/a.key\" }\nlisten = \"0.0.0.0:0\"");
    let (code, _, said) = copydesk(&["serve", "--config", file]);
    assert!(code == Some(1) && said.contains("/nowhere/a.pem"), "{said}");
}

#[test]
fn an_address_that_leads_nowhere_is_not_given_to_readers_without_a_warning() {
    let files = [("certificate", "one.pem"), ("key", "one.key")];
    let tls = files.map(|(key, file)| format!("{key} = {:?}\n", certificate(file))).concat();
    let serving =
        Serving::start(&format!("[http.tls]\n{tls}"), ["--listen", "0.0.0.0:0"].map(str::to_owned).into());
    assert!(serving.said().contains("http.public_url"), "{}", serving.said());
    let config = std::fs::read_to_string(serving.config()).unwrap();
    let file = serving.config().with_file_name("other.toml");
    let file = file.to_str().unwrap();
    for (listen, parts, warns) in [
        ("0.0.0.0:80", "desk,wire,feed", true),
        ("[::]:80", "feed", true),
        ("0.0.0.0:80", "desk,wire", false),
        ("10.0.0.7:80", "desk,feed", false),
        ("0.0.0.0:80\"\npublic_url = \"https://news.example", "desk,feed", false),
        ("127.0.0.1:80\"\npublic_url = \"http://[::]:80", "desk,feed", true),
    ] {
        std::fs::write(file, config.replace("127.0.0.1:0", listen)).unwrap();
        let (code, said, _) = copydesk(&["check-config", file, "--parts", parts]);
        assert_eq!((code, said.contains("http.public_url")), (Some(0), warns), "{listen} {parts}: {said}");
    }
}

#[test]
fn two_ways_to_read_one_request_are_none() {
    let serving = Serving::embedded();
    let host = serving.url().trim_start_matches("http://").to_owned();
    let ask = |head: &str, body: &str| {
        let mut stream = TcpStream::connect(&host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let token = token("ana");
        let head = format!(
            "POST /v1/commands HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{head}\r\n\r\n{body}"
        );
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let smuggled = "GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n";
    let long = format!("X-Long: {}", "x".repeat(70_000));
    let many = "X-Many: x\r\n".repeat(500) + "X-Last: x";
    for (head, body, refused) in [
        ("Content-Length: 2\r\nContent-Length: 3", "{}x", true),
        ("Content-Length: 2, 3", "{}x", true),
        ("Content-Length: +2", "{}", true),
        ("Content-Length: -1", "{}", true),
        ("Transfer-Encoding: chunked, identity", "{}", true),
        ("Transfer-Encoding: xchunked", "{}", true),
        ("Transfer-Encoding: chunked", "zz\r\n{}\r\n0\r\n\r\n", true),
        ("Content-Length : 2", "{}", true),
        ("Content-Length: 2\r\n folded: x", "{}", true),
        (long.as_str(), "", true),
        (many.as_str(), "", true),
        ("Content-Length: 44\r\nTransfer-Encoding: chunked", &format!("0\r\n\r\n{smuggled}"), false),
    ] {
        let answer = ask(head, body);
        let shown: String = head.chars().take(60).collect();
        let answers = answer.matches("HTTP/1.1 ").count();
        if refused {
            assert!(answers <= 1 && !answer.starts_with("HTTP/1.1 2"), "{shown}: {answer}");
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.1 431"),
                "{shown}: {answer}"
            );
        } else {
            println!("{shown}: {answer}");
            assert_eq!(answers, 1, "one request, one answer: {answer}");
        }
    }
    assert_eq!(serving.events().len(), 1, "nothing was taken");
}

#[test]
fn addresses_are_those_of_connections_and_proxies_are_believed_by_them() {
    let more = "[http.limits]\naddress = { per_second = 1, burst = 5 }\n";
    let serving = Serving::start(more, Vec::new());
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let ask = |url: &str, header: (&str, &str)| {
        let answer = agent.get(format!("{url}/v1/articles")).header(header.0, header.1).call().unwrap();
        let wait = answer.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
        (answer.status().as_u16(), wait)
    };
    // Nobody is in front, so a header makes nobody another.
    let answers: Vec<_> =
        (0..30).map(|n| ask(serving.url(), ("X-Forwarded-For", format!("192.0.2.{n}").as_str()))).collect();
    assert!(
        answers.iter().filter(|answer| **answer == (429, Some("1".to_owned()))).count() >= 10,
        "{answers:?}"
    );

    let mut serving = serving;
    let mut restarted = |proxy: &str| {
        serving.kill();
        let file = std::fs::read_to_string(serving.config()).unwrap();
        let kept = file
            .lines()
            .filter(|line| !line.starts_with("behind_proxy") && !line.starts_with("actor_header"));
        let kept = kept.collect::<Vec<_>>().join("\n");
        let lines = format!("[http]\nbehind_proxy = [{proxy:?}]\nactor_header = \"X-Remote-User\"\n");
        std::fs::write(serving.config(), kept.replacen("[http]\n", &lines, 1)).unwrap();
        serving.start_again();
        serving.url().to_owned()
    };
    let url = restarted("127.0.0.1");
    for n in 0..30 {
        assert_eq!(ask(&url, ("X-Forwarded-For", &format!("192.0.2.{n}"))).0, 401, "each is another's");
    }
    assert_eq!(ask(&url, ("X-Remote-User", "ana")).0, 200);
    assert_eq!(ask(&url, ("X-Remote-User", "zoe")).0, 403);
    let url = restarted("192.0.2.1");
    assert_eq!(ask(&url, ("X-Remote-User", "ana")).0, 401);
}
