//! What lines are counted to: metrics, told now and then, whose totals are the partition's state.
//!
//! In: lines as they were parsed and classed, before any is dropped. Out: cumulative OTLP metrics of one resource for
//! each source partition, so that a series has one writer. Totals ride with the batch that changed them, and are told by
//! a tick, at its time: each line is in the totals exactly once, whatever happens to the process.
//!
//! Why totals and not deltas: `docs/decisions/0014-totals-of-lines.md`.

mod series;
pub(super) mod state;
mod tell;

use std::sync::Arc;

use weir_contract::{Outbox, StateError, Timestamp, TopicPartition};
use weir_mask::{Class, Counts, Masker, Outcome};

use super::enrich::condition::Condition;
use super::enrich::severity::Level;
use super::line::{Line, Scalar, Whose};
use crate::config::{Config, MeasureRule};
use crate::instruments::Instruments;
pub use series::Observed;
use series::{Labels, Series, Totals};

/// The longest value of a label, in bytes: longer ones are cut.
const LABEL_BYTES_MAX: usize = 256;
/// How long a series without lines is told and kept, in milliseconds.
const IDLE_MS: i64 = 60 * 60 * 1_000;
/// How far the clock of an owner before may have been ahead, in milliseconds, for times to go on from there: series
/// whose times rest for longer are stale in Prometheus.
const AHEAD_MAX_MS: i64 = 5 * 60 * 1_000;

/// The rules of a configuration, compiled; the same for all partitions.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    output: Arc<str>,
    interval_ms: i64,
    /// Series of a rule in a partition; more are counted together.
    max_series: usize,
    /// Who counts: the consumer group.
    group: String,
}

#[derive(Debug)]
struct Rule {
    name: String,
    description: String,
    unit: String,
    /// A bit for each class that its lines may have.
    classes: u8,
    severity: u8,
    condition: Condition,
    /// The attribute whose number is observed, and the bounds of the buckets.
    observe: Option<(String, Vec<f64>)>,
    labels: Vec<Label>,
}

#[derive(Debug)]
enum Label {
    Severity,
    Class,
    Parser,
    Attribute(String),
}

impl Label {
    fn new(name: &str) -> Self {
        match name {
            "severity" => Self::Severity,
            "weir.class" => Self::Class,
            "weir.parser" => Self::Parser,
            name => Self::Attribute(name.to_owned()),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Severity => "severity",
            Self::Class => "weir.class",
            Self::Parser => "weir.parser",
            Self::Attribute(name) => name,
        }
    }
}

fn bit(class: Class) -> u8 {
    1 << (class as u8)
}

impl Rule {
    fn new(rule: &MeasureRule) -> Result<Self, regex::Error> {
        let classes = rule.class.get_ref();
        let bounds = rule.bounds.get_ref();
        let bounds = if bounds.is_empty() { &MeasureRule::BOUNDS[..] } else { bounds };
        let observe = rule.observe.as_ref().map(|name| (name.get_ref().clone(), bounds.to_vec()));
        let unit = if observe.is_some() { "" } else { "{line}" };
        // The first number of a level: 1, 5, 9 and so on.
        let first = |level: Level| 4 * level as u8 + 1;
        Ok(Self {
            name: rule.name.get_ref().trim().to_owned(),
            description: rule.description.clone(),
            unit: rule.unit.clone().unwrap_or_else(|| unit.to_owned()),
            classes: if classes.is_empty() {
                u8::MAX
            } else {
                classes.iter().fold(0, |bits, class| bits | bit(*class))
            },
            severity: rule.severity.as_ref().map_or(0, |level| first(*level.get_ref())),
            condition: Condition::new(rule.conditions())?,
            observe,
            labels: rule.labels.get_ref().iter().map(|name| Label::new(name)).collect(),
        })
    }

    /// What a line adds to the metric, if it is one of those that the rule is of.
    fn observes(&self, line: &Line<'_, '_, '_>, class: Class, severity: u8) -> Option<Observed> {
        if self.classes & bit(class) == 0 || severity < self.severity || !self.condition.holds(line) {
            return None;
        }
        let Some((attribute, _)) = &self.observe else { return Some(Observed::Line) };
        let number = match line.scalar(attribute)? {
            #[expect(clippy::cast_precision_loss, reason = "what is observed is a measurement")]
            Scalar::Int(number) => number as f64,
            Scalar::Double(number) => number,
            Scalar::Text(text) => text.trim().parse().ok()?,
            Scalar::Bool(_) => return None,
        };
        number.is_finite().then_some(Observed::Number(number))
    }
}

