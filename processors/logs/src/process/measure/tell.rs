//! Totals to OTLP.
//!
//! Specification: <https://opentelemetry.io/docs/specs/otel/metrics/data-model>.

use weir_contract::{Outbox, Output};
use weir_otlp::Writer;

use super::series::{OVERFLOW, Series, Total, Totals};
use super::{Rule, Rules};

/// How large a record gets, in bytes, about: far below what a topic takes.
const RECORD_BYTES: usize = 64 << 10;
/// OTLP's number of cumulative temporality.
const CUMULATIVE: u64 = 2;
/// The attributes' fields in a point of a sum and of a histogram.
const SUM_ATTRIBUTES: u32 = 7;
const HISTOGRAM_ATTRIBUTES: u32 = 9;

/// Sends all totals, as they are at a time, in milliseconds since the epoch. A series that was never told before begins
/// with nothing at the time before: what it has had since is an increase then, which is what alerts look at.
pub(super) fn tell<T>(
    totals: &mut Totals,
    rules: &Rules,
    source: &str,
    (since_ms, time_ms): (i64, i64),
    out: &mut Outbox<T>,
) {
    let mut metrics = Writer::new();
    let mut rest = totals.in_order().into_iter().peekable();
    while let Some(first) = rest.peek() {
        let place = first.rule;
        let Some(rule) = rules.rules.get(place) else { break };
        metrics.message(2, |w| {
            w.bytes(1, rule.name.as_bytes());
            w.bytes(2, rule.description.as_bytes());
            w.bytes(3, rule.unit.as_bytes());
            w.message(if rule.observe.is_some() { 9 } else { 7 }, |w| {
                // One at least: a metric without points says nothing, and without end, where its name fills a record.
                while let Some(series) = rest.next_if(|series| series.rule == place) {
                    points(series, rule, (since_ms, time_ms), w);
                    if w.len() >= RECORD_BYTES {
                        break;
                    }
                }
                w.varint(2, CUMULATIVE);
                if rule.observe.is_none() {
                    w.varint(3, 1);
                }
            });
        });
        if metrics.len() >= RECORD_BYTES {
            send(rules, source, &mut metrics, out);
        }
    }
    if !metrics.is_empty() {
        send(rules, source, &mut metrics, out);
    }
}

/// Writes what a series has now, and before it where it begins.
fn points(series: &mut Series, rule: &Rule, (since_ms, time_ms): (i64, i64), w: &mut Writer) {
    if series.since_ms == 0 {
        series.since_ms = since_ms;
        let nothing = Series::new(series.rule, rule, series.labels.clone());
        point(&Series { since_ms, ..nothing }, since_ms, w);
    }
    point(series, time_ms, w);
    if series.touched {
        series.touched_ms = time_ms;
        (series.touched, series.changed) = (false, true);
    }
}

fn point(series: &Series, time_ms: i64, w: &mut Writer) {
    let nanos = |ms: i64| u64::try_from(ms).unwrap_or_default().saturating_mul(1_000_000);
    w.message(1, |w| {
        w.fixed64(2, nanos(series.since_ms));
        w.fixed64(3, nanos(time_ms));
        match &series.total {
            Total::Count(lines) => {
                w.fixed64(6, *lines);
                labels(series, SUM_ATTRIBUTES, w);
            }
            Total::Histogram { bounds, buckets, sum } => {
                w.fixed64(4, buckets.iter().sum());
                w.double(5, *sum);
                w.bytes(6, &buckets.iter().flat_map(|count| count.to_le_bytes()).collect::<Vec<_>>());
                w.bytes(7, &bounds.iter().flat_map(|bound| bound.to_le_bytes()).collect::<Vec<_>>());
                labels(series, HISTOGRAM_ATTRIBUTES, w);
            }
        }
    });
}

fn labels(series: &Series, number: u32, w: &mut Writer) {
    for (name, value) in &series.labels {
        if name == OVERFLOW {
            w.attribute(number, name, |w| w.varint(2, 1));
        } else {
            w.text_attribute(number, name, value);
        }
    }
}

/// Sends metrics as one record, and begins anew. Its key is the source partition: a series stays in one partition.
fn send<T>(rules: &Rules, source: &str, metrics: &mut Writer, out: &mut Outbox<T>) {
    let mut w = Writer::with_capacity(metrics.len() + 256);
    w.message(1, |w| {
        w.message(1, |w| {
            w.text_attribute(1, "service.name", &rules.group);
            w.text_attribute(1, "service.instance.id", source);
        });
        w.message(2, |w| {
            w.message(1, |w| w.bytes(1, b"weir"));
            w.raw(metrics.as_bytes());
        });
    });
    metrics.clear();
    let sent = out.produce(Output {
        topic: rules.output.clone(),
        partition: None,
        key: Some(format!("{}/{source}", rules.group).into_bytes()),
        value: Some(w.into_bytes()),
        headers: Vec::new(),
    });
    if let Err(error) = sent {
        // They are totals: what is not told now is in what is told next.
        tracing::error!(%error, "what lines were counted to was not told: the topic takes too little");
    }
}
