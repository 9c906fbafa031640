use copydesk_article::newsroom::{Accept, SectionRules};

use super::*;

const CHIEF: &str = "[people.carl]\nroles = [\"chief\"]\n";

/// Every problem of a configuration that has a chief, each in a line.
fn problems(text: &str) -> Vec<String> {
    match Config::parse(&format!("{CHIEF}{text}")) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Invalid(problems)) => problems.iter().map(Problem::to_string).collect(),
        Err(other) => vec![other.to_string()],
    }
}

fn owner(config: &Config, token: &str) -> Option<Arc<str>> {
    let hash = TokenHash::of(token);
    config.tokens().into_iter().find(|listed| listed.hash == hash).map(|listed| listed.actor)
}

#[test]
fn someone_may_have_several_tokens_each_with_a_name_and_an_end() {
    let (one, other) = (TokenHash::of("one"), TokenHash::of("other"));
    let ana = format!(
        "[people.ana]\nroles = [\"reporter\"]\ntoken = \"{}\"\n[[people.ana.tokens]]\nname = \"laptop\"\n\
         sha256 = \"{one}\"\nexpires = 2027-03-31\n[[people.ana.tokens]]\nname = \"importer\"\nsha256 = \"{}\"\n",
        TokenHash::of("first"),
        other.to_string().trim_start_matches("sha256:"),
    );
    let config = Config::parse(&format!("{CHIEF}{ana}")).unwrap();
    let listed: Vec<(String, Option<String>)> = config
        .tokens()
        .iter()
        .map(|listed| (listed.name.to_string(), listed.expires.map(|expires| expires.to_string())))
        .collect();
    let laptop = Some("2027-04-01T00:00:00Z".to_owned());
    assert_eq!(listed, [("token".into(), None), ("laptop".into(), laptop), ("importer".into(), None)]);
    assert_eq!(owner(&config, "other").as_deref(), Some("ana"));
    for (wrong, expected) in [
        (ana.replace("\"laptop\"", "\"Lap top\""), "people.ana.tokens[0].name: a name is"),
        (ana.replace("\"laptop\"", "\"importer\""), "people.ana.tokens[1].name: another token"),
        (ana.replace("\"laptop\"", "\"token\""), "people.ana.tokens[0].name: another token"),
        (ana.replace("2027-03-31", "\"soon\""), "people.ana.tokens[0].expires: expected a day"),
        (ana.replace("expires", "expire"), "people.ana.tokens[0].expire: there is no such key; did you mean"),
        (
            ana.replace(&one.to_string(), &other.to_string()),
            "people.ana.tokens[1]: they have the same token twice",
        ),
    ] {
        let found = problems(&wrong);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn a_chief_is_all_that_a_file_must_have() {
    let config = Config::parse(CHIEF).unwrap();
    assert_eq!(config.desk.language, "en");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.store.path, PathBuf::from("./copydesk-data"));
    assert_eq!(config.rules, Rules::default());
}

#[test]
fn everything_in_the_contract_is_read() {
    let config = Config::parse(
        r#"
        [desk]
        name = "The Daily"
        url = "https://daily.example"
        language = "de"
        prefix = "daily"
        withdrawn_title = "Zurückgezogen"
        policies = { corrections = "https://daily.example/corrections" }
        [log]
        kind = "nats"
        durability = "interval"
        [nats]
        url = "nats://a:4222,nats://b:4222"
        answer_credentials = "/etc/copydesk/answer.creds"
        write_credentials = "/etc/copydesk/write.creds"
        replicas = 3
        create = false
        [http]
        listen = "0.0.0.0:80"
        public_url = "https://desk.daily.example"
        behind_proxy = true
        limits = { in_flight = 16 }
        [store]
        path = "/var/lib/copydesk"
        cache_mb = 512
        [people.ana]
        name = "Ana"
        kind = "person"
        roles = ["reporter", "chief"]
        token = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        [rules]
        approvals = 2
        four_eyes = false
        required = ["byline"]
        max_length = { headline = 80 }
        image = ["alt"]
        accept = { material = ["supported"], other = ["supported"] }
        coverage = "hold"
        grace_minutes = 5
        [rules.section."world/asia"]
        approvals = 3
        "#,
    )
    .unwrap();
    assert_eq!(owner(&config, "abc").as_deref(), Some("ana"));
    let set = config.newsroom_set();
    assert_eq!(set.rules.section["world/asia"].approvals, Some(3));
    assert_eq!(set.people["ana"].roles, [Role::Reporter, Role::Chief]);
    assert!(!serde_json::to_string(&set).unwrap().contains("ba7816bf"), "secrets stay out of the log");
}

#[test]
fn each_problem_is_named_with_its_key() {
    let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let twice = format!(
        "[people.a]\nroles=[\"editor\"]\ntoken=\"{hash}\"\n[people.b]\nroles=[\"editor\"]\ntoken=\"{hash}\""
    );
    let table: &[(&str, &str)] = &[
        ("[htp]", "htp: there is no such table; did you mean `http`?"),
        ("[http]\nlistn = 1", "http.listn: there is no such key; did you mean `listen`?"),
        ("[http]\nlisten = \"8080\"", "http.listen: expected an address and a port"),
        ("[http]\nlisten = \"0.0.0.0:80\"", "http.listen: loopback only unless tls or behind_proxy is set"),
        ("[http]\nbehind_proxy = \"proxy\"", "http.behind_proxy: "),
        ("[http]\nbehind_proxy = []", "http.behind_proxy: expected at least one"),
        ("[http]\nbehind_proxy = [\"10.0.0.0/40\"]", "http.behind_proxy[0]: expected an address"),
        ("[http]\nactor_header = \"X-Remote-User\"", "http.actor_header: name the proxies' addresses"),
        (
            "[http]\nbehind_proxy = true\nactor_header = \"X-Remote-User\"",
            "http.actor_header: name the proxies' addresses",
        ),
        (
            "[http]\nbehind_proxy = [\"::1\"]\nactor_header = \"Authorization\"",
            "http.actor_header: expected the name of a header of its own",
        ),
        ("[http]\ntls = { certificate = \"a.pem\" }", "http.tls"),
        ("[http.limits]\nactor = { per_second = 0, burst = 1 }", "http.limits.actor: expected at least 1"),
        ("[http.limits]\nrate = 1", "http.limits.rate: there is no such key"),
        ("[desk]\nlanguage = \"english language\"", "desk.language: expected a language tag"),
        ("[desk]\nprefix = \"a.b\"", "desk.prefix: a prefix is"),
        ("[desk]\nurl = \"javascript:x\"", "desk.url: expected an address"),
        ("[log]\nkind = \"kafka\"", "log.kind: expected one of embedded, nats"),
        ("[log]\nkind = \"nats\"", "nats.url: it is needed"),
        ("[nats]\nreplicas = \"3\"", "nats.replicas: "),
        ("[nats]\nreplicas = 9", "nats.replicas: expected 1 to 5"),
        ("[people.Ana]\nroles = [\"editor\"]", "people.Ana: a name is"),
        ("[people.desk]\nroles = [\"editor\"]", "people.desk: a name is"),
        ("[people.ana]", "people.ana.roles: at least one role"),
        ("[people.ana]\nroles = [\"edtor\"]", "people.ana.roles[0]: expected one of reporter"),
        ("[people.ana]\nroles = [\"editor\"]\ntoken = \"secret\"", "people.ana.token: expected sha256:"),
        (
            "[people.ana]\nroles = [\"editor\"]\nrole = 1",
            "people.ana.role: there is no such key; did you mean `roles`?",
        ),
        ("[people.bot]\nkind = \"machine\"\nroles = [\"chief\"]", "people.bot.roles: a machine can't be"),
        (&twice, "people.b.token: a has the same token"),
        ("[rules]\nmax_lenght = {}", "rules.max_lenght: there is no such key; did you mean `max_length`?"),
        ("[rules]\nmax_length = { head = 1 }", "rules.max_length"),
        ("[rules.section.\"World\"]", "rules.section.\"World\": a section is"),
        ("[rules.section.\"a/b\"]\naproval = 1", "rules.section.\"a/b\".aproval: there is no such key"),
        (
            "[desk.policies]\ncorrection = \"https://a.example\"",
            "desk.policies.correction: no page has a place for it",
        ),
        ("[desk.policies]\nethics = \"a.example\"", "desk.policies.ethics: expected an address"),
        ("[store]\ncache_mb = -1", "store.cache_mb: "),
        (
            "[evidence]\nmaster_kye = \"k\"",
            "evidence.master_kye: there is no such key; did you mean `master_key`?",
        ),
        ("[evidence]\nmaster_key = \"/nowhere/key\"", "evidence.master_key: /nowhere/key can't be read"),
        ("[evidence]\nmaster_key = \"/dev/null\"", "evidence.master_key: /dev/null is open to others"),
        ("[store", "not TOML"),
    ];
    for (text, expected) in table {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(expected), "{text}: {found:?}");
    }
}

