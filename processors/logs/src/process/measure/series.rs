//! Series and their totals.

use hashbrown::HashMap;

use super::Rule;
use super::state;

/// The label of the series that takes what is over a rule's limit, as OpenTelemetry calls it.
pub(super) const OVERFLOW: &str = "otel.metric.overflow";
/// How often more raw labels than series are remembered: several may be masked to one.
const RAW_PER_SERIES: usize = 4;
/// The longest raw labels that are remembered, in bytes.
const RAW_BYTES_MAX: usize = 1_024;

/// Names and values; no value is empty.
pub(super) type Labels = Vec<(String, String)>;

/// What a line adds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Observed {
    /// Itself.
    Line,
    /// A number that is in it; finite.
    Number(f64),
}

/// What lines came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Total {
    Count(u64),
    /// As many buckets as bounds, and one more.
    Histogram {
        bounds: Vec<f64>,
        buckets: Vec<u64>,
        sum: f64,
    },
}

/// A series of one rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// The rule's place.
    pub rule: usize,
    /// Its key in the state.
    pub key: Vec<u8>,
    pub labels: Labels,
    pub total: Total,
    /// Since when it counts, in milliseconds since the epoch; 0 as long as it was never told.
    pub since_ms: i64,
    /// When it had last had lines as it was told, in milliseconds since the epoch; 0 if not yet.
    pub touched_ms: i64,
    /// Whether it had lines since it was last told.
    pub touched: bool,
    /// Whether the state has another value.
    pub changed: bool,
}

/// The series of a partition.
#[derive(Debug, Default)]
pub(super) struct Totals {
    series: Vec<Series>,
    by_key: HashMap<Vec<u8>, usize>,
    /// How many there are of each rule, those of what is over its limit apart.
    by_rule: Vec<usize>,
    /// By the labels as they come.
    by_raw: HashMap<Box<[u8]>, usize>,
    /// Keys that the state has and nobody uses any more.
    gone: Vec<Vec<u8>>,
}

impl Total {
    fn new(rule: &Rule) -> Self {
        match &rule.observe {
            None => Self::Count(0),
            Some((_, bounds)) => {
                Self::Histogram { bounds: bounds.clone(), buckets: vec![0; bounds.len() + 1], sum: 0.0 }
            }
        }
    }

    /// Whether it is what a rule makes.
    pub fn is_of(&self, rule: &Rule) -> bool {
        match (self, &rule.observe) {
            (Self::Count(_), None) => true,
            (Self::Histogram { bounds, buckets, .. }, Some((_, wanted))) => {
                bounds == wanted && buckets.len() == bounds.len() + 1
            }
            _ => false,
        }
    }

    fn add(&mut self, observed: Observed) {
        match (self, observed) {
            (Self::Count(lines), _) => *lines += 1,
            (Self::Histogram { bounds, buckets, sum }, Observed::Number(number)) => {
                // A bound belongs to the bucket below it.
                let bucket = bounds.partition_point(|bound| *bound < number);
                buckets.iter_mut().skip(bucket).take(1).for_each(|count| *count += 1);
                *sum += number;
            }
            // A rule that observes stages numbers alone.
            (Self::Histogram { .. }, Observed::Line) => {}
        }
    }
}

impl Series {
    pub fn new(place: usize, rule: &Rule, labels: Labels) -> Self {
        let key = state::key(&rule.name, &labels);
        let total = Total::new(rule);
        Self { rule: place, key, labels, total, since_ms: 0, touched_ms: 0, touched: false, changed: false }
    }
}

impl Totals {
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The series of labels that were met before.
    pub fn known(&self, raw: &[u8]) -> Option<usize> {
        self.by_raw.get(raw).copied()
    }

    /// Remembers the labels as they came.
    pub fn remember(&mut self, raw: &[u8], series: usize) {
        if raw.len() <= RAW_BYTES_MAX {
            if self.by_raw.len() >= RAW_PER_SERIES * (self.series.len() + RAW_BYTES_MAX) {
                self.by_raw.clear();
            }
            self.by_raw.insert(raw.into(), series);
        }
    }

    /// The place of a series, old or new; that of its rule's overflow where the rule has as many as it may.
    pub fn meet(&mut self, series: Series, max_series: usize, rule: &Rule) -> usize {
        if let Some(place) = self.by_key.get(&series.key) {
            return *place;
        }
        if self.by_rule.get(series.rule).is_none_or(|count| *count < max_series) {
            return self.put(series);
        }
        let overflow = Series::new(series.rule, rule, vec![(OVERFLOW.to_owned(), "true".to_owned())]);
        let place = self.by_key.get(&overflow.key).copied();
        place.unwrap_or_else(|| self.put(overflow))
    }

    fn put(&mut self, series: Series) -> usize {
        let place = self.series.len();
        self.index(&series, place);
        self.series.push(series);
        place
    }

    fn index(&mut self, series: &Series, place: usize) {
        self.by_key.insert(series.key.clone(), place);
        if !series.is_overflow() {
            self.by_rule.resize(self.by_rule.len().max(series.rule + 1), 0);
            self.by_rule.iter_mut().skip(series.rule).take(1).for_each(|count| *count += 1);
        }
    }

    /// Adds a line to a series; its rule, if the series is the one of what is over the limit.
    pub fn add(&mut self, place: usize, observed: Observed) -> Option<usize> {
        let series = self.series.get_mut(place)?;
        series.total.add(observed);
        (series.touched, series.changed) = (true, true);
        series.is_overflow().then_some(series.rule)
    }

    /// Takes what the state has under a key; nothing, where no rule is of it any more.
    pub fn restore(&mut self, key: Vec<u8>, series: Option<Series>) {
        match series {
            Some(series) => {
                self.put(series);
            }
            None => self.gone.push(key),
        }
    }

    /// All series, in the order of their keys, and so by rule: they may have come in any.
    pub fn in_order(&mut self) -> Vec<&mut Series> {
        let mut all: Vec<_> = self.series.iter_mut().collect();
        all.sort_by(|a, b| (a.rule, &a.key).cmp(&(b.rule, &b.key)));
        all
    }

    /// Takes times for those that were told by a clock that was ahead: since when series count, and when they had lines.
    pub fn set_back(&mut self, since_ms: i64, touched_ms: i64) {
        for series in &mut self.series {
            series.since_ms = series.since_ms.min(since_ms);
            series.touched_ms = series.touched_ms.min(touched_ms);
            series.changed = true;
        }
    }

    /// Forgets series that had no lines since then.
    pub fn forget_idle(&mut self, before_ms: i64) {
        let idle = |series: &Series| !series.touched && series.touched_ms < before_ms;
        if !self.series.iter().any(idle) {
            return;
        }
        self.gone.extend(self.series.extract_if(.., |series| idle(series)).map(|series| series.key));
        self.by_raw.clear();
        self.by_key.clear();
        self.by_rule.clear();
        let kept = std::mem::take(&mut self.series);
        for series in kept {
            self.put(series);
        }
    }

    /// Tells what the state does not have yet: a key with its value, or without one if it is forgotten.
    pub fn changes(&mut self, mut tell: impl FnMut(&[u8], Option<Vec<u8>>)) {
        for key in self.gone.drain(..) {
            tell(&key, None);
        }
        for series in self.series.iter_mut().filter(|series| series.changed) {
            series.changed = false;
            tell(&series.key, Some(state::write(series)));
        }
    }
}

impl Series {
    pub fn is_overflow(&self) -> bool {
        self.labels.first().is_some_and(|(name, _)| name == OVERFLOW)
    }
}
