//! The command line: one file a verb. It knows the desk by its HTTP contract alone, whether that is a running
//! service or an embedded folder in this process ([`client`]).
//!
//! # Layout
//! - this file: verbs, options that all of them take, exit codes.
//! - `client`, `refused`: asking the desk; what a refusal looks like.
//! - `members`: looking into JSON answers.
//! - `screen`, `safe`: writing; keeping newsroom text from acting on the terminal.
//! - `front`: Markdown with front matter; `story`: the sample story and its claims.
//! - the rest: a verb each.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use copydesk::config::{Config, ConfigError, Http};
use copydesk::service;
use copydesk_article::newsroom::Role;

mod allow_events;
mod audit_key;
mod backup;
mod bench;
mod board;
mod check_config;
mod client;
mod deliveries;
mod demo;
mod diff;
mod feed;
mod front;
mod gate;
mod history;
mod import;
mod members;
mod nats_config;
mod opening;
mod prove;
mod rebuild;
mod redact;
mod refused;
mod reload;
mod replay;
mod report;
mod safe;
mod schema;
mod screen;
mod send;
mod serve;
mod show;
mod story;
#[cfg(test)]
mod testing;
mod token;
mod tokens;
mod torture;
mod verify;

use client::Client;
use refused::Refused;
use screen::Screen;

/// Where a service is looked for if nothing else is said: where `serve` listens by default.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// The desk that every story passes through before readers see it.
#[derive(Debug, Parser)]
#[command(name = "copydesk", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

impl Cli {
    /// What was said. Who names a desk by an option means that one, whatever the environment says.
    fn read(said: &ArgMatches) -> Result<Self, clap::Error> {
        let mut cli = Self::from_arg_matches(said)?;
        let is_named = cli.global.data.is_some() || cli.global.config.is_some();
        if is_named && said.value_source("server") == Some(ValueSource::EnvVariable) {
            cli.global.server = None;
        }
        Ok(cli)
    }
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 refused or failed; 2 misuse.
Start with `copydesk demo`, then `copydesk serve`.";

/// Options that every verb takes: which desk to work at, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which desk")]
struct Global {
    /// A running service [default: http://127.0.0.1:8080]
    #[arg(long, global = true, env = "COPYDESK_SERVER", value_name = "URL")]
    server: Option<String>,
    /// The bearer token for it; better in the environment, where other users can't see it
    #[arg(long, global = true, env = "COPYDESK_TOKEN", value_name = "T", hide_env_values = true)]
    token: Option<String>,
    /// An embedded folder that no service has open, instead of a service; who sends may begin one
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// With --data: who is asking, by actor name [default for reading: a chief]
    #[arg(long = "as", global = true, value_name = "ACTOR")]
    acting_as: Option<String>,
    /// The configuration file; without --server and --data, of the service to ask
    #[arg(long, global = true, value_name = "F")]
    config: Option<PathBuf>,
    /// JSON instead of text for people
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Take a whole story through a desk of its own, step by step
    Demo(demo::Demo),
    /// Run the service
    Serve(serve::Serve),
    /// Make drafts from files
    Import(import::Import),
    /// Send commands, a JSON object a line; an answer a line, in order
    Send(send::Send),
    /// List articles, newest change first
    Board(board::Board),
    /// Show an article, now or as it was
    Show(show::Show),
    /// List what happened to an article
    History(history::History),
    /// Say what changed between two revisions, and who did it
    Diff(diff::Diff),
    /// Say what stands between an article and its readers
    Gate(gate::Gate),
    /// Show what readers get
    Feed(feed::Feed),
    /// Say which subscribers have which edition
    Deliveries(deliveries::Deliveries),
    /// Write events as JSON lines
    Replay(replay::Replay),
    /// Derive the whole log again, and say what doesn't hold
    Verify(verify::Verify),
    /// Prove that an event is in the log
    Prove(prove::Prove),
    /// Let newer sorts of events be written, when every instance is upgraded
    AllowEvents(allow_events::AllowEvents),
    /// Draw a key to sign checkpoints with
    AuditKey(audit_key::AuditKey),
    /// Copy the log into a folder of plain files, while it is served
    Backup(backup::Backup),
    /// Put a backup back into an empty log
    Recover(backup::Recover),
    /// Write an article's whole record as one page, for a standards editor or a lawyer
    Report(report::Report),
    /// Erase words by law, on the word of two people
    Redact(redact::Redact),
    /// Fold the state afresh from the log
    Rebuild(rebuild::Rebuild),
    /// Propose the configuration file's people, roles and rules to the newsroom
    Reload(reload::Reload),
    /// Write the JSON Schemas of commands, events, answers and problems
    Schema(schema::Schema),
    /// Measure copydesk beside the bare transport that it stands on
    Bench(bench::Bench),
    /// Kill, stop, cut off and damage a newsroom under load, and check that nothing is lost
    Torture(torture::Torture),
    /// Check a configuration file
    CheckConfig(check_config::CheckConfig),
    /// Write the NATS server's accounts for the newsroom
    NatsConfig(nats_config::NatsConfig),
    /// Draw a bearer token
    Token(token::DrawToken),
    /// List and revoke bearer tokens
    Tokens(tokens::Tokens),
    /// Write completions for a shell
    #[command(after_help = "Example:\n  copydesk completions bash > /etc/bash_completion.d/copydesk")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How a verb ended, failures apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Done: 0.
    Done,
    /// Something was refused, and said so already: 1.
    Refused,
}

/// Options that can't go together or make no sense: exit code 2.
#[derive(Debug)]
struct Misuse(String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// How long a thread for what blocks is kept for more of it: what it freed last, some megabytes, mimalloc keeps for as long.
const IDLE_THREADS: Duration = Duration::from_secs(1);

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::read(&Cli::command().get_matches()).unwrap_or_else(|error| error.exit());
    let (json, is_look) = (cli.global.json, cli.verb.is_look());
    let mut screen = Screen::stdout(json);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_keep_alive(IDLE_THREADS).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("no threads could be started")),
    };
    let ended = runtime.block_on(run(cli, &mut screen)).and_then(|ending| {
        screen.flush()?;
        Ok(ending)
    });
    match ended {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Refused) => ExitCode::from(1),
        Err(error) if reader_is_gone(&error) && is_look => ExitCode::SUCCESS,
        // What it was to say is not known to be good.
        Err(error) if reader_is_gone(&error) => ExitCode::from(1),
        Err(error) => {
            // With --json a refusal is an answer as any other.
            if let Some(refused) = error.downcast_ref::<Refused>().filter(|_| json)
                && screen.value(&refused.problem).and_then(|()| screen.flush()).is_ok()
            {
                return ExitCode::from(1);
            }
            let _ = screen.flush();
            failed(&error)
        }
    }
}

