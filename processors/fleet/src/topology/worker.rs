//! `[worker.NAME]`: who reads what, and where it delivers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use weir_config::{Checker, Duration, Spanned, unset};

use super::topic::{DEAD_LETTERS, LOGS_DEAD_LETTERS, check_name};

/// A worker, with every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    /// Names of topics; one that starts with `^` is a regular expression over all of them.
    pub topics: Vec<String>,
    /// The consumer group.
    pub group: String,
    /// Where a group without offsets begins.
    pub start: Start,
    /// How the group shares its partitions out.
    pub group_protocol: GroupProtocol,
    /// How long a shutdown waits for what is under way.
    pub drain_timeout: Duration,
    /// How long a rebalance waits for what is under way; the other partitions wait too.
    pub revoke_timeout: Duration,
    /// How often finished batches are committed.
    pub commit_interval: Duration,
    /// What the records' bytes are.
    pub encoding: Encoding,
    /// What it does, and where it delivers.
    pub kind: Kind,
}

/// What a worker does: the table under its name.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `remote_write`: OTLP metrics to Prometheus.
    RemoteWrite(Box<weir_metrics::Config>),
    /// `enrich`: OTLP logs to another topic, parsed, enriched and masked.
    Enrich(Box<weir_logs::Config>),
}

/// Where a group without offsets begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// At the oldest record that is still there.
    #[default]
    Earliest,
    /// After the newest record.
    Latest,
    /// At the first record of this time or later.
    At(SystemTime),
}

/// How a group shares its partitions out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// One of the members does.
    #[default]
    Classic,
    /// The broker does (KIP-848).
    Consumer,
}

/// What the records' bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Told from each record.
    #[default]
    Auto,
    /// OTLP as protobuf.
    OtlpProto,
    /// OTLP as JSON.
    OtlpJson,
}

/// The workers that are there without being written.
pub(super) const DEFAULTS: &[&str] = &["logs", "metrics"];

/// `[worker.NAME]` as it is written; every kind is an optional table of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Table {
    topics: Option<Spanned<Vec<String>>>,
    group: Option<Spanned<String>>,
    start: Start,
    pub(super) group_protocol: GroupProtocol,
    drain_timeout: Spanned<Duration>,
    revoke_timeout: Spanned<Duration>,
    commit_interval: Option<Spanned<Duration>>,
    encoding: Encoding,
    remote_write: Option<weir_metrics::config::Endpoints>,
    otlp: Option<weir_metrics::config::Otlp>,
    enrich: Option<Box<weir_logs::Config>>,
}

impl Worker {
    /// The changelog of its group, if it keeps state.
    pub fn state_topic(&self) -> Option<String> {
        let keeps = match &self.kind {
            Kind::RemoteWrite(config) => config.otlp.delta_to_cumulative,
            Kind::Enrich(config) => config.keeps_state(),
        };
        let prefix = if self.group.starts_with("weir-") { "" } else { "weir-" };
        keeps.then(|| format!("{prefix}{}-state", self.group))
    }
}

