//! What `deploy/` says, as far as it can be tried where there is no Docker and no systemd to run it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use async_nats::ConnectOptions;
use async_nats::client::RequestErrorKind;
use bytes::Bytes;
use copydesk::config::Config;
use copydesk::nats::{Options, connect};
use nkeys::KeyPair;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::instance::{Instance, Said, Tool, draft};
use crate::log_contract::within;
use crate::nats_server::{NatsServer, binary};

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

/// Prometheus' own checker, as `scripts/promtool` installs it; none where it can't be had, which the script says.
pub fn promtool() -> Option<PathBuf> {
    let said = Command::new(deploy("../scripts/promtool")).output().unwrap();
    let path = String::from_utf8(said.stdout).unwrap();
    Some(PathBuf::from(path.trim())).filter(|path| said.status.success() && path.is_file())
}

/// That a configuration is one, and nothing in it is hardly meant.
fn is_good(file: &Path, parts: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_copydesk"));
    let said = command.args(["--json", "check-config", "--parts", parts]).arg(file).output().unwrap();
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said, json!({"ok": true, "problems": [], "warnings": []}), "{}", file.display());
}

/// The keys that nats.conf asks for, new ones.
pub fn keys() -> [(&'static str, KeyPair); 5] {
    ["COPYDESK_ANSWERS", "COPYDESK_WRITES", "COPYDESK_ANA", "COPYDESK_FEED", "COPYDESK_SITE"]
        .map(|name| (name, KeyPair::new_user()))
}

fn nats_server_takes(arguments: &[String]) {
    let mut command = Command::new(binary());
    command.envs(keys().map(|(name, key)| (name, key.public_key()))).args(arguments).arg("-t");
    let said = command.output().unwrap();
    assert!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn the_servers_configuration_is_one() {
    nats_server_takes(&["-c".to_owned(), deploy("nats.conf").display().to_string()]);
    // A server that isn't told the keys doesn't start open to everyone.
    let said = Command::new(binary()).args(["-t", "-c"]).arg(deploy("nats.conf")).output().unwrap();
    assert!(!said.status.success());
}

/// A nats-server on deploy/nats.conf, but for where it listens and stores.
pub fn server(keys: &[(&'static str, KeyPair)]) -> NatsServer {
    NatsServer::configured(&servers_configuration(keys))
}

/// deploy/nats.conf with these keys, and without where it listens and stores.
pub fn servers_configuration(keys: &[(&'static str, KeyPair)]) -> String {
    let shipped = std::fs::read_to_string(deploy("nats.conf")).unwrap();
    let mut config = String::new();
    for line in shipped.lines() {
        let ours = ["listen:", "http:", "store_dir:"].iter().any(|key| line.trim_start().starts_with(key));
        config += if ours { "" } else { line };
        config += "\n";
    }
    assert_eq!(config.matches("jetstream {").count(), 1);
    for (name, key) in keys {
        config = config.replace(&format!("${name}"), &key.public_key());
    }
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_rights_of_the_configuration_the_service_works_and_intruders_dont() {
    let keys = keys();
    let server = server(&keys);
    let folder = tempfile::tempdir().unwrap();
    let file = |number: usize| {
        let path = folder.path().join(number.to_string());
        std::fs::write(&path, format!("{}\n", keys[number].1.seed().unwrap())).unwrap();
        path
    };
    let answers = connect(&server.url(), Some(&file(0)), "answers").await.unwrap();
    let writes = connect(&server.url(), Some(&file(1)), "writes").await.unwrap();
    let instance = Instance::with(answers.clone(), writes, Options::default()).await;
    let ana = |prefix: &'static str| {
        let options = ConnectOptions::with_nkey(keys[2].1.seed().unwrap()).custom_inbox_prefix(prefix);
        let options = options.request_timeout(Some(std::time::Duration::from_secs(1)));
        let url = server.url();
        async move { Tool(options.connect(url).await.unwrap()) }
    };
    let tool = ana("_INBOX.ana").await;
    let before = tool.send("ana", "draft", &draft(Uuid::new_v4(), "Words.")).await.accepted();
    tool.send("ana", "draft", &json!({})).await.refused(400, "invalid");

    // As someone else, on the log and the wire, to JetStream, into the service's inboxes, as the service.
    let body: Bytes = draft(Uuid::new_v4(), "Words.").to_string().into();
    for subject in [
        "copydesk.command.carl.draft".to_owned(),
        format!("copydesk.event.{}", Uuid::new_v4()),
        "copydesk.wire.world".to_owned(),
        "$JS.API.STREAM.INFO.COPYDESK_EVENTS".to_owned(),
        "_INBOX.copydesk.x".to_owned(),
    ] {
        let error = within(tool.0.request(subject.clone(), body.clone())).await.unwrap_err();
        assert_ne!(error.kind(), RequestErrorKind::NoResponders, "{subject} is not for ana to ask");
    }
    let thief = ana("_INBOX.carl").await;
    let id = Uuid::new_v4();
    let lost = thief.0.request("copydesk.command.ana.draft", draft(id, "Words.").to_string().into());
    assert_eq!(within(lost).await.unwrap_err().kind(), RequestErrorKind::TimedOut, "carl's inbox is carl's");
    // What the thief sent was ana's right to send, but nothing that would be answered to carl's inbox is decided.
    let again = tool.send("ana", "draft", &draft(id, "Words.")).await.accepted();
    assert_eq!(again["duplicate"], json!(false));
    let end = instance.service.log.events().end().await.unwrap();
    assert_eq!(end, before["seq"].as_u64().unwrap() + 1);
    assert_eq!(instance.service.log.wire().end().await.unwrap(), 0);

    // Even the connection that answers can't be led to the log: its answers go to inboxes or nowhere.
    answers.publish(format!("copydesk.event.{}", Uuid::new_v4()), "{}".into()).await.unwrap();
    let answer = within(tool.0.request("copydesk.command.ana.draft", "{}".into())).await.unwrap();
    Said::read(&answer).refused(400, "invalid");
    assert_eq!(instance.service.log.events().end().await.unwrap(), end);
}

/// A YAML file as JSON, by Python's yaml; none where that isn't installed.
fn yaml(file: &Path) -> Option<Value> {
    let script = "import json,sys,yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let mut python = Command::new("python3");
    let mut child = python
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(&std::fs::read(file).unwrap()).ok()?;
    let said = child.wait_with_output().ok()?;
    said.status.success().then(|| serde_json::from_slice(&said.stdout).unwrap())
}

#[test]
fn the_composition_fits_together() {
    let Some(compose) = yaml(&deploy("compose.yaml")) else {
        return println!("skipped: python3 with yaml is needed to read compose.yaml");
    };
    let services = compose["services"].as_object().unwrap();
    assert_eq!(services.len(), 5);
    let (volumes, secrets) =
        (compose["volumes"].as_object().unwrap(), compose["secrets"].as_object().unwrap());
    for (name, service) in services {
        for mount in service["volumes"].as_array().unwrap() {
            let (from, _) = mount.as_str().unwrap().split_once(':').unwrap();
            match from.strip_prefix("./") {
                Some(file) => assert!(deploy(file).is_file(), "{name}: {from}"),
                None => assert!(volumes.contains_key(from), "{name}: {from}"),
            }
        }
        for needed in service["depends_on"].as_object().into_iter().flat_map(|needed| needed.keys()) {
            assert!(services[needed]["healthcheck"].is_object(), "{name} waits for {needed}");
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            assert!(secrets.contains_key(secret.as_str().unwrap()), "{name}: {secret}");
        }
        if name.starts_with("nats") {
            let arguments = service["command"].as_array().unwrap().iter();
            let config = deploy("nats.conf").display().to_string();
            let arguments: Vec<String> = arguments
                .map(|argument| argument.as_str().unwrap().replace("/etc/nats/nats.conf", &config))
                .collect();
            assert!(arguments.contains(&format!("--name={name}")), "{arguments:?}");
            nats_server_takes(&arguments);
        }
    }
    // The newest server that copydesk is tested with.
    let script = std::fs::read_to_string(deploy("../scripts/nats-server")).unwrap();
    let image = services["nats-1"]["image"].as_str().unwrap();
    let version = image.strip_prefix("nats:").unwrap().strip_suffix("-alpine").unwrap();
    assert!(script.contains(&format!(":-{version}}}")), "{image}");
}

#[test]
fn the_compositions_configuration_is_one() {
    is_good(&deploy("copydesk.toml"), "desk,wire,feed,audit");
    let config = Config::open(&deploy("copydesk.toml")).unwrap();
    let compose = std::fs::read_to_string(deploy("compose.yaml")).unwrap();
    for server in config.nats.url.as_deref().unwrap().split(',') {
        let name = server.strip_prefix("nats://").unwrap().strip_suffix(":4222").unwrap();
        assert!(compose.contains(&format!("\n  {name}:\n")), "{server}");
    }
    for file in [config.nats.answer_credentials, config.nats.write_credentials] {
        let name = file.unwrap();
        let name = name.strip_prefix("/run/secrets").unwrap().display().to_string();
        assert!(compose.contains(&format!("keys/{name}.nk")), "{name}");
    }
}

#[test]
fn the_image_is_built_from_what_is_there_and_runs_without_rights() {
    let file = std::fs::read_to_string(deploy("Dockerfile")).unwrap();
    let lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let instructions: Vec<(&str, &str)> = lines.map(|line| line.split_once(' ').unwrap()).collect();
    let known = "FROM WORKDIR COPY RUN USER VOLUME EXPOSE STOPSIGNAL ENTRYPOINT CMD";
    assert!(instructions.iter().all(|(name, _)| known.split(' ').any(|known| known == *name)), "{file}");
    let last_stage = instructions.iter().rposition(|(name, _)| *name == "FROM").unwrap();
    let stage: Vec<_> = instructions[last_stage..].iter().collect();
    let (_, user) = stage.iter().rfind(|(name, _)| *name == "USER").unwrap();
    assert!(!user.starts_with('0') && !user.starts_with("root"), "{user}");
    for (name, argument) in stage.iter().filter(|(name, _)| ["ENTRYPOINT", "CMD"].contains(name)) {
        assert!(serde_json::from_str::<Vec<String>>(argument).is_ok(), "{name} {argument}");
    }
    let toolchain = format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(instructions[0].1.starts_with(&toolchain), "{:?}", instructions[0]);
}

#[test]
fn the_unit_is_one_and_locked_down() {
    let unit = std::fs::read_to_string(deploy("copydesk.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copydesk.service");
    // The binary isn't installed where this runs.
    std::fs::write(&path, unit.replace("/usr/local/bin/copydesk", "/bin/true")).unwrap();
    let analyze = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).arg(&path).output();
    let Ok(said) = analyze(&["verify"]) else {
        return println!("skipped: systemd-analyze is not here");
    };
    let complaints = String::from_utf8_lossy(&said.stderr).into_owned();
    let about_us = complaints.lines().filter(|line| line.contains("copydesk.service")).collect::<Vec<_>>();
    assert!(about_us.is_empty(), "{about_us:#?}");
    // 0 is locked away from everything, 100 is open; a unit without hardening has 96.
    let said = analyze(&["security", "--offline=true", "--threshold=15", "--no-pager"]).unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

/// The names of metrics that a text has.
fn metrics_in(text: &str) -> std::collections::BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter_map(|word| word.strip_prefix("copydesk_")).map(str::to_owned).collect()
}

#[test]
fn the_alert_rules_are_some_and_fire_where_they_should() {
    let rules = std::fs::read_to_string(deploy("alerts.yaml")).unwrap();
    let expressions: String = rules.lines().filter(|line| line.trim_start().starts_with("expr:")).collect();
    let source = |file: &str| std::fs::read_to_string(deploy("../src").join(file)).unwrap();
    let source = ["metrics.rs", "http/operators.rs"].map(source).concat();
    let names = metrics_in(&expressions);
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let name = name.trim_end_matches("_bucket");
        assert!(source.contains(&format!("\"{name}\"")), "no metric is called copydesk_{name}");
    }
    let described = std::fs::read_to_string(deploy("../docs/OPERATIONS.md")).unwrap();
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(described.contains(&format!("`{alert}`")), "docs/OPERATIONS.md says nothing of {alert}");
    }
    let Some(promtool) = promtool() else { return println!("left out: there is no promtool") };
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]] {
        let said = Command::new(&promtool).args(arguments).current_dir(deploy("")).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&[said.stdout, said.stderr].concat()));
    }
}

