//! The logs worker: OTLP logs, parsed, enriched and masked.
//!
//! In: records of OTLP logs, protobuf or JSON, compressed or not. Out: for each of them one record in the output topic,
//! with its key, in its partition, in order, in the transaction that commits it: exactly once for whoever reads
//! committed. A record whose lines have grown over the topic's limit leaves as several.
//!
//! What a record says stays: fields that nobody changes are copied as bytes, unknown ones too. Everything that leaves is
//! masked. A line that no parser takes goes on as it is; a record that is not OTLP cannot be masked, and is rejected
//! whole to the dead letters of this worker.
//!
//! For users: `docs/logs.md`.

pub mod config;
mod error;
mod instruments;
mod process;

pub use config::Config;
pub use error::{Reject, StartError};
pub use instruments::Instruments;
pub use process::enrich::tables::{SharedTables, Source, Table, TableError};
pub use process::{LogsProcessor, Rulings};