impl Rules {
    /// Compiles the rules of a configuration; `group` says in their metrics who counts.
    ///
    /// # Errors
    /// One has an expression that is none.
    pub fn new(config: &Config, group: &str) -> Result<Self, regex::Error> {
        let measure = &config.measure;
        Ok(Self {
            rules: measure.rules().iter().map(Rule::new).collect::<Result<_, _>>()?,
            output: measure.output.get_ref().as_str().into(),
            interval_ms: i64::try_from(measure.interval.get_ref().get().as_millis()).unwrap_or(i64::MAX),
            max_series: usize::try_from(*measure.max_series.get_ref()).unwrap_or(usize::MAX),
            group: group.to_owned(),
        })
    }
}

/// What the lines of one partition were counted to.
#[derive(Debug)]
pub struct Measures {
    /// The partition, as the metrics name it.
    source: String,
    totals: Totals,
    /// What the record at hand adds, by the series' places: it counts once the record is written.
    staged: Vec<(usize, Observed)>,
    /// The labels of a line as they come, to look its series up by; used again for each line.
    raw: Vec<u8>,
    masked: String,
    /// Lines of a rule that has too many series, counted to none of their own, since they were last told.
    overflowed: Vec<u64>,
    /// When the totals were last told, in milliseconds since the epoch: part of the state, so that times only grow.
    told_ms: i64,
    /// When they are to be told next, by the clock of this process.
    due_ms: Option<i64>,
}

impl Measures {
    pub fn new(source: &TopicPartition) -> Self {
        Self {
            source: format!("{}/{}", source.topic, source.partition),
            totals: Totals::default(),
            staged: Vec::new(),
            raw: Vec::new(),
            masked: String::new(),
            overflowed: Vec::new(),
            told_ms: 0,
            due_ms: None,
        }
    }

    /// Takes note of a line.
    pub fn line(&mut self, rules: &Rules, line: &Line<'_, '_, '_>, class: Class, masker: &Masker) {
        let severity = line.severity_number();
        for (place, rule) in rules.rules.iter().enumerate() {
            if let Some(observed) = rule.observes(line, class, severity) {
                let series = self.series(rules, place, rule, (line, class, severity), masker);
                self.staged.push((series, observed));
            }
        }
    }

    /// Counts what was noted since the last time: the record that it is of was written.
    pub fn count(&mut self) {
        for (series, observed) in self.staged.drain(..) {
            if let Some(rule) = self.totals.add(series, observed) {
                self.overflowed.resize(self.overflowed.len().max(rule + 1), 0);
                self.overflowed.iter_mut().skip(rule).take(1).for_each(|lines| *lines += 1);
            }
        }
    }

    /// Forgets it: the record was not written, or not as a whole.
    pub fn take_back(&mut self) {
        self.staged.clear();
    }

