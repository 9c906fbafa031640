//! Counters in Prometheus' text format. Labels come from fixed lists (types, codes, routes), never from what was
//! sent: so no newsroom text can be among them, and there is a bound on how many there are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use copydesk_article::answer::Answer;
use copydesk_article::problem::Problem;

mod process;

/// Upper bounds of the buckets in which times are counted, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// What is counted in this process, whatever gateway it came by.
#[derive(Debug)]
pub struct Metrics {
    started: SystemTime,
    commands: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// By route and status.
    requests: RwLock<BTreeMap<String, BTreeMap<u16, AtomicU64>>>,
    command_times: Times,
    newsroom_times: Times,
    public_times: Times,
    webhooks: Mutex<BTreeMap<String, Webhook>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            started: SystemTime::now(),
            commands: Mutex::default(),
            requests: RwLock::default(),
            command_times: Times::default(),
            newsroom_times: Times::default(),
            public_times: Times::default(),
            webhooks: Mutex::default(),
        }
    }
}

/// What is counted of a webhook's subscriber. Its name is one of the configuration's.
#[derive(Debug, Default)]
struct Webhook {
    attempts: BTreeMap<&'static str, u64>,
    /// How many messages wait and how many are parked; none where another instance sends.
    waits: Option<(u64, u64)>,
}

/// One value of a metric that is measured when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Gauge {
    /// Its name, without the prefix.
    pub name: &'static str,
    /// What it is, in a line.
    pub help: &'static str,
    /// Its value, in the unit that the name ends with.
    pub value: f64,
}

impl Metrics {
    /// Counts a command: of this type, where it got as far as having one, with this outcome, after this long.
    pub fn command(&self, kind: Option<&'static str>, outcome: &Result<Answer, Problem>, took: Duration) {
        let kind = kind.unwrap_or("unread");
        let outcome = match outcome {
            Ok(Answer { gate: Some(_), .. }) => "would_be_accepted",
            Ok(answer) if answer.duplicate => "duplicate",
            Ok(_) => "accepted",
            Err(problem) => problem.code.name(),
        };
        *locked(&self.commands).entry((kind, outcome)).or_default() += 1;
        self.command_times.count(took);
    }

    /// Counts a request by its route's pattern, and how long its answer took to begin.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        match requests.get(route).and_then(|statuses| statuses.get(&status)) {
            Some(count) => {
                count.fetch_add(1, Ordering::Relaxed);
            }
            None => {
                drop(requests);
                let mut requests = self.requests.write().unwrap_or_else(PoisonError::into_inner);
                let statuses = requests.entry(route.to_owned()).or_default();
                statuses.entry(status).or_default().fetch_add(1, Ordering::Relaxed);
            }
        }
        let times = if route.starts_with("/v1/") { &self.newsroom_times } else { &self.public_times };
        times.count(took);
    }

    /// Counts an attempt to send a webhook's subscriber a message.
    pub fn webhook_attempt(&self, subscriber: &str, outcome: &'static str) {
        let mut webhooks = locked(&self.webhooks);
        *webhooks.entry(subscriber.to_owned()).or_default().attempts.entry(outcome).or_default() += 1;
    }

    /// Notes how many of a webhook's messages wait, and how many are parked; none where another instance sends.
    pub fn webhook_waits(&self, subscriber: &str, waits: Option<(u64, u64)>) {
        locked(&self.webhooks).entry(subscriber.to_owned()).or_default().waits = waits;
    }

    /// Everything counted, and what was measured just now.
    pub fn render(&self, gauges: &[Gauge]) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = self.write(&mut text, gauges);
        text
    }

    fn write(&self, to: &mut String, gauges: &[Gauge]) -> std::fmt::Result {
        head(to, "commands_total", "counter", "Commands by type and outcome.")?;
        for ((kind, outcome), count) in &*locked(&self.commands) {
            writeln!(to, "copydesk_commands_total{{type=\"{kind}\",outcome=\"{outcome}\"}} {count}")?;
        }
        head(to, "command_seconds", "histogram", "From a command's arrival to its answer.")?;
        self.command_times.write(to, "command_seconds", "")?;
        head(to, "http_requests_total", "counter", "HTTP requests by route and status.")?;
        for (route, statuses) in &*self.requests.read().unwrap_or_else(PoisonError::into_inner) {
            for (status, count) in statuses {
                let (labels, count) =
                    (format!("route=\"{route}\",status=\"{status}\""), count.load(Ordering::Relaxed));
                writeln!(to, "copydesk_http_requests_total{{{labels}}} {count}")?;
            }
        }
        head(to, "http_request_seconds", "histogram", "From a request to the beginning of its answer.")?;
        self.newsroom_times.write(to, "http_request_seconds", "area=\"newsroom\"")?;
        self.public_times.write(to, "http_request_seconds", "area=\"public\"")?;
        self.write_webhooks(to)?;
        for Gauge { name, help, value } in gauges {
            // What only ever grows says so by its name.
            head(to, name, if name.ends_with("_total") { "counter" } else { "gauge" }, help)?;
            writeln!(to, "copydesk_{name} {value}")?;
        }
        head(to, "build_info", "gauge", "Always 1; which build this is.")?;
        writeln!(to, "copydesk_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))?;
        process::write(to, self.started)
    }

    fn write_webhooks(&self, to: &mut String) -> std::fmt::Result {
        let webhooks = locked(&self.webhooks);
        if webhooks.is_empty() {
            return Ok(());
        }
        head(
            to,
            "webhook_attempts_total",
            "counter",
            "Messages sent to webhooks, by subscriber and outcome.",
        )?;
        for (name, webhook) in &*webhooks {
            for (outcome, count) in &webhook.attempts {
                let labels = format!("subscriber=\"{name}\",outcome=\"{outcome}\"");
                writeln!(to, "copydesk_webhook_attempts_total{{{labels}}} {count}")?;
            }
        }
        let sending = || webhooks.iter().filter_map(|(name, webhook)| Some((name, webhook.waits?)));
        head(to, "webhook_waiting", "gauge", "Messages that wait for a webhook this instance sends.")?;
        for (name, (waiting, _)) in sending() {
            writeln!(to, "copydesk_webhook_waiting{{subscriber=\"{name}\"}} {waiting}")?;
        }
        head(to, "webhook_parked", "gauge", "Messages that were given up after a day.")?;
        for (name, (_, parked)) in sending() {
            writeln!(to, "copydesk_webhook_parked{{subscriber=\"{name}\"}} {parked}")?;
        }
        Ok(())
    }
}

