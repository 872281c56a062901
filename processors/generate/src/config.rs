//! What load is made.

use crate::incident::Occurrence;

/// What load is made. Rate and duration are the caller's.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Decides every byte, together with the sequence of calls and their times.
    pub seed: u64,
    /// Prometheus series alive at a time, `target_info` not counted. Services are added until there are
    /// at least as many; one instance of each service always exists (85 series).
    pub series: usize,
    /// Share of the instances that are replaced by new ones each minute, 0 to 1.
    pub churn: f64,
    /// Share of the records that no worker should be able to read, 0 to 1.
    pub malformed: f64,
    /// Data points or log lines in a record, 1 to 100,000. A metrics record carries whole steps of its
    /// instance (every series once a step), at least one; a trace record is always one trace.
    pub points_per_record: usize,
    /// How values are encoded.
    pub encoding: Encoding,
    /// How values are compressed.
    pub compression: Compression,
    /// What goes wrong, and when.
    pub incidents: Vec<Occurrence>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            series: 1_000,
            churn: 0.0,
            malformed: 0.0,
            points_per_record: 100,
            encoding: Encoding::Protobuf,
            compression: Compression::None,
            incidents: Vec::new(),
        }
    }
}

/// How a record's value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `otlp_proto`: an `Export*ServiceRequest`.
    Protobuf,
    /// `otlp_json`.
    Json,
}

/// How a record's value is compressed, inside Kafka's own compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// Snappy's framing format, which has a magic number.
    Snappy,
}

/// A share as millionths.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share(pub u32);

/// Why a generator cannot be made, or a record not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A share is not one.
    #[error("{name}: {value} is outside 0..=1")]
    Share {
        /// The field of [`Config`].
        name: &'static str,
        /// What it says.
        value: f64,
    },
    /// Records of no size, or too large for any broker.
    #[error("points_per_record: {value} is outside 1..=100000")]
    PointsPerRecord {
        /// What it says.
        value: usize,
    },
    /// The compressor failed.
    #[error("could not compress a record of {bytes} bytes")]
    Compress {
        /// Size before compression.
        bytes: usize,
        /// What the compressor said.
        source: std::io::Error,
    },
    /// The JSON encoder failed.
    #[error("could not encode a record as JSON")]
    Json {
        /// What the encoder said.
        source: serde_json::Error,
    },
}

impl Config {
    /// Refuses what cannot be generated.
    pub(crate) fn check(&self) -> Result<(), Error> {
        share("churn", self.churn)?;
        share("malformed", self.malformed)?;
        if (1..=100_000).contains(&self.points_per_record) {
            return Ok(());
        }
        Err(Error::PointsPerRecord { value: self.points_per_record })
    }
}

/// A share of 0 to 1 as millionths.
pub(crate) fn share(name: &'static str, value: f64) -> Result<Share, Error> {
    if !(0.0..=1.0).contains(&value) {
        return Err(Error::Share { name, value });
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000,000, checked above")]
    let millionths = (value * 1e6).round() as u32;
    Ok(Share(millionths))
}
