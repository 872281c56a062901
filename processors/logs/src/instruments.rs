//! What this worker counts beside what every worker does.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use weir_mask::{Class, Counts};

use crate::process::parse::Parser;

/// Which parser took a line, and its class.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    parser: &'static str,
    class: &'static str,
}

/// What found something that was masked.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct By {
    detector: &'static str,
}

/// A required attribute, from the configuration.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    attribute: String,
}

/// Why a line was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drop {
    Sampled,
    OverRate,
    Repeated,
}

impl Drop {
    const ALL: [Self; 3] = [Self::Sampled, Self::OverRate, Self::Repeated];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sampled => "sampled",
            Self::OverRate => "over_rate",
            Self::Repeated => "repeated",
        }
    }
}

/// Why a line was dropped, and its class.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Dropped {
    reason: &'static str,
    class: &'static str,
}

/// A class of lines.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfClass {
    class: &'static str,
}

/// A rule that measures, from the configuration.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Measured {
    rule: String,
}

/// How reading a file again ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ending {
    outcome: &'static str,
}

/// The counters of one logs worker; every name is in `docs/instruments.md`.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    lines: Family<Kind, Counter>,
    masked: Family<By, Counter>,
    missing: Family<Of, Counter>,
    reloads: Family<Ending, Counter>,
    overflowed: Family<Measured, Counter>,
    dropped: Family<Dropped, Counter>,
    truncated: Family<OfClass, Counter>,
}

/// What was counted in one batch, told at its end: the counters are shared by all lanes.
#[derive(Debug, Default, Clone)]
pub(crate) struct Batched {
    lines: [[u64; Class::ALL.len()]; Parser::ALL.len()],
    dropped: [[u64; Class::ALL.len()]; Drop::ALL.len()],
    truncated: [u64; Class::ALL.len()],
    /// By the attribute's place in the configuration.
    missing: Vec<u64>,
    /// What was masked.
    pub masked: Counts,
}

impl Batched {
    pub fn line(&mut self, parser: Parser, class: Class) {
        if let Some(count) = self.lines.get_mut(parser as usize).and_then(|of| of.get_mut(class as usize)) {
            *count += 1;
        }
    }

    pub fn dropped(&mut self, why: Drop, class: Class) {
        if let Some(count) = self.dropped.get_mut(why as usize).and_then(|of| of.get_mut(class as usize)) {
            *count += 1;
        }
    }

    /// Counts texts of a line that were cut.
    pub fn truncated(&mut self, class: Class, texts: u64) {
        if let Some(count) = self.truncated.get_mut(class as usize) {
            *count += texts;
        }
    }

    pub fn missing(&mut self, place: usize) {
        if self.missing.len() <= place {
            self.missing.resize(place + 1, 0);
        }
        if let Some(count) = self.missing.get_mut(place) {
            *count += 1;
        }
    }
}

impl Instruments {
    /// Registers the counters, with the prefix and labels of the registry.
    pub fn new(registry: &mut Registry) -> Self {
        let this = Self::default();
        registry.register("log_lines", "Lines, by the parser that took them and their class", this.lines.clone());
        registry.register("log_values_masked", "What was masked, by what found it", this.masked.clone());
        registry.register(
            "resource_attributes_missing",
            "Resources without an attribute that is required",
            this.missing.clone(),
        );
        registry.register(
            "log_lines_overflowed",
            "Lines of series over a rule's limit, which were counted together",
            this.overflowed.clone(),
        );
        registry.register("log_lines_dropped", "Lines that volume rules dropped", this.dropped.clone());
        registry.register("log_values_truncated", "Texts of lines that were cut", this.truncated.clone());
        registry.register("table_reloads", "Files of tables that were read, by how that ended", this.reloads.clone());
        this
    }

    /// Counts a file of a table that was read, or could not be.
    pub fn table_read(&self, ok: bool) {
        self.reloads.get_or_create(&Ending { outcome: if ok { "read" } else { "failed" } }).inc();
    }

    /// Counts lines that a rule has no series of their own for.
    pub(crate) fn overflowed(&self, rule: &str, lines: u64) {
        if lines > 0 {
            self.overflowed.get_or_create(&Measured { rule: rule.to_owned() }).inc_by(lines);
        }
    }

    /// Tells what was counted in a batch, and begins again.
    pub(crate) fn tell(&self, batch: &mut Batched, required: &[String]) {
        for (parser, classes) in Parser::ALL.into_iter().zip(&batch.lines) {
            for (class, count) in Class::ALL.into_iter().zip(classes).filter(|(_, count)| **count > 0) {
                let kind = Kind { parser: parser.as_str(), class: class.name() };
                self.lines.get_or_create(&kind).inc_by(*count);
            }
        }
        for (why, classes) in Drop::ALL.into_iter().zip(&batch.dropped) {
            for (class, count) in Class::ALL.into_iter().zip(classes).filter(|(_, count)| **count > 0) {
                let dropped = Dropped { reason: why.as_str(), class: class.name() };
                self.dropped.get_or_create(&dropped).inc_by(*count);
            }
        }
        for (class, count) in Class::ALL.into_iter().zip(&batch.truncated).filter(|(_, count)| **count > 0) {
            self.truncated.get_or_create(&OfClass { class: class.name() }).inc_by(*count);
        }
        for (detector, count) in batch.masked.iter() {
            self.masked.get_or_create(&By { detector: detector.name() }).inc_by(count);
        }
        for (attribute, count) in required.iter().zip(&batch.missing).filter(|(_, count)| **count > 0) {
            self.missing.get_or_create(&Of { attribute: attribute.clone() }).inc_by(*count);
        }
        *batch = Batched::default();
    }
}
