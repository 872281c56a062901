//! `[topic.NAME]`: the topics that `weir topics` creates and checks.

use std::fmt;

use serde::{Deserialize, Serialize};
use weir_config::{ByteSize, Checker, Duration, Spanned, unset};

/// Where records go that no worker can use.
pub const DEAD_LETTERS: &str = "weir-dead-letters";

/// The same for logs: what cannot be read cannot be masked, so it may have an ACL of its own.
pub const LOGS_DEAD_LETTERS: &str = "weir-dead-letters-logs";

/// A topic, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// How many partitions.
    pub partitions: u32,
    /// How long records are kept.
    pub retention: Duration,
    /// How the broker keeps them.
    pub compression: Compression,
    /// The largest record.
    pub max_message_bytes: ByteSize,
    /// How many brokers keep each partition.
    pub replication_factor: u16,
    /// How many of them must have a record before it counts as written.
    pub min_insync_replicas: u16,
}

/// How a broker keeps records; the values of Kafka's `compression.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As the producer sent them.
    Producer,
    /// Uncompressed.
    Uncompressed,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// `[topic_defaults]`: one place to change for a single broker.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicDefaults {
    /// How many brokers keep each partition, 1 to 100.
    pub replication_factor: Spanned<u16>,
    /// How many of them must have a record before it counts as written, 1 to `replication_factor`.
    pub min_insync_replicas: Spanned<u16>,
}

/// `[topic.NAME]` as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Table {
    partitions: Option<Spanned<u32>>,
    retention: Option<Spanned<Duration>>,
    compression: Option<Compression>,
    max_message_bytes: Option<Spanned<ByteSize>>,
}

/// What a topic has by default; Kafka keeps seven days of at most about 1 MiB.
pub(super) struct Known {
    partitions: u32,
    retention: Duration,
    compression: Compression,
    max_message_bytes: ByteSize,
}

/// The topics that are there without being written. A dead letter is a source record with headers, so it may be
/// larger than one.
pub(super) const DEFAULTS: &[(&str, Known)] = &[
    ("telemetry-logs", Known::signal(6, Duration::from_days(14))),
    // Enriched records are larger than their sources.
    (
        weir_logs::config::OUTPUT,
        Known { max_message_bytes: ByteSize::mib(2), ..Known::signal(6, Duration::from_days(14)) },
    ),
    ("telemetry-metrics", Known { compression: Compression::Snappy, ..Known::signal(12, Duration::from_days(30)) }),
    ("telemetry-traces", Known::signal(8, Duration::from_days(7))),
    (DEAD_LETTERS, Known { max_message_bytes: ByteSize::mib(2), ..Known::signal(4, Duration::from_days(30)) }),
    (LOGS_DEAD_LETTERS, Known { max_message_bytes: ByteSize::mib(2), ..Known::signal(4, Duration::from_days(30)) }),
];

impl Known {
    const fn signal(partitions: u32, retention: Duration) -> Self {
        Self { partitions, retention, compression: Compression::Producer, max_message_bytes: ByteSize::mib(1) }
    }

    fn of(name: &str) -> Option<&'static Self> {
        DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, known)| known)
    }
}

impl Default for TopicDefaults {
    fn default() -> Self {
        Self { replication_factor: unset(3), min_insync_replicas: unset(2) }
    }
}

impl TopicDefaults {
    pub(super) fn check(&self, at: &mut Checker<'_>) {
        at.within(&self.replication_factor, "replication_factor", 1..=100);
        at.within(&self.min_insync_replicas, "min_insync_replicas", 1..=100);
        if self.min_insync_replicas > self.replication_factor {
            let (in_sync, replicas) = (&self.min_insync_replicas, &self.replication_factor);
            let span = if in_sync.span() == (0..0) { replicas.span() } else { in_sync.span() };
            let message = format!("{in_sync} is more than replication_factor = {replicas}");
            at.problem(span, "min_insync_replicas", message);
        }
    }
}

impl Table {
    pub(super) fn check(&self, name: &Spanned<String>, at: &mut Checker<'_>) {
        if let Err(message) = check_name(name.get_ref()) {
            at.problem(name.span(), "", message);
        }
        match &self.partitions {
            Some(partitions) => at.within(partitions, "partitions", 1..=10_000),
            None if Known::of(name.get_ref()).is_none() => at.problem(name.span(), "partitions", "is missing"),
            None => {}
        }
        if let Some(retention) = &self.retention {
            at.within(retention, "retention", Duration::from_mins(1)..=Duration::from_days(3650));
        }
        if let Some(max) = &self.max_message_bytes {
            at.within(max, "max_message_bytes", ByteSize::kib(1)..=ByteSize::mib(512));
        }
    }

    /// The topic; none without partitions, which is a problem.
    pub(super) fn resolved(self, name: &str, defaults: &TopicDefaults) -> Option<Topic> {
        let known = Known::of(name);
        let inner = |known: &Known| (known.retention, known.compression, known.max_message_bytes);
        let (retention, compression, max_message_bytes) =
            known.map_or((Duration::from_days(7), Compression::Producer, ByteSize::mib(1)), inner);
        Some(Topic {
            partitions: self.partitions.map(Spanned::into_inner).or(known.map(|known| known.partitions))?,
            retention: self.retention.map_or(retention, Spanned::into_inner),
            compression: self.compression.unwrap_or(compression),
            max_message_bytes: self.max_message_bytes.map_or(max_message_bytes, Spanned::into_inner),
            replication_factor: *defaults.replication_factor.get_ref(),
            min_insync_replicas: *defaults.min_insync_replicas.get_ref(),
        })
    }
}

/// Whether Kafka takes `name` as a topic's.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 249 || !name.chars().all(legal) || matches!(name, "." | "..") {
        Err("Kafka takes 1 to 249 letters, digits, dots, underscores and dashes as a topic's name")
    } else {
        Ok(())
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Producer => "producer",
            Self::Uncompressed => "uncompressed",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}