    /// The place of a line's series.
    fn series(
        &mut self,
        rules: &Rules,
        place: usize,
        rule: &Rule,
        (line, class, severity): (&Line<'_, '_, '_>, Class, u8),
        masker: &Masker,
    ) -> usize {
        let level = Level::of(severity);
        self.raw.clear();
        self.raw.extend(u16::try_from(place).unwrap_or(u16::MAX).to_le_bytes());
        // What is masked depends on the class.
        self.raw.push(class as u8);
        for label in &rule.labels {
            match label {
                Label::Class => {}
                Label::Severity => self.raw.push(level.map_or(u8::MAX, |level| level as u8)),
                Label::Parser => self.raw.push(line.parser as u8),
                Label::Attribute(name) => raw(line.found(name), &mut self.raw),
            }
        }
        if let Some(series) = self.totals.known(&self.raw) {
            return series;
        }
        let mut labels: Labels = Vec::with_capacity(rule.labels.len());
        for label in &rule.labels {
            let value = match label {
                Label::Class => Some(class.name().to_owned()),
                Label::Severity => level.map(|level| level.name().to_owned()),
                Label::Parser => Some(line.parser.as_str().to_owned()),
                Label::Attribute(name) => line.found(name).and_then(|(value, whose)| {
                    // As the resource itself, which lines of any class share.
                    let class = if whose == Whose::Resource { Class::App } else { class };
                    self.masked(name, value, class, masker)
                }),
            };
            labels.extend(value.filter(|value| !value.is_empty()).map(|value| (label.name().to_owned(), value)));
        }
        let series = self.totals.meet(Series::new(place, rule, labels), rules.max_series, rule);
        self.totals.remember(&self.raw, series);
        series
    }

    /// The value of a label: masked as the attribute is where it stands, and not too long; none if it is dropped.
    fn masked(&mut self, name: &str, value: Scalar<'_>, class: Class, masker: &Masker) -> Option<String> {
        let text = match value {
            Scalar::Text(text) => text.to_owned(),
            Scalar::Int(number) => number.to_string(),
            Scalar::Double(number) => number.to_string(),
            Scalar::Bool(value) => value.to_string(),
        };
        self.masked.clear();
        // What was masked is counted where the line itself is.
        let outcome = masker.text(class, masker.field(name), &text, &mut self.masked, &mut Counts::default());
        let text = match outcome {
            Outcome::Same => &text,
            Outcome::Changed => &self.masked,
            Outcome::Dropped => return None,
        };
        text.get(..text.floor_char_boundary(LABEL_BYTES_MAX)).map(str::to_owned)
    }

    /// Puts the totals that a batch changed into its state, and tells what was over the limit.
    pub fn remember<T>(&mut self, rules: &Rules, instruments: &Instruments, out: &mut Outbox<T>) {
        self.totals.changes(|key, value| keep(out, key, value));
        for (rule, lines) in rules.rules.iter().zip(&mut self.overflowed) {
            instruments.overflowed(&rule.name, std::mem::take(lines));
        }
    }

    /// Takes an entry of the state.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn restore(&mut self, rules: &Rules, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        if key == state::CLOCK {
            self.told_ms = state::read_numbers(value)?.first().map_or(0, |told_ms| told_ms.cast_signed());
        } else {
            self.totals.restore(key.to_vec(), state::series(key, value, &rules.rules)?);
        }
        Ok(())
    }

    /// Tells the totals where it is time.
    pub fn tick<T>(&mut self, rules: &Rules, now: Timestamp, out: &mut Outbox<T>) {
        let next = now.0.saturating_add(rules.interval_ms);
        // Of a partition that changes hands more often than that, they must be told, too.
        let due = *self.due_ms.get_or_insert(self.told_ms.saturating_add(rules.interval_ms).clamp(now.0, next));
        // A clock that was set back must not keep them waiting.
        if now.0 < due && next >= due {
            return;
        }
        self.due_ms = Some(next);
        // Of an owner before, the clock may have been ahead: a little, or wrong.
        if self.told_ms > now.0.saturating_add(AHEAD_MAX_MS) {
            self.told_ms = 0;
            self.totals.set_back(now.0.saturating_sub(rules.interval_ms), now.0);
        }
        let time_ms = now.0.max(self.told_ms.saturating_add(1));
        self.totals.forget_idle(time_ms.saturating_sub(IDLE_MS));
        if self.totals.is_empty() {
            return self.totals.changes(|key, value| keep(out, key, value));
        }
        let since_ms = self.told_ms.max(time_ms.saturating_sub(rules.interval_ms));
        tell::tell(&mut self.totals, rules, &self.source, (since_ms, time_ms), out);
        self.told_ms = time_ms;
        keep(out, state::CLOCK, Some(state::write_numbers([time_ms.cast_unsigned()])));
        self.totals.changes(|key, value| keep(out, key, value));
    }
}

/// A value as it comes, after a byte that says its kind and one that says whose it is: that, too, decides how it is
/// masked.
fn raw(found: Option<(Scalar<'_>, Whose)>, out: &mut Vec<u8>) {
    let Some((value, whose)) = found else { return out.push(0) };
    let (kind, number) = match value {
        Scalar::Text(text) => (1, text.len().to_le_bytes()),
        Scalar::Int(number) => (2, number.to_le_bytes()),
        Scalar::Double(number) => (3, number.to_le_bytes()),
        Scalar::Bool(value) => (4, u64::from(value).to_le_bytes()),
    };
    out.extend([kind, whose as u8]);
    out.extend(number);
    if let Scalar::Text(text) = value {
        out.extend(text.as_bytes());
    }
}

/// Remembers an entry of the state, or forgets it.
pub(super) fn keep<T>(out: &mut Outbox<T>, key: &[u8], value: Option<Vec<u8>>) {
    let Some(value) = value else { return out.forget(key.to_vec()) };
    if let Err(error) = out.remember(key.to_vec(), value) {
        // A name, sixteen labels and a hundred buckets are far below what a changelog takes.
        tracing::error!(%error, "what lines came to was not remembered");
    }
}
