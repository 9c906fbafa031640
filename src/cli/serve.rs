//! `serve`: the service, by a configuration file or on a made-up newsroom.

use std::net::SocketAddr;

use anyhow::bail;
use clap::Args;
use copydesk::config::token::Token;
use copydesk::config::{Config, ConfigError, LogKind};
use copydesk::service::{self, Part, ServeOptions};

use super::{Ending, Global, Misuse, read_config, read_config_with};

/// What is said to who would serve readers apart from an embedded log.
const FEED_NEEDS_NATS: &str = "--parts feed alone reads the wire from NATS: an embedded log is open in one process \
    only, and that one serves readers too. Leave --parts out, or keep the log in NATS (--nats URL)";

/// `copydesk serve`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk serve                                   try it out: a made-up newsroom, new tokens printed
  copydesk serve --config copydesk.toml
  copydesk serve --listen 127.0.0.1:0 --data /tmp/desk
  copydesk serve --config copydesk.toml --nats nats://127.0.0.1:4222 --parts desk,wire
  copydesk serve --config feed.toml --parts feed   readers alone, with rights to nothing but the wire

When ready it prints one line on stdout: copydesk ready http://ADDRESS. SIGTERM drains and exits 0.")]
pub struct Serve {
    /// Where to listen for HTTP; port 0 takes a free one
    // A process that starts itself anew says it again: the last one holds.
    #[arg(long, value_name = "A", overrides_with = "listen")]
    listen: Option<SocketAddr>,
    /// Keep the log in NATS JetStream at this address, instead of an embedded one
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// What this process does
    #[arg(long, value_delimiter = ',', value_name = "PARTS", default_values_t = Part::ALL.to_vec())]
    parts: Vec<Part>,
}

impl Serve {
    pub async fn run(self, global: &Global) -> anyhow::Result<Ending> {
        let feed_alone = Part::is_feed_alone(&self.parts);
        let (mut config, tokens) = match &global.config {
            Some(file) if feed_alone => (read_config_with(file, Config::open_for_feed)?, Vec::new()),
            Some(file) => (read_config(file)?, Vec::new()),
            None if feed_alone => (Config::default(), Vec::new()),
            None => Config::trial()?,
        };
        if let Some(listen) = self.listen {
            config.http.listen = listen;
        }
        if let Some(folder) = &global.data {
            config.store.path.clone_from(folder);
        }
        if let Some(nats) = self.nats {
            config.log.kind = LogKind::Nats;
            config.nats.url = Some(nats);
        }
        if feed_alone && config.log.kind == LogKind::Embedded {
            bail!(Misuse(FEED_NEEDS_NATS.to_owned()));
        }
        let problems = if feed_alone { config.check_for_feed() } else { config.check() };
        if !problems.is_empty() {
            return Err(ConfigError::Invalid(problems).into());
        }
        let options = ServeOptions {
            parts: self.parts,
            file: global.config.clone(),
            greeting: (!tokens.is_empty()).then(|| greeting(&config, &tokens)),
        };
        service::serve(config, options).await?;
        Ok(Ending::Done)
    }
}

/// Everyone's token in the made-up newsroom.
fn greeting(config: &Config, tokens: &[(String, Token)]) -> String {
    let mut text = "No configuration file: this is a made-up newsroom, for trying copydesk out. Tokens, shown once; those \
                    of an earlier start no longer work:\n\n"
        .to_owned();
    for (actor, token) in tokens {
        let name = config.people.get(actor).map(|staff| staff.name.as_str()).unwrap_or_default();
        text.push_str(&format!("  {actor:<6}  {}  {name}\n", token.as_str()));
    }
    text
}
