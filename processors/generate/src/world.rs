//! What is true at a time: every value as a pure function of the seed, the series and the timestamp.
//!
//! All arithmetic is on integers; fractions are counted in 1/1024, so that every value is exact as a
//! double and sums of them are too.

use std::collections::HashMap;

use crate::catalog::{Attribute, Buckets, Data, Layer, Range, Row, SERVICES, Service};
use crate::config::Config;
use crate::incident::Incident;
use crate::mix::{hash, hash_text, mix, scale};

/// A level or a rate swings once in this time, in milliseconds.
const PERIOD_MS: i64 = 600_000;

/// How many parts make one.
const PARTS: i64 = 1024;

/// One instance of a service, from its start until it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    /// Index into [`SERVICES`].
    pub service: usize,
    /// Its place among the instances of its service; whoever replaces it has the same.
    pub ordinal: u64,
    /// Its own number, never used twice.
    pub serial: u64,
    /// When its counters were zero.
    pub birth_ms: i64,
}

/// When an incident lasts, in milliseconds since 1970; the end is outside.
#[derive(Debug, Clone, Copy)]
struct Window {
    incident: Incident,
    begin_ms: i64,
    end_ms: i64,
}

/// What a Prometheus series shows of an OTLP series.
#[derive(Debug, Clone, Copy)]
enum Part {
    Value,
    Count,
    Sum,
    /// Observations in this bucket and all below.
    UpTo(usize),
}

/// One Prometheus series of a service.
pub(crate) struct Series {
    /// Its name and labels but `job` and `instance`, sorted.
    pub labels: Vec<(String, String)>,
    /// Which of the service's OTLP series it comes from.
    row_number: u64,
    incident: Option<Incident>,
    data: RowData,
    part: Part,
}

