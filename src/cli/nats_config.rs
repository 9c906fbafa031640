//! `nats-config`: the NATS server's accounts for the newsroom of a configuration.
//!
//! Wire subscribers and processes that serve readers have accounts of their own, which import questions about the wire
//! and nothing else. So the reply subjects that they name are of their own account, where no log and no inbox of
//! others is; and they may make no consumer, since one can be told to deliver to any subject of the log's account.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use copydesk::config::Config;
use nkeys::{KeyPair, KeyPairType};

use super::screen::Screen;
use super::{Ending, Global, Misuse, complain};

/// `copydesk nats-config`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk nats-config --config copydesk.toml --new-keys keys > nats.conf && nats-server -c nats.conf -sd DIR
  copydesk nats-config --config copydesk.toml --accounts-only > accounts.conf
  copydesk nats-config --config copydesk.toml --people ana,bot

Keys are the public keys of the configuration (nkey of a person or subscriber; answer_nkey, write_nkey, feed_nkey of
[nats], or what answer_credentials and the like hold). With --new-keys, whoever has none gets a seed in a file of that
folder: answers.nk, writes.nk, feed.nk, people/NAME.nk, subscribers/NAME.nk. What is there already is kept.

A subscriber's client is told the JetStream API prefix $JS.COPYDESK.API (the prefix in capitals) and the inbox prefix
_INBOX.NAME; its consumer NAME is made by the service.")]
pub struct NatsConfig {
    /// Draw keys for whoever has none, into files of this folder that only you can read
    #[arg(long, value_name = "DIR")]
    new_keys: Option<PathBuf>,
    /// Only these people
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    people: Option<Vec<String>>,
    /// Where the server keeps its streams; left to the server's own -sd where it isn't said
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Only the accounts, to be included in a configuration that says the rest
    #[arg(long)]
    accounts_only: bool,
}

/// Public keys, by who has them.
struct Keys {
    answers: String,
    writes: String,
    feed: Option<String>,
    people: BTreeMap<String, String>,
    subscribers: BTreeMap<String, String>,
}

impl NatsConfig {
    pub fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        if global.config.is_none() {
            bail!(Misuse("whose newsroom? copydesk nats-config --config copydesk.toml".to_owned()));
        }
        let config = global.config()?;
        if let Some(unknown) = self.people.iter().flatten().find(|name| !config.people.contains_key(*name)) {
            bail!(Misuse(format!("--people {unknown}: the configuration has nobody of that name")));
        }
        let keys = self.keys(&config)?;
        if !self.accounts_only {
            screen.line(head(self.store.as_deref())?)?;
        }
        screen.line(accounts(&config.desk.prefix, &keys)?)?;
        Ok(Ending::Done)
    }

    fn keys(&self, config: &Config) -> anyhow::Result<Keys> {
        let nats = &config.nats;
        let service = |name: &str, key: &Option<String>, credentials: &Option<PathBuf>| {
            let known = key.clone().or_else(|| credentials.as_deref().and_then(public_key_in));
            self.key(known, Path::new(name))
        };
        let needed = |name: &str, key: Option<String>| {
            let what = format!(
                "the connection that {name} has no key: say it in [nats], or draw one (--new-keys DIR)"
            );
            key.context(what)
        };
        let answers = service("answers", &nats.answer_nkey, &nats.answer_credentials)?;
        let writes = service("writes", &nats.write_nkey, &nats.write_credentials)?;
        let mut people = BTreeMap::new();
        let chosen = |name: &&String| self.people.as_ref().is_none_or(|chosen| chosen.contains(name));
        for (name, staff) in config.people.iter().filter(|(name, _)| chosen(name)) {
            match self.key(staff.nkey.clone(), &Path::new("people").join(name))? {
                Some(key) => drop(people.insert(name.clone(), key)),
                None => complain(&format!(
                    "{name} has no key, and is left out (people.{name}.nkey, or --new-keys)"
                )),
            }
        }
        let mut subscribers = BTreeMap::new();
        for (name, subscriber) in &nats.subscribers {
            match self.key(subscriber.nkey.clone(), &Path::new("subscribers").join(name))? {
                Some(key) => drop(subscribers.insert(name.clone(), key)),
                None => complain(&format!("the subscriber {name} has no key, and is left out")),
            }
        }
        Ok(Keys {
            answers: needed("answers", answers)?,
            writes: needed("writes", writes)?,
            feed: service("feed", &nats.feed_nkey, &nats.feed_credentials)?,
            people,
            subscribers,
        })
    }

    /// A key that is known, or one of the folder, which is drawn where it is absent.
    fn key(&self, known: Option<String>, name: &Path) -> anyhow::Result<Option<String>> {
        match (known, &self.new_keys) {
            (Some(known), _) => Ok(Some(known)),
            (None, None) => Ok(None),
            (None, Some(folder)) => drawn(&folder.join(name).with_extension("nk")).map(Some),
        }
    }
}

