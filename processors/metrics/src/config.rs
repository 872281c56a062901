//! `[worker.NAME.remote_write]`, where samples go, and `[worker.NAME.otlp]`, what becomes of points.

mod endpoint;
mod otlp;
mod relabel;

use serde::Serialize;

pub use endpoint::{Endpoint, Endpoints, Protocol, Security};
pub use otlp::{Attribute, Fate, Limits, Otlp, Tenant, TranslationStrategy};
pub use relabel::{Action, Relabel};

/// Configuration of a metrics worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Config {
    /// Where samples go.
    pub remote_write: Endpoints,
    /// What becomes of points.
    pub otlp: Otlp,
}

#[cfg(test)]
mod tests;