#[test]
fn all_problems_come_at_once_and_quote_no_value() {
    let found =
        problems("[http]\nlistn = 1\npublic = 2\n[people.ana]\nroles = [\"editor\"]\ntoken = \"CANARY\"");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(!found.concat().contains("CANARY"));
    for text in ["[desk]\na = \"CANARY\nb = 1", "a = 1\nb = 2\nb = \"CANARY\"", "[x]\ny = CANARY"] {
        let error = Config::parse(text).unwrap_err().to_string();
        assert!(error.contains("line ") && !error.contains("CANARY"), "{error}");
    }
    let error = Config::parse("a = 1\nbö = 2\n").unwrap_err().to_string();
    assert!(error.contains("line 2, column 2"), "{error}");
}

#[test]
fn an_address_is_one_that_can_be_asked() {
    let secret = format!("whsec_{}", "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=");
    let url = |url: &str| problems(&format!("[webhooks.shop]\nurl = \"{url}\"\nsecret = \"{secret}\""));
    for good in
        ["https://a.example", "http://127.0.0.1:8080/x?y", "https://[::1]:1/", "https://u:p@a.example:1/"]
    {
        assert_eq!(url(good), Vec::<String>::new(), "{good}");
    }
    for bad in [
        "a.example",
        "ftp://a.example",
        "https://",
        "https://köln.example/",
        "https://a:99999/",
        "https://a:b/",
        "https:///x",
    ] {
        assert_eq!(url(bad).len(), 1, "{bad}");
    }
}

