//! What was made, item by item, and whether it arrived.

use std::sync::Arc;

use crate::catalog::SERVICES;
use crate::logs::line_number;
use crate::traces::{span_number, span_numbers};
use crate::world::{Life, ServiceSeries, World};

/// What a record holds, for [`Made::add`]. Of a malformed record: nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth(pub(crate) Holds);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holds {
    Nothing,
    /// All series of an instance, at these times.
    Samples {
        life: Life,
        times_ms: Vec<i64>,
    },
    Lines {
        first: u64,
        count: u32,
    },
    Trace {
        number: u64,
    },
}

/// What is to be said of an item that arrived.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It was made, and this is the first time that it came.
    First,
    /// It came before, the same.
    Identical,
    /// A sample of this series and time was made, with another value.
    Different {
        /// The value that was made.
        expected: f64,
    },
    /// Nothing like it was made.
    Unknown,
    /// Translation derives it from the resource (`target_info`): right, and not among what was made.
    NotCounted,
}

/// Numbers of items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Prometheus samples, `target_info` left out.
    pub samples: u64,
    /// Log lines.
    pub lines: u64,
    /// Spans.
    pub spans: u64,
}

/// The set of what was made, in a bit for each sample, line and span and 8 bytes for each step of an
/// instance. Values are not kept: they are computed again.
///
/// Records are added before they are sent, so that nothing can arrive unknown. Then each item that
/// arrives, in any order and as often as it does, gets a [`Verdict`], and [`Made::missing`] says what
/// never came.
pub struct Made {
    world: Arc<World>,
    /// By serial number.
    instances: Vec<Option<Instance>>,
    samples: (u64, u64),
    lines: Tally,
    spans: Tally,
}

struct Instance {
    life: Life,
    /// Strictly increasing.
    times_ms: Vec<i64>,
    /// Step by step, all series of a step together.
    seen: Bits,
}

/// Where a sample stands among what was made.
struct Place {
    serial: usize,
    bit: u64,
    expected: f64,
}

