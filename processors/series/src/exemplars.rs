//! Exemplars, as Prometheus takes them.

use weir_otlp::{Error, Exemplars, Number};
use weir_remote_write::Exemplar;

use crate::refusal::{Reason, Refused};
use crate::series::normal;
use crate::text::label_value;
use crate::translate::millis;

/// How many characters the labels of an exemplar may have, names and values together (OpenMetrics 1.0, "Exemplars").
const LABEL_CHARS_MAX: usize = 128;

const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";

/// The exemplars of a point in their order. One without a value is counted and left out.
///
/// # Errors
/// One of them is not OTLP.
#[cold]
pub(crate) fn exemplars(all: Exemplars<'_>, metric: &str, refused: &mut Refused) -> Result<Vec<Exemplar>, Error> {
    let mut exemplars = Vec::new();
    for exemplar in all {
        let exemplar = exemplar?;
        let value = match exemplar.value {
            Some(Number::Double(value)) => normal(value),
            Some(Number::Int(value)) => value as f64,
            None => {
                refused.add(Reason::ExemplarWithoutValue, metric, 1);
                continue;
            }
        };
        exemplars.push(Exemplar { labels: labels(&exemplar)?, value, timestamp_ms: millis(exemplar.time_unix_nano) });
    }
    Ok(exemplars)
}

/// The trace and the span, and the attributes unless all that is too long.
fn labels(exemplar: &weir_otlp::Exemplar<'_>) -> Result<Vec<(String, String)>, Error> {
    let mut labels = Vec::new();
    for (name, id, bytes) in [(TRACE_ID, exemplar.trace_id, 16), (SPAN_ID, exemplar.span_id, 8)] {
        if id.len() == bytes && id.iter().any(|byte| *byte != 0) {
            labels.push((name.to_owned(), id.iter().map(|byte| format!("{byte:02x}")).collect()));
        }
    }
    let ids = labels.len();
    for attribute in exemplar.filtered_attributes {
        let (name, value) = attribute?;
        labels.push((name.to_owned(), label_value(value)?));
    }
    let chars: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if chars > LABEL_CHARS_MAX {
        labels.truncate(ids);
    }
    labels.sort_by(|a, b| a.0.cmp(&b.0));
    // Of two of one name the first, which is the trace's own where it is there.
    labels.dedup_by(|a, b| a.0 == b.0);
    Ok(labels)
}