/// The public key of a seed in a file, drawn and written where there is none.
fn drawn(file: &Path) -> anyhow::Result<String> {
    let told = || file.display().to_string();
    if let Some(folder) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(told)?;
    }
    let key = KeyPair::new_user();
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut new) => {
            writeln!(new, "{}", key.seed()?).and_then(|()| new.sync_all()).with_context(told)?;
            Ok(key.public_key())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => public_key_in(file)
            .with_context(|| format!("{}: no seed of a user's key is in it", file.display())),
        Err(error) => Err(error).with_context(told),
    }
}

/// The public key of the seed that a file holds, if it does.
fn public_key_in(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let key = KeyPair::from_seed(text.trim()).ok()?;
    (key.key_pair_type() == KeyPairType::User).then(|| key.public_key())
}

fn head(store: Option<&Path>) -> Result<String, std::fmt::Error> {
    let mut to = String::new();
    writeln!(
        to,
        "# Printed by `copydesk nats-config`, for nats-server 2.12.3 or newer. deploy/nats.conf says more.\n"
    )?;
    writeln!(to, "# Room for the largest edition (900 KiB) with its headers.\nmax_payload: 1MB\n")?;
    writeln!(to, "# What is acknowledged is on the disk.")?;
    if store.is_none() {
        writeln!(to, "# Where: say it by -sd, or as store_dir. The server's default is a temporary folder.")?;
    }
    let store =
        store.map(|store| format!("store_dir: {:?}, ", store.display().to_string())).unwrap_or_default();
    write!(to, "jetstream {{ {store}sync_interval: always }}")?;
    Ok(to)
}

/// A question that another account may ask the log's.
struct Export {
    subject: String,
    /// Whether it may have several answers.
    many: bool,
    account: String,
}