impl Made {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, instances: Vec::new(), samples: (0, 0), lines: Tally::default(), spans: Tally::default() }
    }

    /// Adds what a record holds. An instance's records are added in the order in which they were made.
    pub fn add(&mut self, truth: &Truth) {
        match &truth.0 {
            Holds::Nothing => {}
            Holds::Lines { first, count } => {
                (*first..first.saturating_add(u64::from(*count))).for_each(|line| self.lines.add(line));
            }
            Holds::Trace { number } => {
                span_numbers(self.world.seed, *number).for_each(|span| self.spans.add(span));
            }
            Holds::Samples { life, times_ms } => {
                let Ok(serial) = usize::try_from(life.serial) else { return };
                if self.instances.len() <= serial {
                    self.instances.resize_with(serial + 1, || None);
                }
                let series = self.world.service(life.service).map_or(0, |service| service.series.len());
                self.samples.0 += count(series) * count(times_ms.len());
                if let Some(place) = self.instances.get_mut(serial) {
                    let new = || Instance { life: *life, times_ms: Vec::new(), seen: Bits::default() };
                    place.get_or_insert_with(new).times_ms.extend(times_ms);
                }
            }
        }
    }

    /// The value that a series has at a time, if such a sample was made. `labels` are all of its labels in
    /// Prometheus, `__name__` among them, in any order.
    pub fn expect<'a>(&self, labels: impl IntoIterator<Item = (&'a str, &'a str)>, timestamp_ms: i64) -> Option<f64> {
        let labels = Labels::sort(labels);
        let (instance, service) = self.source(&labels)?;
        Some(self.place(instance, service, labels, timestamp_ms)?.expected)
    }

    /// Judges a sample that arrived. `labels` as in [`Made::expect`].
    pub fn check_sample<'a>(
        &mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        timestamp_ms: i64,
        value: f64,
    ) -> Verdict {
        let labels = Labels::sort(labels);
        let Some((instance, service)) = self.source(&labels) else { return Verdict::Unknown };
        if labels.rest.contains(&("__name__", "target_info")) {
            return if value == 1.0 { Verdict::NotCounted } else { Verdict::Different { expected: 1.0 } };
        }
        let Some(place) = self.place(instance, service, labels, timestamp_ms) else { return Verdict::Unknown };
        if place.expected.to_bits() != value.to_bits() {
            return Verdict::Different { expected: place.expected };
        }
        let instance = self.instances.get_mut(place.serial).and_then(Option::as_mut);
        if !instance.is_some_and(|instance| instance.seen.set(place.bit)) {
            return Verdict::Identical;
        }
        self.samples.1 += 1;
        Verdict::First
    }

    /// Judges a log line by its `log.record.uid`.
    pub fn check_line(&mut self, uid: &str) -> Verdict {
        self.lines.check(line_number(self.world.seed, uid))
    }

    /// Judges a span by its IDs, 16 and 8 bytes.
    pub fn check_span(&mut self, trace_id: &[u8], span_id: &[u8]) -> Verdict {
        self.spans.check(span_number(self.world.seed, trace_id, span_id))
    }

    /// How much was made.
    #[must_use]
    pub fn made(&self) -> Counts {
        Counts { samples: self.samples.0, lines: self.lines.counted.0, spans: self.spans.counted.0 }
    }

    /// How much of it never came, or came only with another value.
    #[must_use]
    pub fn missing(&self) -> Counts {
        let missing = |(made, seen): (u64, u64)| made.saturating_sub(seen);
        Counts {
            samples: missing(self.samples),
            lines: missing(self.lines.counted),
            spans: missing(self.spans.counted),
        }
    }

    /// At most `limit` of the samples that are missing, as `name{labels} timestamp`, for a person to read.
    pub fn missing_samples(&self, limit: usize) -> Vec<String> {
        self.instances.iter().flatten().flat_map(|instance| self.missing_of(instance)).take(limit).collect()
    }

    fn missing_of<'a>(&'a self, instance: &'a Instance) -> impl Iterator<Item = String> + 'a {
        let service = self.world.service(instance.life.service);
        let series = service.map_or(&[][..], |service| &service.series);
        let all = instance.times_ms.iter().flat_map(move |at_ms| series.iter().map(move |one| (at_ms, one)));
        let missing = (0..).zip(all).filter(|(bit, _)| !instance.seen.get(*bit));
        let name = self.world.instance(&instance.life);
        missing.map(move |(_, (at_ms, series))| {
            let labels = series.labels.iter().map(|(label, value)| format!("{label}={value:?}"));
            format!("{{{}, instance={name:?}}} {at_ms}", labels.collect::<Vec<_>>().join(", "))
        })
    }

    /// Whose sample it is: the serial number ends the instance's name, and the rest must agree.
    fn source(&self, labels: &Labels<'_>) -> Option<(&Instance, &ServiceSeries)> {
        let (_, serial) = labels.instance?.rsplit_once('-')?;
        let instance = self.instances.get(serial.parse::<usize>().ok()?)?.as_ref()?;
        let service = SERVICES.get(instance.life.service)?;
        let (namespace, name) = labels.job?.split_once('/')?;
        let same = namespace == service.namespace
            && name == service.name
            && labels.instance? == self.world.instance(&instance.life);
        self.world.service(instance.life.service).filter(|_| same).map(|series| (instance, series))
    }

    fn place(
        &self,
        instance: &Instance,
        service: &ServiceSeries,
        mut labels: Labels<'_>,
        timestamp_ms: i64,
    ) -> Option<Place> {
        let position = service.position(&mut labels.rest)?;
        let step = instance.times_ms.binary_search(&timestamp_ms).ok()?;
        Some(Place {
            serial: usize::try_from(instance.life.serial).ok()?,
            bit: count(step) * count(service.series.len()) + count(position),
            expected: self.world.value(&instance.life, service.series.get(position)?, timestamp_ms),
        })
    }
}

/// Labels with those that name the instance taken out.
struct Labels<'a> {
    job: Option<&'a str>,
    instance: Option<&'a str>,
    rest: Vec<(&'a str, &'a str)>,
}

impl<'a> Labels<'a> {
    fn sort(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut sorted = Self { job: None, instance: None, rest: Vec::with_capacity(4) };
        for (name, value) in labels {
            match name {
                "job" => sorted.job = Some(value),
                "instance" => sorted.instance = Some(value),
                _ => sorted.rest.push((name, value)),
            }
        }
        sorted
    }
}

/// Items that are known by a number.
#[derive(Default)]
struct Tally {
    made: Bits,
    seen: Bits,
    /// Made, seen.
    counted: (u64, u64),
}

impl Tally {
    fn add(&mut self, number: u64) {
        self.counted.0 += u64::from(self.made.set(number));
    }

    fn check(&mut self, number: Option<u64>) -> Verdict {
        match number.filter(|number| self.made.get(*number)) {
            None => Verdict::Unknown,
            Some(number) if self.seen.set(number) => {
                self.counted.1 += 1;
                Verdict::First
            }
            Some(_) => Verdict::Identical,
        }
    }
}

/// A set of small numbers.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Puts a number in; whether it was not there before.
    fn set(&mut self, number: u64) -> bool {
        let (word, mask) = Self::place(number);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let Some(word) = self.0.get_mut(word) else { return false };
        let new = *word & mask == 0;
        *word |= mask;
        new
    }

    fn get(&self, number: u64) -> bool {
        let (word, mask) = Self::place(number);
        self.0.get(word).is_some_and(|word| word & mask != 0)
    }

    fn place(number: u64) -> (usize, u64) {
        (usize::try_from(number / 64).unwrap_or(usize::MAX - 1), 1 << (number % 64))
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
