//! Prometheus remote write 1.0 and 2.0: encoders for known series, decoders for a receiver.
//!
//! In: [`Series`], made once and kept, and their [`Points`]. Out: a
//! `prometheus.WriteRequest` ([`v1::Builder`]) or an
//! `io.prometheus.write.v2.Request` ([`v2::Builder`]) as it travels: in snappy's
//! block format, in which it is written from the beginning. Pushing samples of a
//! known series allocates nothing once the buffers have grown. The way back is
//! [`decompress`], then [`v1::decode`] or [`v2::decode`]. Whether names and
//! labels are valid and sorted is the maker's business, not checked here. No IO.
//!
//! Field numbers are those of Prometheus 3.13, where the start timestamp
//! stands in each sample and histogram of 2.0.
//! Specifications: <https://prometheus.io/docs/specs/prw/remote_write_spec/>,
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>

mod decoded;
mod error;
pub mod headers;
mod marks;
mod pieces;
mod points;
mod series;
mod snappy;
mod symbols;
pub mod v1;
pub mod v2;
mod wire;

#[cfg(test)]
mod testing;

pub use decoded::{FamilyMetadata, LABEL_BYTES_MAX, Metadata, Request, TimeSeries};
pub use error::{DecodeError, SeriesError};
pub use points::{
    BucketSpan, Count, Counts, Exemplar, Histogram, Points, ResetHint, STALE_NAN_BITS, Sample, ZeroCount,
};
pub use series::{Family, MetricType, Series, TEXT_BYTES_MAX, bytes_max};
pub use snappy::{Compressor, SnappyError, decompress};
pub use symbols::Symbols;