#[test]
fn the_manifests_fit_the_published_schemas_and_run_without_rights() {
    let said = Command::new(deploy("../scripts/kubernetes-validate")).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let validate = PathBuf::from(String::from_utf8(said.stdout).unwrap().trim());
    let files =
        ["config.yaml", "desk.yaml", "feed.yaml", "network.yaml"].map(|file| deploy("kubernetes").join(file));
    let said = Command::new(&validate).arg("--strict").args(&files).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&[said.stdout, said.stderr].concat()));

    let script = "import json,sys,yaml; json.dump([d for f in sys.argv[1:] for d in yaml.safe_load_all(open(f))], sys.stdout)";
    let python = validate.with_file_name("python3");
    let said = Command::new(python).args(["-c", script]).args(&files).output().unwrap();
    let all: Vec<Value> = serde_json::from_slice(&said.stdout).unwrap();
    let of = |kind: &str| all.iter().filter(|it| it["kind"] == kind).cloned().collect::<Vec<Value>>();
    assert!(of("Secret").is_empty(), "secrets are not for these files");
    let config = &of("ConfigMap")[0]["data"];
    let folder = tempfile::tempdir().unwrap();
    let parts: Vec<Value> = [of("StatefulSet"), of("Deployment")].concat();
    assert_eq!(parts.len(), 2);
    for part in &parts {
        let (name, pod) = (&part["metadata"]["name"], &part["spec"]["template"]["spec"]);
        let labels = &part["spec"]["template"]["metadata"]["labels"];
        assert_eq!(&part["spec"]["selector"]["matchLabels"], labels, "{name}");
        assert_eq!(
            (&pod["securityContext"]["runAsNonRoot"], &pod["automountServiceAccountToken"]),
            (&json!(true), &json!(false))
        );
        let container = &pod["containers"][0];
        let security = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
        assert_eq!(container["securityContext"], security, "{name}");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let path = container[probe]["httpGet"]["path"].as_str().unwrap();
            assert_eq!(path, if probe == "readinessProbe" { "/readyz" } else { "/healthz" }, "{name}");
            assert!(
                container[probe]["timeoutSeconds"].as_u64() > Some(1),
                "{name}: a log that is away is waited for"
            );
        }
        // Its budget, its service and its policy find it by its labels.
        for kind in ["PodDisruptionBudget", "NetworkPolicy", "Service"] {
            let found = of(kind).into_iter().any(|it| {
                let spec = &it["spec"];
                [&spec["selector"]["matchLabels"], &spec["podSelector"]["matchLabels"], &spec["selector"]]
                    .contains(&labels)
            });
            assert!(found, "{name} has no {kind}");
        }
        // Its configuration is one, and asks for the keys that are mounted.
        let arguments: Vec<&str> =
            container["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let file = arguments[2].strip_prefix("/etc/copydesk/").unwrap();
        let path = folder.path().join(file);
        std::fs::write(&path, config[file].as_str().unwrap()).unwrap();
        let feed_alone = arguments[4] == "feed";
        let open = if feed_alone { Config::open_for_feed } else { Config::open };
        is_good(&path, arguments[4]);
        let config = open(&path).unwrap();
        let mounted = pod["volumes"].to_string();
        let keys =
            [config.nats.answer_credentials, config.nats.write_credentials, config.nats.feed_credentials];
        for key in keys.into_iter().flatten() {
            let key = key.strip_prefix("/run/secrets").unwrap().display().to_string();
            assert!(mounted.contains(&format!("\"path\":\"{key}\"")), "{name}: {key}");
        }
    }
    let everything =
        of("NetworkPolicy").into_iter().find(|it| it["spec"]["podSelector"] == json!({})).unwrap();
    assert_eq!(everything["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert!(everything["spec"]["ingress"].is_null() && everything["spec"]["egress"].is_null());
}
