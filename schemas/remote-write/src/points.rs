//! What is measured: samples, native histograms, exemplars.

use prost::Message;

use crate::wire::{double_len, put_double, put_header, put_uint, uint_len};

/// The NaN that ends a series, bit for bit; any other NaN is a value.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// One value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The value; [`STALE_NAN_BITS`] says that the series has ended.
    pub value: f64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// When a cumulative series began, in milliseconds since 1970; 0 is unknown. Not in 1.0.
    pub start_timestamp_ms: i64,
}

/// A native histogram. Both versions write the same message; 1.0 knows neither
/// custom values nor the start timestamp, and its receivers skip the latter.
///
/// What each field means: <https://prometheus.io/docs/specs/native_histograms/>
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    /// Number of observations.
    #[prost(oneof = "Count", tags = "1, 2")]
    pub count: Option<Count>,
    /// Sum of observations.
    #[prost(double, tag = "3")]
    pub sum: f64,
    /// -4 to 8, or -53 for custom buckets.
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    /// Breadth of the zero bucket.
    #[prost(double, tag = "5")]
    pub zero_threshold: f64,
    /// Number of observations in the zero bucket.
    #[prost(oneof = "ZeroCount", tags = "6, 7")]
    pub zero_count: Option<ZeroCount>,
    /// Where the negative buckets are.
    #[prost(message, repeated, tag = "8")]
    pub negative_spans: Vec<BucketSpan>,
    /// Integer counts: each bucket's difference to the one before.
    #[prost(sint64, repeated, tag = "9")]
    pub negative_deltas: Vec<i64>,
    /// Float counts, absolute.
    #[prost(double, repeated, tag = "10")]
    pub negative_counts: Vec<f64>,
    /// Where the positive (or custom) buckets are.
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<BucketSpan>,
    /// Integer counts: each bucket's difference to the one before.
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    /// Float counts, absolute.
    #[prost(double, repeated, tag = "13")]
    pub positive_counts: Vec<f64>,
    /// Whether the counter was reset before this histogram.
    #[prost(enumeration = "ResetHint", tag = "14")]
    pub reset_hint: i32,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "15")]
    pub timestamp_ms: i64,
    /// Upper bounds of custom buckets (schema -53), without the infinite one.
    #[prost(double, repeated, tag = "16")]
    pub custom_values: Vec<f64>,
    /// When it began to count, in milliseconds since 1970; 0 is unknown.
    #[prost(int64, tag = "17")]
    pub start_timestamp_ms: i64,
}

/// Observations of a histogram: integers unless it is one of floats.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub enum Count {
    /// Of an integer histogram.
    #[prost(uint64, tag = "1")]
    Int(u64),
    /// Of a float histogram.
    #[prost(double, tag = "2")]
    Float(f64),
}

/// Observations in the zero bucket.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub enum ZeroCount {
    /// Of an integer histogram.
    #[prost(uint64, tag = "6")]
    Int(u64),
    /// Of a float histogram.
    #[prost(double, tag = "7")]
    Float(f64),
}

/// Consecutive buckets.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct BucketSpan {
    /// Gap to the span before, or where the first one begins.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// How many buckets.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// What is known of a counter reset before a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum ResetHint {
    /// To be found out by comparing.
    Unknown = 0,
    /// The first after a reset.
    Yes = 1,
    /// No reset.
    No = 2,
    /// A gauge, which knows no resets.
    Gauge = 3,
}

/// An example of what a sample counts, such as a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Names and values, sorted by name; `trace_id` for a trace.
    pub labels: Vec<(String, String)>,
    /// The example's value.
    pub value: f64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// The points of one series, oldest first. Never both kinds (2.0, "Proto Message").
#[derive(Debug, Clone, Copy)]
pub enum Points<'a> {
    /// Float samples.
    Samples(&'a [Sample]),
    /// Native histograms.
    Histograms(&'a [Histogram]),
}

/// How many points a request has, to be compared with the `*-Written` headers of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Float samples.
    pub samples: usize,
    /// Native histograms.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, points: Points<'_>, exemplars: &[Exemplar]) {
        match points {
            Points::Samples(samples) => self.samples += samples.len(),
            Points::Histograms(histograms) => self.histograms += histograms.len(),
        }
        self.exemplars += exemplars.len();
    }
}

impl Points<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Samples(samples) => samples.is_empty(),
            Self::Histograms(histograms) => histograms.is_empty(),
        }
    }

    /// Of a single sample, how many of the bytes that are written are its own: its times, which follow, are often
    /// those of the sample before.
    #[inline]
    pub(crate) fn own_bytes(&self, exemplars: &[Exemplar]) -> Option<usize> {
        match self {
            Self::Samples([sample]) if exemplars.is_empty() => Some(2 + double_len(sample.value)),
            _ => None,
        }
    }

    /// Not fewer bytes than either version writes.
    pub(crate) fn bytes_max(&self) -> usize {
        match self {
            // Key and length, a double, two varints with their keys.
            Self::Samples(samples) => samples.len() * (2 + 9 + 11 + 11),
            Self::Histograms(histograms) => histograms.iter().map(|histogram| 6 + histogram.encoded_len()).sum(),
        }
    }
}

/// Appends samples as field 2 of a time series, the same in both versions but for the start.
#[inline]
pub(crate) fn put_samples(buf: &mut Vec<u8>, samples: &[Sample], with_start: bool) {
    for sample in samples {
        let timestamp = sample.timestamp_ms.cast_unsigned();
        let start = if with_start { sample.start_timestamp_ms.cast_unsigned() } else { 0 };
        put_header(buf, 2, double_len(sample.value) + uint_len(timestamp) + uint_len(start));
        put_double(buf, 1, sample.value);
        put_uint(buf, 2, timestamp);
        put_uint(buf, 3, start);
    }
}

/// Appends histograms under the field number of the version.
pub(crate) fn put_histograms(buf: &mut Vec<u8>, field: u8, histograms: &[Histogram]) {
    for histogram in histograms {
        put_header(buf, field, histogram.encoded_len());
        histogram.encode_raw(buf);
    }
}

/// Not fewer bytes than either version writes for an exemplar and its strings.
pub(crate) fn exemplar_bytes_max(exemplar: &Exemplar) -> usize {
    // Message, references, double and varint; then key, length and reference of each string.
    let labels = exemplar.labels.iter();
    (6 + 6 + 9 + 11) + labels.map(|(name, value)| name.len() + value.len() + 24).sum::<usize>()
}