#[test]
fn another_address_than_loopback_takes_tls_or_a_proxy() {
    let listen = "[http]\nlisten = \"0.0.0.0:443\"\n";
    for way in [
        "tls = { certificate = \"a.pem\", key = \"a.key\" }",
        "behind_proxy = true",
        "behind_proxy = [\"10.0.0.7\", \"fd00::/8\"]\nactor_header = \"X-Remote-User\"",
    ] {
        assert_eq!(problems(&format!("{listen}{way}")), Vec::<String>::new(), "{way}");
    }
    assert_eq!(problems(&format!("{listen}behind_proxy = false")).len(), 1);
}

#[test]
fn a_newsroom_without_a_chief_is_refused() {
    let error = Config::parse("[people.ana]\nroles = [\"editor\"]").unwrap_err();
    assert!(error.to_string().starts_with("people: someone must be chief"), "{error}");
}

#[test]
fn the_trial_newsroom_has_every_role_and_everyone_a_token() {
    let (config, tokens) = Config::trial().unwrap();
    assert_eq!(config.check(), []);
    for role in [Role::Reporter, Role::Editor, Role::Checker, Role::Publisher, Role::Chief, Role::Auditor] {
        assert!(config.people.values().any(|staff| staff.roles.contains(&role)), "{role:?}");
    }
    assert_eq!(config.people["bot"].kind, PersonKind::Machine);
    for (actor, token) in &tokens {
        assert_eq!(owner(&config, token.as_str()).as_deref(), Some(actor.as_str()));
    }
}

/// The keys that a table of this shape has, as the reader of TOML names them.
fn keys<T: serde::de::DeserializeOwned>() -> Vec<String> {
    let error = toml::from_str::<T>("no_such_key = 1").err().expect("a key that nothing has is refused");
    let (_, expected) = error.message().split_once("expected ").expect("the keys are listed");
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_page_about_the_configuration_has_every_key() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md")).unwrap();
    let tables = [
        ("desk", keys::<Desk>()),
        ("desk.policies", copydesk_public::POLICIES.iter().map(|policy| policy.name.to_owned()).collect()),
        ("log", keys::<Log>()),
        ("nats", keys::<Nats>()),
        ("nats.subscribers.<name>", keys::<Subscriber>()),
        ("http", keys::<Http>()),
        ("http.tls", keys::<TlsFiles>()),
        ("http.limits", [keys::<HttpLimits>(), keys::<Rate>()].concat()),
        ("store", keys::<Store>()),
        ("audit", keys::<Audit>()),
        ("evidence", keys::<Evidence>()),
        ("people.<name>", keys::<Staff>()),
        ("people.<name>.tokens", keys::<token::NamedToken>()),
        ("rules", [keys::<Rules>(), keys::<SectionRules>()].concat()),
        ("rules.accept", keys::<Accept>()),
        ("webhooks.<name>", keys::<Webhook>()),
    ];
    for table in read::TABLES {
        assert!(tables.iter().any(|(name, _)| name.split('.').next() == Some(*table)), "[{table}]");
    }
    for (table, keys) in tables {
        let mut sections = page.split("\n## ");
        let section = sections.find(|section| section.starts_with(&format!("`[{table}]`")));
        let section = section.unwrap_or_else(|| panic!("no section is about [{table}]"));
        for key in keys {
            assert!(section.contains(&format!("\n| `{key}` |")), "[{table}] has no row for {key}");
        }
    }
}
