//! People, roles and rules that change while services run.

use std::path::Path;
use std::process::Command;

use copydesk::config::token::TokenHash;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Serving, send, token, until};
use crate::nats_server::NatsServer;

/// Changes a service's configuration file.
fn rewrite(file: &Path, change: impl Fn(String) -> String) {
    std::fs::write(file, change(std::fs::read_to_string(file).unwrap())).unwrap();
}

/// Eva is no editor any more, and Zoe is one.
fn other_editor(config: String) -> String {
    let hash = TokenHash::of(&token("zoe"));
    let config = config.replace("[people.eva]\nroles = [\"editor\"]", "[people.eva]\nroles = [\"auditor\"]");
    format!("{config}[people.zoe]\nname = \"Zoe\"\nroles = [\"editor\"]\ntoken = \"{hash}\"\n")
}

fn status(serving: &Serving, actor: &str, command: &Value) -> u16 {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    send(&agent, serving.url(), actor, command).unwrap().0
}

fn newsroom_versions(serving: &Serving) -> Vec<Value> {
    let of_the_desk = serving.events().into_iter().filter(|event| event["subject"] == "desk");
    of_the_desk.map(|event| event["articleversion"].clone()).collect()
}

#[test]
fn a_hangup_proposes_the_changed_file_and_a_bad_one_changes_nothing() {
    let serving = Serving::embedded();
    let draft = json!({"id": Uuid::new_v4(), "type": "draft", "data": {"slug": "s", "language": "en"}});
    assert_eq!(status(&serving, "ana", &draft), 200);
    let article = serving.events().last().unwrap()["subject"].clone();
    let assign =
        || json!({"id": Uuid::new_v4(), "type": "assign", "article": article, "data": {"writers": ["ana"]}});
    assert_eq!(status(&serving, "eva", &assign()), 200);
    assert_eq!(status(&serving, "zoe", &assign()), 401);

    rewrite(&serving.config(), other_editor);
    serving.hang_up();
    until("the new newsroom", || status(&serving, "zoe", &assign()) == 200);
    assert_eq!(status(&serving, "eva", &assign()), 403, "a role that was taken away");
    assert_eq!(newsroom_versions(&serving), [1, 2]);

    // A newsroom without a chief could never be changed again; a file that can't be read says nothing.
    let good = std::fs::read_to_string(serving.config()).unwrap();
    for bad in [good.replace("\"chief\"", "\"editor\""), format!("{good}\n[nonsense]\n"), "=".to_owned()] {
        std::fs::write(serving.config(), bad).unwrap();
        let said = || serving.said().matches("nothing was changed").count();
        let before = said();
        serving.hang_up();
        until("the refusal", || said() > before);
    }
    assert_eq!(newsroom_versions(&serving), [1, 2]);
    assert_eq!(status(&serving, "zoe", &assign()), 200, "tokens stay too");
    std::fs::write(serving.config(), good).unwrap();
    let said = || serving.said().matches("in force as the file has it").count();
    serving.hang_up();
    until("nothing new", || said() == 1);
    assert_eq!(newsroom_versions(&serving), [1, 2]);
}

#[test]
fn a_reload_holds_for_every_instance_at_once() {
    let server = NatsServer::start();
    let instances = [Serving::on_nats(&server.url()), Serving::on_nats(&server.url())];
    let file = instances[0].config();
    rewrite(&file, |config| {
        let nats = format!("[log]\nkind = \"nats\"\n[nats]\nurl = \"{}\"\n", server.url());
        nats + &other_editor(config).replace("[desk]\n", "[rules]\napprovals = 2\n[desk]\n")
    });
    let reload = || {
        let output = Command::new(env!("CARGO_BIN_EXE_copydesk"))
            .args(["reload", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = reload();
    assert_eq!(
        (code, said.as_str()),
        (
            Some(0),
            "eva: (editor) becomes (auditor)\nzoe joins: Zoe (editor)\nrules.approvals: 1 becomes 2\n\
             In force: version 2 of the newsroom line.\n"
        )
    );
    for instance in &instances {
        let draft =
            || json!({"id": Uuid::new_v4(), "type": "draft", "data": {"slug": "s", "language": "en"}});
        assert_eq!(status(instance, "ana", &draft()), 200);
        let article = instance.events().last().unwrap()["subject"].clone();
        let assign =
            json!({"id": Uuid::new_v4(), "type": "assign", "article": article, "data": {"due": null}});
        assert_eq!(status(instance, "eva", &assign), 403);
        let (_, gate) = instance.get("ana", &format!("/v1/articles/{}/gate", article.as_str().unwrap()));
        assert!(gate.contains("0 of 2 approvals"), "{gate}");
    }
    assert_eq!(reload(), (Some(0), "Nothing changed: version 2 of the newsroom line.\n".to_owned()));
    let (code, _) = {
        rewrite(&file, |config| config.replace("\"chief\"", "\"editor\""));
        reload()
    };
    assert_eq!((code, newsroom_versions(&instances[1]).len()), (Some(1), 2));
}

#[test]
fn an_embedded_log_is_neither_made_by_a_reload_nor_reached_through_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copydesk.toml");
    let data = folder.path().join("data");
    std::fs::write(&file, format!("[store]\npath = {data:?}\n[people.carl]\nroles = [\"chief\"]\n")).unwrap();
    let reload = |more: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_copydesk"))
            .args(["reload", "--config"])
            .arg(&file)
            .args(more)
            .output()
            .unwrap();
        (run.status.code(), String::from_utf8(run.stderr).unwrap())
    };
    let (code, said) = reload(&["--server", "http://127.0.0.1:1"]);
    assert!(code == Some(2) && said.contains("SIGHUP"), "{code:?} {said}");
    let (code, said) = reload(&[]);
    assert!(code == Some(1) && said.contains("there is no embedded log"), "{code:?} {said}");
    assert!(!data.exists(), "nothing was made");
}