/// Times, counted in buckets.
#[derive(Debug, Default)]
struct Times {
    /// Each time counts in the first bucket that it fits; those below add up to what is written.
    buckets: [AtomicU64; BUCKETS.len()],
    micros: AtomicU64,
    timed: AtomicU64,
}

impl Times {
    fn count(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some((bucket, _)) = self.buckets.iter().zip(BUCKETS).find(|(_, most)| seconds <= *most) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        self.timed.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes them as a histogram of this name, with these labels beside `le`.
    fn write(&self, to: &mut String, name: &str, labels: &str) -> std::fmt::Result {
        let (comma, braced) = match labels {
            "" => ("", String::new()),
            labels => (",", format!("{{{labels}}}")),
        };
        let mut count = 0;
        for (bucket, most) in self.buckets.iter().zip(BUCKETS) {
            count += bucket.load(Ordering::Relaxed);
            writeln!(to, "copydesk_{name}_bucket{{{labels}{comma}le=\"{most}\"}} {count}")?;
        }
        let timed = self.timed.load(Ordering::Relaxed);
        writeln!(to, "copydesk_{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {timed}")?;
        let seconds = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        writeln!(to, "copydesk_{name}_sum{braced} {seconds}")?;
        writeln!(to, "copydesk_{name}_count{braced} {timed}")
    }
}

fn head(to: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(to, "# HELP copydesk_{name} {help}\n# TYPE copydesk_{name} {kind}")
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use copydesk_article::problem::Code;

    use super::*;

    #[test]
    fn a_command_is_counted_by_type_outcome_and_time() {
        let metrics = Metrics::default();
        let refused = Err(Problem::new(Code::Malformed, "CANARY"));
        metrics.command(None, &refused, Duration::from_millis(3));
        metrics.command(None, &refused, Duration::from_secs(60));
        metrics.request("/v1/articles", 200, Duration::from_millis(20));
        let text = metrics.render(&[Gauge { name: "fold_seq", help: "How far.", value: 7.0 }]);
        for line in [
            "copydesk_commands_total{type=\"unread\",outcome=\"malformed\"} 2",
            "copydesk_command_seconds_bucket{le=\"0.0025\"} 0",
            "copydesk_command_seconds_bucket{le=\"0.005\"} 1",
            "copydesk_command_seconds_bucket{le=\"5\"} 1",
            "copydesk_command_seconds_bucket{le=\"+Inf\"} 2",
            "copydesk_command_seconds_count 2",
            "copydesk_http_request_seconds_bucket{area=\"newsroom\",le=\"0.01\"} 0",
            "copydesk_http_request_seconds_bucket{area=\"newsroom\",le=\"0.025\"} 1",
            "copydesk_http_request_seconds_count{area=\"newsroom\"} 1",
            "copydesk_http_request_seconds_count{area=\"public\"} 0",
            "copydesk_fold_seq 7",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} in {text}");
        }
        assert!(!text.contains("CANARY"));
    }
}
