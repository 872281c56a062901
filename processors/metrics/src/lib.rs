//! The metrics worker: OTLP metrics to Prometheus remote write.
//!
//! In: records of OTLP metrics, protobuf or JSON, compressed or not. Out: samples to a
//! remote-write receiver, 2.0 or 1.0, in partition order within a series (invariant 6).
//!
//! A record that is not OTLP is rejected whole; a record of which single points have no
//! translation is rejected once, with the first reason and their number, and its other points go
//! on. Nothing is dropped without a count. The same record gives the same samples, so that one
//! delivered again changes nothing.
//!
//! For users: `docs/metrics.md`.

pub mod config;
mod deliver;
mod error;
mod instruments;
mod process;

pub use config::Config;
pub use deliver::{Remote, RemoteWriteSink};
pub use error::{DeliverError, Refusal, StartError};
pub use instruments::Instruments;
pub use process::{MetricsProcessor, Routed, Sample, Shared};