impl Verb {
    /// Whether it does nothing but show what there is: then it is done once nobody reads on.
    fn is_look(&self) -> bool {
        matches!(
            self,
            Verb::Board(_)
                | Verb::Show(_)
                | Verb::History(_)
                | Verb::Diff(_)
                | Verb::Gate(_)
                | Verb::Feed(_)
                | Verb::Replay(_)
                | Verb::Deliveries(_)
                | Verb::Report(_)
                | Verb::Schema(_)
                | Verb::AuditKey(_)
                | Verb::Demo(_)
                | Verb::Completions { .. }
        )
    }
}

/// Whether output went to something like `head` that has read enough.
fn reader_is_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain(&format!("copydesk: {error:#}"));
    ExitCode::from(if error.is::<Misuse>() { 2 } else { 1 })
}

/// A line on stderr; there is nowhere else to say that stderr is gone.
fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "{}", safe::text(what));
}

async fn run(cli: Cli, screen: &mut Screen) -> anyhow::Result<Ending> {
    let global = &cli.global;
    match cli.verb {
        Verb::Demo(demo) => demo.run(global, screen).await,
        Verb::Serve(serve) => serve.run(global).await,
        Verb::Verify(verify) => verify.run(global, screen).await,
        Verb::Backup(backup) => backup.run(global, screen).await,
        Verb::Recover(recover) => recover.run(global, screen).await,
        Verb::AllowEvents(allow) => allow.run(global, screen).await,
        Verb::AuditKey(key) => key.run(screen),
        Verb::Rebuild(rebuild) => rebuild.run(global, screen).await,
        Verb::Reload(reload) => reload.run(global, screen).await,
        Verb::Schema(schema) => schema.run(screen),
        Verb::Bench(bench) => bench.run(screen).await,
        Verb::Torture(torture) => torture.run(screen).await,
        Verb::CheckConfig(check) => check.run(global, screen),
        Verb::NatsConfig(accounts) => accounts.run(global, screen),
        Verb::Token(token) => token.run(screen),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "copydesk", &mut script);
            screen.raw(&script)?;
            Ok(Ending::Done)
        }
        Verb::Import(import) => {
            let client = global.client(Sends::Yes).await?;
            let ended = import.run(&client, global, screen).await;
            closing(&client, ended).await
        }
        Verb::Send(send) => {
            let client = global.client(Sends::Yes).await?;
            let ended = send.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::Redact(redact) => {
            let client = global.client(Sends::Yes).await?;
            let ended = redact.run(&client, screen).await;
            let ending = closing(&client, ended).await?;
            drop(client);
            if let (Some(folder), true, Ending::Done) = (&global.data, redact.confirm, ending) {
                // Old pages of the folded state may hold the words still.
                let mut config = global.config()?;
                config.store.path.clone_from(folder);
                service::rebuild(&config).await?;
            }
            Ok(ending)
        }
        Verb::Board(board) => {
            let client = global.client(Sends::No).await?;
            let ended = board.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::Show(show) => {
            let client = global.client(Sends::No).await?;
            let ended = show.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::History(history) => {
            let client = global.client(Sends::No).await?;
            let ended = history.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::Diff(diff) => {
            let client = global.client(Sends::No).await?;
            let ended = diff.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::Gate(gate) => {
            let client = global.client(Sends::No).await?;
            let ended = gate.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::Feed(feed) => {
            let client = global.client(Sends::No).await?;
            let ended = feed.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::Deliveries(deliveries) => {
            let client = global.client(Sends::No).await?;
            let ended = deliveries.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::Prove(prove) => {
            let client = global.client(Sends::No).await?;
            let ended = prove.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::Tokens(tokens) => {
            if global.data.is_some() && global.config.is_none() {
                bail!(Misuse("with --data, say whose tokens there are: --config F".to_owned()));
            }
            let client = global.client(Sends::No).await?;
            let ended = tokens.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::Replay(replay) => {
            let client = global.client(Sends::No).await?;
            let ended = replay.run(&client, screen).await;
            closing(&client, ended).await
        }
        Verb::Report(report) => {
            let client = global.client(Sends::No).await?;
            let ended = report.run(&client, screen).await;
            closing(&client, ended).await
        }
    }
}

/// Lets go of the folder whatever came of the verb; the verb's own failure is the one to tell.
async fn closing(client: &Client, ended: anyhow::Result<Ending>) -> anyhow::Result<Ending> {
    let closed = client.close().await;
    let ending = ended?;
    closed?;
    Ok(ending)
}

/// Whether a verb sends commands: then it must be said as whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sends {
    Yes,
    No,
}

impl Global {
    /// The configuration of the file that was named, or the defaults with the made-up newsroom.
    fn config(&self) -> anyhow::Result<Config> {
        match &self.config {
            Some(file) => read_config(file),
            None => Ok(Config::trial()?.0),
        }
    }

    /// The desk to work at.
    async fn client(&self, sends: Sends) -> anyhow::Result<Client> {
        let Some(folder) = &self.data else {
            if self.acting_as.is_some() {
                let what = "--as goes with --data; a service knows who is asking by the token";
                bail!(Misuse(what.to_owned()));
            }
            let server = match (&self.server, &self.config) {
                (Some(server), _) => server.clone(),
                (None, Some(file)) => listens_at(&read_config(file)?.http)
                    .map_err(|why| Misuse(format!("{}: {why}: say --server URL", file.display())))?,
                (None, None) => DEFAULT_SERVER.to_owned(),
            };
            return Client::remote(&server, self.token.clone());
        };
        if sends == Sends::Yes && self.acting_as.is_none() {
            bail!(Misuse("with --data, say who is sending: --as ACTOR".to_owned()));
        }
        if sends == Sends::No && !folder.is_dir() {
            bail!("there is no folder {}", folder.display());
        }
        let mut config = self.config()?;
        config.store.path.clone_from(folder);
        let desk = match sends {
            Sends::Yes => service::embedded(&config).await,
            Sends::No => service::embedded_to_read(&config).await,
        };
        let desk = desk.with_context(|| format!("the desk in {} can't be opened", folder.display()))?;
        let actor = match &self.acting_as {
            Some(actor) => actor.as_str().into(),
            None => {
                let newsroom = desk.newsroom();
                let mut people = newsroom.set.people.iter();
                let chief = people.find(|(_, person)| person.roles.contains(&Role::Chief));
                chief.map(|(name, _)| name.clone()).context("the newsroom has no chief: say --as ACTOR")?
            }
        };
        Ok(Client::in_process(desk, &actor))
    }
}

/// Where the service of a configuration is asked from this machine, or why that can't be told.
fn listens_at(http: &Http) -> Result<String, &'static str> {
    let mut at = http.listen;
    if http.tls.is_some() {
        return Err("the service speaks TLS, under a name of its certificate");
    }
    if at.port() == 0 {
        return Err("the service takes whatever port is free");
    }
    match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => at.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => at.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(format!("http://{at}"))
}

/// Reads a configuration; its problems come a line each, below the file's name.
fn read_config(file: &Path) -> anyhow::Result<Config> {
    read_config_with(file, Config::open)
}

/// The same, read and checked in a certain way.
fn read_config_with(file: &Path, read: fn(&Path) -> Result<Config, ConfigError>) -> anyhow::Result<Config> {
    read(file).map_err(|error| {
        let error = anyhow::Error::new(error);
        anyhow::anyhow!("{}:\n{error:#}", file.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_verb_has_an_example() {
        Cli::command().debug_assert();
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("copydesk "), "{} has no example", verb.get_name());
        }
    }

    #[test]
    fn options_stand_before_and_after_the_verb() {
        for line in ["copydesk --json board --server http://x", "copydesk board --json --server http://x"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.global.json && cli.global.server.as_deref() == Some("http://x"));
        }
    }

    #[test]
    fn a_service_is_asked_where_its_configuration_has_it_listen() {
        let at = |listen: &str| listens_at(&Http { listen: listen.parse().unwrap(), ..Http::default() });
        for (listen, asked) in [
            ("127.0.0.1:9090", "http://127.0.0.1:9090"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("192.0.2.7:80", "http://192.0.2.7:80"),
        ] {
            assert_eq!(at(listen).as_deref(), Ok(asked));
        }
        assert!(at("127.0.0.1:0").is_err());
    }
}