impl Kind {
    /// The name of its table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RemoteWrite(_) => "remote_write",
            Self::Enrich(_) => "enrich",
        }
    }

    /// Whether its records may be read once more beside the live group.
    ///
    /// # Errors
    /// Why not, and what to do instead.
    pub fn replay(&self) -> Result<(), &'static str> {
        match self {
            Self::RemoteWrite(config) if config.otlp.delta_to_cumulative => Err(
                "it adds deltas up, and a part of them adds up to other totals; replay into a group of its own from \
                     the beginning of the log, with `start` and another `group`",
            ),
            // The same sample once more changes nothing.
            Self::RemoteWrite(_) => Ok(()),
            Self::Enrich(_) => {
                Err("its records would be in its output topic twice: replay it with a worker of its own, \
                 with another name, group and output")
            }
        }
    }

    /// The topic that it writes to, where it ends in Kafka.
    pub fn output(&self) -> Option<&str> {
        match self {
            Self::RemoteWrite(_) => None,
            Self::Enrich(config) => Some(config.output.get_ref()),
        }
    }

    /// The topic of the metrics that lines are counted to, where they are.
    pub fn measures(&self) -> Option<&str> {
        match self {
            Self::RemoteWrite(_) => None,
            Self::Enrich(config) => config.measure.is_on().then(|| config.measure.output.get_ref().as_str()),
        }
    }

    /// The topic of its dead letters.
    pub fn dead_letters(&self) -> &'static str {
        match self {
            Self::RemoteWrite(_) => DEAD_LETTERS,
            Self::Enrich(_) => LOGS_DEAD_LETTERS,
        }
    }

    /// How often it commits where nothing is written: where it ends in Kafka, nobody sees its output before.
    fn commit_interval(&self) -> Duration {
        match self {
            Self::RemoteWrite(_) => Duration::from_secs(1),
            Self::Enrich(_) => Duration::from_millis(100),
        }
    }

    /// What it reads where nothing is written.
    fn topics(&self) -> Vec<String> {
        match self {
            Self::RemoteWrite(_) => vec!["telemetry-metrics".to_owned()],
            Self::Enrich(_) => vec!["telemetry-logs".to_owned()],
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self {
            topics: None,
            group: None,
            start: Start::default(),
            group_protocol: GroupProtocol::default(),
            drain_timeout: unset(Duration::from_secs(20)),
            revoke_timeout: unset(Duration::from_secs(1)),
            commit_interval: None,
            encoding: Encoding::default(),
            remote_write: None,
            otlp: None,
            enrich: None,
        }
    }
}

impl Table {
    /// A worker that is there by default knows its kind.
    pub(super) fn add_default_kind(&mut self, name: &str) {
        match name {
            _ if self.remote_write.is_some() || self.enrich.is_some() => {}
            "metrics" => self.remote_write = Some(weir_metrics::config::Endpoints::default()),
            "logs" => self.enrich = Some(Box::default()),
            _ => {}
        }
    }

