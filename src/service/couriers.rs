//! The webhooks of the configuration, each with a task that sends.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::config::webhook::Beginning;
use crate::deliver::roll::Known;
use crate::deliver::{Courier, Key, Roll, Subscriber};
use crate::log::Log;
use crate::metrics::Metrics;

/// Tasks that send, until they are stopped.
pub(super) struct Couriers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Couriers {
    /// One for each webhook that is switched on.
    pub(super) fn start(config: &Config, log: &Arc<dyn Log>, metrics: &Arc<Metrics>) -> anyhow::Result<Self> {
        let stop = watch::Sender::new(false);
        let subscribers = subscribers(config)?;
        let tasks = subscribers.into_iter().filter(|subscriber| subscriber.enabled).map(|subscriber| {
            let courier = Courier::new(subscriber, Arc::clone(log), Arc::clone(metrics), stop.subscribe());
            tokio::spawn(courier.run())
        });
        Ok(Self { tasks: tasks.collect(), stop })
    }

    /// Lets what is under way arrive, for a while, and lets go, so that another instance goes on at once.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if task.await.is_err() {
                tracing::error!("a webhook's task ended in a panic");
            }
        }
    }
}

fn subscribers(config: &Config) -> anyhow::Result<Vec<Subscriber>> {
    let subscriber = |(name, webhook): (&String, &crate::config::webhook::Webhook)| {
        let secret = webhook.key().map_err(|what| anyhow::anyhow!("webhooks.{name}.secret: {what}"))?;
        Ok(Subscriber {
            name: name.clone(),
            url: webhook.url.clone(),
            key: Key::new(secret.bytes()).context("HMAC takes no such key")?,
            section: webhook.section.clone(),
            enabled: webhook.enabled,
            from_start: webhook.from == Beginning::Start,
        })
    };
    config.webhooks.iter().map(subscriber).collect()
}

/// Who is to have editions of a log.
pub(super) fn roll(config: &Config, log: &Arc<dyn Log>) -> Arc<Roll> {
    let known = config.webhooks.iter().map(|(name, webhook)| Known {
        name: name.clone(),
        section: webhook.section.clone(),
        enabled: webhook.enabled,
    });
    Arc::new(Roll::new(Arc::clone(log), known.collect()))
}
