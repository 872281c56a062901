//! The verdict of `weir up`.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use weir_generate::Signal;

use super::TOPICS;
use super::receiver::Judge;
use crate::load;

/// Figures by signal. Only signals that a worker reads can be delivered or missing.
pub type BySignal = BTreeMap<&'static str, u64>;

/// What went in, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Items that were produced: samples (each series of a data point is one), log lines, spans.
    pub produced: BySignal,
    /// Items that arrived, each counted once.
    pub delivered: BySignal,
    /// Records in the dead-letter topic.
    pub dead_lettered: BySignal,
    /// Samples that arrived with two different values, not to be told of a real Prometheus; lines that arrived twice.
    #[serde(skip_serializing_if = "BySignal::is_empty")]
    pub duplicated: BySignal,
    /// Items that were produced and did not arrive.
    pub missing: BySignal,
    /// Items that arrived and were never produced.
    pub unknown: BySignal,
    /// How long it ran.
    pub seconds: f64,
}

impl Summary {
    pub(super) fn new(
        sent: &load::Sent,
        dead_letters: &BTreeMap<String, u64>,
        judge: &Judge,
        told: bool,
        elapsed: Duration,
    ) -> Self {
        let (made, missing) = judge.made(|made| (made.made(), made.missing()));
        let (samples, lines) = (judge.arrivals(), judge.line_arrivals());
        let both = |metrics, logs| BySignal::from([(name(Signal::Metrics), metrics), (name(Signal::Logs), logs)]);
        let mut produced: BySignal = sent.iter().map(|(signal, items)| (name(*signal), *items)).collect();
        produced.insert(name(Signal::Metrics), made.samples);
        let dead_lettered =
            TOPICS.iter().filter_map(|(signal, topic)| Some((name(*signal), *dead_letters.get(*topic)?)));
        Self {
            produced,
            delivered: both(samples.first, lines.first),
            dead_lettered: both(0, 0).into_iter().chain(dead_lettered).collect(),
            duplicated: both(samples.doubled, lines.doubled)
                .into_iter()
                .filter(|(signal, _)| told || *signal != name(Signal::Metrics))
                .collect(),
            missing: both(missing.samples, missing.lines),
            unknown: both(samples.unknown, lines.unknown),
            seconds: (elapsed.as_secs_f64() * 10.0).round() / 10.0,
        }
    }

    /// Whether everything arrived, once, and nothing else.
    pub fn is_right(&self) -> bool {
        let none = |counts: &BySignal| counts.values().all(|count| *count == 0);
        none(&self.missing) && none(&self.unknown) && none(&self.duplicated)
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["", "produced", "delivered", "dead letters", "duplicated", "missing", "unknown"]);
        for signal in self.produced.keys() {
            let of = |counts: &BySignal| counts.get(signal).map_or("-".to_owned(), u64::to_string);
            table.add_row([
                (*signal).to_owned(),
                of(&self.produced),
                of(&self.delivered),
                of(&self.dead_lettered),
                of(&self.duplicated),
                of(&self.missing),
                of(&self.unknown),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{table}\nafter {} s; no worker reads a signal that shows -\n", self.seconds)
    }
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
        Signal::Traces => "traces",
    }
}
