//! Totals, as they are kept and as they are written.

use prost::Message;

/// The format of values, their first byte.
const VERSION: u8 = 1;

/// What the deltas of one series have added up to.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Accumulator {
    /// What it counts from, in nanoseconds since 1970; 0 if unknown.
    #[prost(fixed64, tag = "1")]
    pub(crate) start: u64,
    /// The time of the newest delta, in nanoseconds since 1970.
    #[prost(fixed64, tag = "2")]
    pub(crate) last: u64,
    /// When it last had one, in milliseconds of the records' timestamps.
    #[prost(sint64, tag = "3")]
    pub(crate) touched_ms: i64,
    #[prost(oneof = "Total", tags = "4, 5, 6, 7")]
    pub(crate) total: Option<Total>,
}

/// A sum or a distribution.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Total {
    #[prost(sint64, tag = "4")]
    Int(i64),
    #[prost(double, tag = "5")]
    Double(f64),
    #[prost(message, tag = "6")]
    Explicit(Box<Explicit>),
    #[prost(message, tag = "7")]
    Exponential(Box<Distribution>),
}

/// A distribution over buckets with bounds of its own.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Explicit {
    #[prost(double, repeated, tag = "1")]
    pub(crate) bounds: Vec<f64>,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) counts: Vec<u64>,
    #[prost(uint64, tag = "3")]
    pub(crate) count: u64,
    #[prost(double, optional, tag = "4")]
    pub(crate) sum: Option<f64>,
}

/// A distribution over buckets that grow exponentially.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Distribution {
    #[prost(sint32, tag = "1")]
    pub(crate) scale: i32,
    #[prost(double, tag = "2")]
    pub(crate) zero_threshold: f64,
    #[prost(uint64, tag = "3")]
    pub(crate) zero_count: u64,
    #[prost(sint32, tag = "4")]
    pub(crate) positive_offset: i32,
    #[prost(uint64, repeated, tag = "5")]
    pub(crate) positive: Vec<u64>,
    #[prost(sint32, tag = "6")]
    pub(crate) negative_offset: i32,
    #[prost(uint64, repeated, tag = "7")]
    pub(crate) negative: Vec<u64>,
    #[prost(uint64, tag = "8")]
    pub(crate) count: u64,
    #[prost(double, optional, tag = "9")]
    pub(crate) sum: Option<f64>,
}

/// An entry of the state that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeltaStateError {
    /// Its key is of another length.
    #[error("the key of a total has 17 bytes, not {len}")]
    Key {
        /// Its length, in bytes.
        len: usize,
    },
    /// Its value was written by a later program.
    #[error("the total has format version {found}; this program reads {known}")]
    Version {
        /// The value's.
        found: u8,
        /// What is read here.
        known: u8,
    },
    /// Its value is not a total.
    #[error("{len} bytes are no total")]
    Malformed {
        /// Its length, in bytes.
        len: usize,
    },
}

impl Accumulator {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(1 + self.encoded_len());
        value.push(VERSION);
        self.encode_raw(&mut value);
        value
    }

    pub(super) fn read(value: &[u8]) -> Result<Self, DeltaStateError> {
        let malformed = DeltaStateError::Malformed { len: value.len() };
        match value.split_first() {
            Some((&VERSION, rest)) => {
                Self::decode(rest).ok().filter(|accumulator| accumulator.total.is_some()).ok_or(malformed)
            }
            Some((&found, _)) => Err(DeltaStateError::Version { found, known: VERSION }),
            None => Err(malformed),
        }
    }
}
