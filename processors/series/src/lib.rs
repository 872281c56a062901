//! OTLP metrics to Prometheus series, as the OTLP receiver of Prometheus 3.13 does it.
//!
//! In: the protobuf bytes of one record. Out: [`Sample`]s, in the record's order, and what was
//! [`Refused`] (never dropped silently). Pure: the same bytes give the same samples, whatever was
//! translated before. What was is only remembered, so that a known series costs one look-up and no
//! allocation; what is kept of a series is the user's choice ([`Make`]). Deltas alone are another
//! matter: they are added to those before ([`Translator::changed_totals`]).
//!
//! A look-up is by the bytes of the attributes as they were sent. Attributes in another order are
//! remembered beside the first ones, with the same labels.
//!
//! Specification: <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics>.

mod cache;
mod delta;
mod deltas;
mod exemplars;
mod fate;
mod kept;
mod labels;
mod names;
mod native;
mod options;
mod points;
mod refusal;
mod resource;
mod series;
mod text;
mod translate;

pub use delta::{DeltaKey, DeltaLimits, DeltaStateError};
pub use fate::Fate;
pub use kept::Kept;
pub use options::{Options, Promote, Strategy};
pub use refusal::{Reason, Refused};
pub use series::{Kind, Make, Metadata, Number, Point, Rich, STALE, Sample};
pub use translate::Translator;