fn accounts(prefix: &str, keys: &Keys) -> Result<String, std::fmt::Error> {
    let name = prefix.to_ascii_uppercase();
    let wire = format!("{name}_WIRE");
    let mut exports = Vec::new();
    let mut others = Vec::new();
    if let Some(key) = &keys.feed {
        let account = format!("{name}_FEED");
        let subjects =
            ["STREAM.INFO", "STREAM.MSG.GET"].map(|verb| (format!("$JS.API.{verb}.{wire}"), false));
        others.push((account, "copydesk-feed".to_owned(), key, subjects.to_vec()));
    }
    for (subscriber, key) in &keys.subscribers {
        let account = format!("{name}_SUBSCRIBER_{}", subscriber.to_ascii_uppercase());
        let subjects = vec![
            (format!("$JS.API.CONSUMER.INFO.{wire}.{subscriber}"), false),
            (format!("$JS.API.CONSUMER.MSG.NEXT.{wire}.{subscriber}"), true),
            (format!("$JS.ACK.{wire}.{subscriber}.>"), false),
        ];
        others.push((account, subscriber.clone(), key, subjects));
    }
    for (account, _, _, subjects) in &others {
        exports.extend(subjects.iter().map(|(subject, many)| Export {
            subject: subject.clone(),
            many: *many,
            account: account.clone(),
        }));
    }
    let mut to = String::new();
    writeln!(
        to,
        "# Nobody has a key to the server's own account.\nsystem_account: SYS\naccounts {{\n  SYS {{}}\n"
    )?;
    writeln!(to, "  # The newsroom: the log, those who send it commands, and the service.\n  {name:?} {{")?;
    writeln!(to, "    jetstream: enabled\n    users: [")?;
    user(
        &mut to,
        "Answers commands: publishes to inboxes alone, so that no reply subject leads an answer anywhere else.",
        &keys.answers,
        &[&format!("{prefix}.command.*.* copydesk"), "$SRV.>", "_INBOX.copydesk.>"],
        &["_INBOX.>"],
        &["_INBOX.copydesk.>", "_INBOX.copydesk-feed.>"],
    )?;
    user(
        &mut to,
        "Writes the log and the wire, and takes no command.",
        &keys.writes,
        &["_INBOX.copydesk.>"],
        &[&format!("{prefix}.>"), "$JS.API.>"],
        &[&format!("{prefix}.command.>"), "$JS.API.STREAM.DELETE.*", "$JS.API.STREAM.PURGE.*"],
    )?;
    for (actor, key) in &keys.people {
        let inbox = format!("_INBOX.{actor}.>");
        let commands = format!("{prefix}.command.{actor}.*");
        let what = format!("{actor}. The client is told the inbox prefix _INBOX.{actor}.");
        user(&mut to, &what, key, &[&inbox], &[&commands], &[])?;
    }
    writeln!(to, "    ]")?;
    if !exports.is_empty() {
        writeln!(to, "    exports: [")?;
        for Export { subject, many, account } in &exports {
            let many = if *many { ", response_type: stream" } else { "" };
            writeln!(to, "      {{ service: {subject:?}{many}, accounts: [{account:?}] }}")?;
        }
        writeln!(to, "    ]")?;
    }
    writeln!(to, "  }}")?;
    for (account, inbox, key, subjects) in &others {
        writeln!(to, "\n  {account:?} {{\n    users: [")?;
        let mut asked: Vec<String> = subjects.iter().map(|(subject, _)| shared(&name, subject)).collect();
        if inbox == "copydesk-feed" {
            // By the answer to this it knows that the account has no streams of its own.
            asked.push(format!("$JS.API.STREAM.INFO.{wire}"));
        }
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let what = format!("The client is told the inbox prefix _INBOX.{inbox}.");
        user(&mut to, &what, key, &[&format!("_INBOX.{inbox}.>")], &asked, &[])?;
        writeln!(to, "    ]\n    imports: [")?;
        for (subject, _) in subjects {
            let local = shared(&name, subject);
            writeln!(
                to,
                "      {{ service: {{ account: {name:?}, subject: {subject:?} }}, to: {local:?} }}"
            )?;
        }
        writeln!(to, "    ]\n  }}")?;
    }
    write!(to, "}}")?;
    Ok(to)
}

/// What a question about the log's streams is called in another account, where `$JS.API` are the account's own streams:
/// clients are told `$JS.<NAME>.API` as the prefix of JetStream's API.
fn shared(name: &str, subject: &str) -> String {
    match subject.strip_prefix("$JS.API.") {
        Some(rest) => format!("$JS.{name}.API.{rest}"),
        None => subject.to_owned(),
    }
}

/// A user of an account, with what they may.
fn user(
    to: &mut String,
    what: &str,
    key: &str,
    subscribe: &[&str],
    publish: &[&str],
    never: &[&str],
) -> std::fmt::Result {
    writeln!(to, "      {{\n        # {what}\n        nkey: {key}\n        permissions: {{")?;
    writeln!(to, "          subscribe: {{ allow: {} }}", list(subscribe))?;
    let never = if never.is_empty() { String::new() } else { format!(", deny: {}", list(never)) };
    writeln!(to, "          publish: {{ allow: {}{never} }}", list(publish))?;
    writeln!(to, "        }}\n      }}")
}

fn list(subjects: &[&str]) -> String {
    let quoted: Vec<String> = subjects.iter().map(|subject| format!("{subject:?}")).collect();
    format!("[{}]", quoted.join(", "))
}
