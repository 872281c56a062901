//! Zero-copy views over OTLP protobuf, and what brings a record to that form.
//!
//! In: the bytes of one record. [`decode`] decompresses them and turns OTLP
//! JSON into protobuf; [`MetricsRequest`], [`TracesRequest`] and
//! [`LogsRequest`] read the protobuf in place. `Export*ServiceRequest` and
//! `*Data` are the same bytes, so each view reads both.
//! Specification: <https://opentelemetry.io/docs/specs/otlp>.
//!
//! A view is `Copy` and borrows the payload; reading never allocates and never
//! recurses. A message is read by one forward scan when its iterator reaches
//! it, so what is never reached is never checked. Protobuf's rules hold: the
//! last value of a scalar or of a oneof wins, unknown fields and groups are
//! skipped. Two things are stricter than a generated decoder: a singular
//! message field that occurs twice is [`ErrorKind::Repeated`] (joining the two
//! would need memory; no known encoder writes it), and values nested deeper
//! than [`MAX_DEPTH`] are [`ErrorKind::TooDeep`].

mod common;
mod decode;
mod error;
mod fields;
mod json;
mod logs;
mod metrics;
mod repeated;
mod schema;
mod traces;
mod wire;
mod write;

pub use common::{AnyValue, ArrayValue, Attributes, Resource, Scope};
pub use decode::{Compression, DecodeError, Format, Hints, MAX_DECODED_BYTES, decode};
pub use error::{Error, ErrorKind};
pub use fields::{Field, Fields, view};
pub use json::{JsonError, JsonErrorKind, json_to_protobuf};
pub use logs::{LogRecord, LogsRequest, ResourceLogs, ScopeLogs};
pub use metrics::{
    Buckets, Exemplar, Exemplars, ExponentialHistogramPoint, ExponentialHistogramPoints, HistogramPoint,
    HistogramPoints, Metric, MetricData, MetricsRequest, Number, NumberPoint, NumberPoints, Quantile, ResourceMetrics,
    ScopeMetrics, SummaryPoint, SummaryPoints, Temporality,
};
pub use repeated::{F64s, Iter, Repeated, ScalarIter, Scalars, U64s, VarintU64s};
pub use schema::Signal;
pub use traces::{Event, Link, ResourceSpans, ScopeSpans, Span, SpanStatus, TracesRequest};
pub use wire::MAX_DEPTH;
pub use write::Writer;