    pub(super) fn check(&self, name: &Spanned<String>, poll_interval: Duration, at: &mut Checker<'_>) {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.get_ref().is_empty() || !name.get_ref().chars().all(legal) {
            at.problem(name.span(), "", "expected letters, digits, underscores and dashes as a worker's name");
        }
        if let Some(topics) = &self.topics {
            check_topics(topics, at);
        }
        if let Some(group) = self.group.as_ref().filter(|group| group.get_ref().trim().is_empty()) {
            at.problem(group.span(), "group", "expected a name, not an empty one");
        }
        at.within(&self.drain_timeout, "drain_timeout", Duration::from_secs(0)..=Duration::from_mins(60));
        if *self.drain_timeout.get_ref() >= poll_interval {
            let message = format!(
                "{} is not below max.poll.interval.ms, which is {poll_interval}: Kafka would take the partitions away",
                self.drain_timeout
            );
            at.problem(self.drain_timeout.span(), "drain_timeout", message);
        }
        at.within(&self.revoke_timeout, "revoke_timeout", Duration::from_secs(0)..=Duration::from_secs(30));
        if let Some(interval) = &self.commit_interval {
            at.within(interval, "commit_interval", Duration::from_millis(10)..=Duration::from_mins(1));
        }
        match (&self.remote_write, &self.enrich) {
            (Some(endpoints), None) => {
                endpoints.check(at);
                self.otlp.iter().for_each(|otlp| otlp.check(&mut at.under("otlp")));
            }
            (None, Some(config)) => {
                config.check(&mut at.under("enrich"));
                self.check_output(config, &mut at.under("enrich"));
            }
            (Some(_), Some(_)) => {
                at.problem(name.span(), "", "has two kinds, `enrich` and `remote_write`: make two workers of it");
            }
            (None, None) => {
                let message = "nothing says what it does: add its kind as a table below it; known are `enrich` and \
                               `remote_write`";
                at.problem(name.span(), "", message);
            }
        }
    }

    /// Reports outputs that the worker would read again, and files that are not there or not what they should be.
    fn check_output(&self, config: &weir_logs::Config, at: &mut Checker<'_>) {
        let default = ["telemetry-logs".to_owned()];
        let topics = self.topics.as_ref().map_or(&default[..], |topics| topics.get_ref().as_slice());
        for (output, path) in [(&config.output, "output"), (&config.measure.output, "measure.output")] {
            if let Err(message) = check_name(output.get_ref()) {
                at.problem(output.span(), path, message);
            }
            let matches = |topic: &String| {
                topic == output.get_ref()
                    || (topic.starts_with('^')
                        && regex::Regex::new(topic).is_ok_and(|all| all.is_match(output.get_ref())))
            };
            if topics.iter().any(matches) {
                let message = "is among its own topics: it would read what it has written, for ever";
                at.problem(output.span(), path, message);
            }
        }
        crate::tables::check(config, at);
    }

    /// Reports a group that another worker has; `groups` are those seen, with their workers.
    pub(super) fn check_group(
        &self,
        name: &Spanned<String>,
        groups: &mut BTreeMap<String, String>,
        at: &mut Checker<'_>,
    ) {
        let group = self.group_of(name.get_ref());
        if let Some(other) = groups.get(&group) {
            let message = format!(
                "worker.{other} has this group, too: each would get only a part of the records; give each its own"
            );
            at.problem(self.group.as_ref().unwrap_or(name).span(), "group", message);
        } else {
            groups.insert(group, name.get_ref().clone());
        }
    }

    /// The worker; none without a kind, which is a problem.
    pub(super) fn resolved(self, name: &str) -> Option<Worker> {
        let group = self.group_of(name);
        let otlp = self.otlp.unwrap_or_default();
        let kind = self
            .remote_write
            .map(|remote_write| Kind::RemoteWrite(Box::new(weir_metrics::Config { remote_write, otlp })))
            .or(self.enrich.map(Kind::Enrich))?;
        Some(Worker {
            topics: self.topics.map_or_else(|| kind.topics(), Spanned::into_inner),
            group,
            start: self.start,
            group_protocol: self.group_protocol,
            drain_timeout: self.drain_timeout.into_inner(),
            revoke_timeout: self.revoke_timeout.into_inner(),
            commit_interval: self.commit_interval.map_or_else(|| kind.commit_interval(), Spanned::into_inner),
            encoding: self.encoding,
            kind,
        })
    }

    fn group_of(&self, name: &str) -> String {
        self.group.as_ref().map_or_else(|| format!("weir-{name}"), |group| group.get_ref().clone())
    }
}

fn check_topics(topics: &Spanned<Vec<String>>, at: &mut Checker<'_>) {
    let names = topics.get_ref();
    if names.is_empty() {
        at.problem(topics.span(), "topics", "expected at least one topic");
    }
    for (index, name) in names.iter().enumerate() {
        let path = format!("topics[{index}]");
        if names.iter().take(index).any(|earlier| earlier == name) {
            at.problem(topics.span(), &path, "this topic is listed already");
        } else if name.starts_with('^') {
            if let Err(error) = regex::Regex::new(name) {
                // Its last line is the reason; the others show the expression.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                at.problem(topics.span(), &path, format_args!("not a regular expression: {reason}"));
            }
        } else if let Err(message) = check_name(name) {
            at.problem(topics.span(), &path, message);
        }
    }
}

// === impl Start ===

/// The text names no place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected \"earliest\", \"latest\", or a time such as \"2026-01-31T12:00:00Z\"")]
pub struct NotAStart;

impl FromStr for Start {
    type Err = NotAStart;

    fn from_str(text: &str) -> Result<Self, NotAStart> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            time => humantime::parse_rfc3339(time).map(Self::At).map_err(|_| NotAStart),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::At(time) => humantime::format_rfc3339(*time).fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