#[derive(Clone, Copy)]
enum RowData {
    Level { row: &'static Row<Range>, whole: bool },
    Flow(&'static Row<i64>),
    Spread(&'static Buckets, &'static Row<&'static [i64]>),
}

/// The Prometheus series of a service, and where each of them stands.
pub(crate) struct ServiceSeries {
    pub series: Vec<Series>,
    index: HashMap<String, usize>,
}

/// The system under one seed, with its incidents.
pub(crate) struct World {
    pub seed: u64,
    windows: Vec<Window>,
    services: Vec<ServiceSeries>,
}

/// Nanoseconds to whole milliseconds, signed as Prometheus counts them.
pub(crate) fn millis(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}

/// One text for a set of labels, whatever their order was.
pub(crate) fn label_key(labels: &mut [(&str, &str)]) -> String {
    labels.sort_unstable();
    let mut key = String::with_capacity(64);
    for (name, value) in labels {
        key.extend([*name, "\0", *value, "\0"]);
    }
    key
}

impl World {
    pub(crate) fn new(config: &Config, start_ms: i64) -> Self {
        let windows = config.incidents.iter().map(|occurrence| {
            let begin_ms = start_ms.saturating_add(duration_ms(occurrence.after));
            let end_ms = begin_ms.saturating_add(duration_ms(occurrence.lasts));
            Window { incident: occurrence.incident, begin_ms, end_ms }
        });
        Self {
            seed: config.seed,
            windows: windows.collect(),
            services: SERVICES.iter().map(ServiceSeries::of).collect(),
        }
    }

    pub(crate) fn service(&self, index: usize) -> Option<&ServiceSeries> {
        self.services.get(index)
    }

    /// `service.instance.id`, which for a headset is its device ID. It ends with the serial number.
    pub(crate) fn instance(&self, life: &Life) -> String {
        let name = SERVICES.get(life.service).map_or("", |service| service.name);
        let mark = hash(&[self.seed, hash_text(0, name), life.serial]) >> 40;
        match name {
            "headset" => format!("hmd-{mark:06x}-{}", life.serial),
            _ => format!("{name}-{mark:06x}-{}", life.serial),
        }
    }

    /// Whether an incident of this layer lasts.
    pub(crate) fn trouble(&self, layer: Layer, at_ms: i64) -> Option<Incident> {
        let lasting = self.windows.iter().filter(|w| (w.begin_ms..w.end_ms).contains(&at_ms));
        lasting.map(|window| window.incident).find(|incident| incident.layer() == layer)
    }

    /// A gauge's value, in 1/1024.
    pub(crate) fn level(&self, series: &Origin<'_>, row: &Row<Range>, at_ms: i64) -> i64 {
        let key = series.key(self.seed, 0);
        let noise = i64::from(scale(hash(&[key, at_ms.cast_unsigned()]), 1024));
        if self.lasts(series, at_ms) {
            return row.bad.0 + (row.bad.1 - row.bad.0) * noise / 1023;
        }
        let wave = fold(at_ms + phase(key)) * 1023 / (PERIOD_MS / 2);
        row.normal.0 + (row.normal.1 - row.normal.0) * ((3 * wave + noise) / 4) / 1023
    }

    /// A counter's value: what came since the start at `normal` a minute, give or take, and at `bad` a
    /// minute more while an incident lasted. Never falls.
    pub(crate) fn flow(&self, series: &Origin<'_>, bucket: u64, normal: i64, bad: i64, at_ms: i64) -> u64 {
        let age_ms = (at_ms - series.life.birth_ms).max(0);
        let mut total = 0;
        if normal > 0 {
            let key = series.key(self.seed, bucket);
            let per_1024_minutes = normal * (768 + i64::from(scale(key, 512)));
            let phase = phase(key);
            // The slope of 10 a millisecond swings between 6 and 14, so the sum never falls.
            let swing = 10 * age_ms + 4 * (fold(age_ms + phase) - fold(phase));
            let exact = i128::from(per_1024_minutes) * i128::from(swing) / i128::from(PARTS * 600_000);
            total += u64::try_from(exact).unwrap_or(0);
        }
        if bad > 0 {
            total += u64::try_from(bad * self.lasted_ms(series, at_ms) / 60_000).unwrap_or(0);
        }
        total
    }

    /// Whether the incident of this series lasts, and this instance is one that it strikes.
    fn lasts(&self, series: &Origin<'_>, at_ms: i64) -> bool {
        let windows = self.striking(series);
        windows.into_iter().any(|window| (window.begin_ms..window.end_ms).contains(&at_ms))
    }

    /// How long its incident has lasted in the life of this instance.
    fn lasted_ms(&self, series: &Origin<'_>, at_ms: i64) -> i64 {
        let overlap = |window: &Window| {
            let begin_ms = window.begin_ms.max(series.life.birth_ms);
            (window.end_ms.min(at_ms) - begin_ms).max(0)
        };
        self.striking(series).map(overlap).sum()
    }

    fn striking(&self, series: &Origin<'_>) -> impl Iterator<Item = &Window> {
        let incident = series.incident.filter(|_| series.life.ordinal.is_multiple_of(3));
        self.windows.iter().filter(move |window| Some(window.incident) == incident)
    }

    /// The value that Prometheus should show.
    pub(crate) fn value(&self, life: &Life, series: &Series, at_ms: i64) -> f64 {
        let origin = Origin { life, row_number: series.row_number, incident: series.incident };
        match series.data {
            RowData::Level { row, whole } => level_value(self.level(&origin, row, at_ms), whole),
            RowData::Flow(row) => self.flow(&origin, 0, row.normal, row.bad, at_ms) as f64,
            RowData::Spread(buckets, row) => {
                let counts = self.spread(&origin, row, at_ms);
                match series.part {
                    Part::Sum => sum(buckets, counts),
                    Part::UpTo(last) => counts.take(last + 1).sum::<u64>() as f64,
                    Part::Value | Part::Count => counts.sum::<u64>() as f64,
                }
            }
        }
    }

    /// How many observations are in each bucket.
    pub(crate) fn spread(
        &self,
        series: &Origin<'_>,
        row: &Row<&'static [i64]>,
        at_ms: i64,
    ) -> impl Iterator<Item = u64> {
        let buckets = (0..).zip(row.normal.iter().zip(row.bad));
        buckets.map(move |(bucket, (normal, bad))| self.flow(series, bucket, *normal, *bad, at_ms))
    }
}

/// A gauge's value as a double: in whole units, or in 1/1024.
pub(crate) fn level_value(parts: i64, whole: bool) -> f64 {
    if whole { (parts / PARTS) as f64 } else { parts as f64 / PARTS as f64 }
}

/// A level in whole units.
pub(crate) fn whole(parts: i64) -> i64 {
    parts / PARTS
}

/// The sum of observations that were counted.
pub(crate) fn sum(buckets: &Buckets, counts: impl Iterator<Item = u64>) -> f64 {
    let parts = counts.zip(buckets.middles).map(|(count, middle)| count.saturating_mul(middle.unsigned_abs()));
    parts.sum::<u64>() as f64 / PARTS as f64
}

/// One OTLP series of one instance.
pub(crate) struct Origin<'a> {
    pub life: &'a Life,
    /// Its number among the series of its service.
    pub row_number: u64,
    pub incident: Option<Incident>,
}

impl Origin<'_> {
    /// What makes its behaviour its own.
    fn key(&self, seed: u64, bucket: u64) -> u64 {
        hash(&[seed, self.life.serial, self.row_number, bucket])
    }
}

/// Where in its period a series begins.
fn phase(key: u64) -> i64 {
    i64::from(scale(mix(key), 600_000))
}

/// Up for half a period and down again: 0 to `PERIOD_MS / 2`.
fn fold(at_ms: i64) -> i64 {
    let at_ms = at_ms.rem_euclid(PERIOD_MS);
    at_ms.min(PERIOD_MS - at_ms)
}

fn duration_ms(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl ServiceSeries {
    fn of(service: &'static Service) -> Self {
        let mut series = Vec::new();
        let mut row_number = 0;
        for metric in service.metrics {
            let mut rows: Vec<(RowData, &'static [Attribute])> = Vec::new();
            match metric.data {
                Data::Gauge(levels) => rows.extend(levels.iter().map(|row| level_row(row, false))),
                Data::UpDown(levels) => rows.extend(levels.iter().map(|row| level_row(row, true))),
                Data::Counter(flows) => rows.extend(flows.iter().map(|row| (RowData::Flow(row), row.attributes))),
                Data::Histogram(buckets, spreads) => {
                    rows.extend(spreads.iter().map(|row| (RowData::Spread(buckets, row), row.attributes)));
                }
            }
            for (data, attributes) in rows {
                for (name, le, part) in parts(metric.prometheus, data) {
                    let plain = attributes.iter().map(|(_, label, value)| ((*label).into(), (*value).into()));
                    let mut labels: Vec<(String, String)> = plain.collect();
                    labels.push(("__name__".into(), name));
                    labels.extend(le.map(|le| ("le".into(), le.into())));
                    labels.sort_unstable();
                    series.push(Series { labels, row_number, incident: metric.incident, data, part });
                }
                row_number += 1;
            }
        }
        let index = series.iter().enumerate().map(|(at, series)| (series.key(), at)).collect();
        Self { series, index }
    }

    /// Which series has these labels, `job` and `instance` left out.
    pub(crate) fn position(&self, labels: &mut [(&str, &str)]) -> Option<usize> {
        self.index.get(&label_key(labels)).copied()
    }
}

impl Series {
    fn key(&self) -> String {
        let mut labels: Vec<_> = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        label_key(&mut labels)
    }
}

fn level_row(row: &'static Row<Range>, whole: bool) -> (RowData, &'static [Attribute]) {
    (RowData::Level { row, whole }, row.attributes)
}

/// The Prometheus series that one OTLP series becomes: name, `le`, and what it shows.
fn parts(name: &str, data: RowData) -> Vec<(String, Option<&'static str>, Part)> {
    let RowData::Spread(buckets, _) = data else {
        return vec![(name.to_owned(), None, Part::Value)];
    };
    let bounds = buckets.bounds.iter().map(|(_, le)| *le).chain(["+Inf"]);
    let mut parts: Vec<_> =
        bounds.enumerate().map(|(at, le)| (format!("{name}_bucket"), Some(le), Part::UpTo(at))).collect();
    parts.push((format!("{name}_sum"), None, Part::Sum));
    parts.push((format!("{name}_count"), None, Part::Count));
    parts
}
