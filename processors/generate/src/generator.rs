//! The generator: which instance speaks next, and when instances are replaced.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::catalog::{MIX, SERVICES};
use crate::config::{Config, Error, Share, share};
use crate::encode::Payload;
use crate::logs::{self, Lines};
use crate::made::{Holds, Made, Truth};
use crate::malformed::Malformation;
use crate::metrics::Template;
use crate::mix::{Dice, hash};
use crate::resource::identity;
use crate::traces::{self, SpanRef, trace_id};
use crate::world::{Life, World, millis};

/// A time: nanoseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixNanos(pub u64);

/// What a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// `telemetry-metrics`.
    Metrics,
    /// `telemetry-logs`.
    Logs,
    /// `telemetry-traces`.
    Traces,
}

/// A Kafka record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which topic it is for.
    pub signal: Signal,
    /// As the Collector's Kafka exporter writes it: 16 bytes of hash over the resource for metrics and
    /// logs, the trace ID as 32 lowercase hexadecimal digits for traces.
    pub key: Vec<u8>,
    /// An `Export*ServiceRequest`, encoded and compressed.
    pub value: Vec<u8>,
    /// `content-encoding`, where the value is compressed.
    pub headers: Vec<(&'static str, &'static str)>,
    /// What is wrong with it, if something is.
    pub malformed: Option<Malformation>,
    /// Data points, log lines or spans that a worker should find: 0 if it is malformed.
    pub items: u32,
    /// What it holds, for [`Made::add`].
    pub truth: Truth,
}

/// Numbers of lines and traces in malformed records begin here, so that theirs are nobody else's.
const SPOILED: u64 = 1 << 62;

/// How many spans an instance's log lines choose from.
const SPANS_REMEMBERED: usize = 8;

/// Makes records. The same configuration, start and sequence of calls with their times give the same bytes.
pub struct Generator {
    config: Config,
    malformed: Share,
    churn: Share,
    world: Arc<World>,
    start_ms: i64,
    slots: Vec<Slot>,
    /// By service, indexes into `slots`.
    by_service: Vec<Vec<usize>>,
    /// By service.
    templates: Vec<Template>,
    calls: Calls,
    next_serial: u64,
    replaced: u64,
    /// Numbers of the next line and trace; of good records, then of malformed ones.
    next_line: [u64; 2],
    next_trace: [u64; 2],
}

#[derive(Default)]
struct Calls {
    metrics: u64,
    logs: u64,
    traces: u64,
}

/// A place for an instance, and who has it now.
struct Slot {
    life: Life,
    last_ms: i64,
    /// The newest spans of this instance.
    spans: VecDeque<SpanRef>,
}

/// A message before it is encoded.
struct Draft {
    key: Vec<u8>,
    payload: Payload,
    items: u32,
    holds: Holds,
    /// Whose template it uses.
    service: usize,
}

impl Generator {
    /// A generator whose counters, incidents and churn begin at `start`.
    ///
    /// # Errors
    /// A share outside 0 to 1, or records of no size.
    pub fn new(config: Config, start: UnixNanos) -> Result<Self, Error> {
        config.check()?;
        let start_ms = millis(start.0);
        let world = Arc::new(World::new(&config, start_ms));
        let mut generator = Self {
            malformed: share("malformed", config.malformed)?,
            churn: share("churn", config.churn)?,
            start_ms,
            slots: Vec::new(),
            by_service: SERVICES.iter().map(|_| Vec::new()).collect(),
            templates: SERVICES.iter().map(|service| Template::new(service, config.points_per_record)).collect(),
            calls: Calls::default(),
            next_serial: 0,
            replaced: 0,
            next_line: [0, SPOILED],
            next_trace: [0, SPOILED],
            world,
            config,
        };
        generator.populate();
        Ok(generator)
    }

    /// An empty set for what this generator makes.
    #[must_use]
    pub fn made(&self) -> Made {
        Made::new(Arc::clone(&self.world))
    }

    /// Prometheus series alive at a time, `target_info` left out.
    #[must_use]
    pub fn series(&self) -> usize {
        let series = |slot: &Slot| self.world.service(slot.life.service).map_or(0, |service| service.series.len());
        self.slots.iter().map(series).sum()
    }

    /// The next record of a signal, as of `now`.
    ///
    /// Metrics come from each instance in turn. A record's timestamps lie between its instance's last one
    /// and `now`; called more often than that allows, they run ahead of `now`, a millisecond each.
    ///
    /// # Errors
    /// The JSON encoder or the compressor failed.
    pub fn next(&mut self, signal: Signal, now: UnixNanos) -> Result<Record, Error> {
        self.replace_due(millis(now.0));
        let (call, salt) = match signal {
            Signal::Metrics => (&mut self.calls.metrics, 11),
            Signal::Logs => (&mut self.calls.logs, 12),
            Signal::Traces => (&mut self.calls.traces, 13),
        };
        let at = *call;
        *call += 1;
        let mut dice = Dice::new(hash(&[self.config.seed, salt, at]));
        let spoiled = dice.below(1_000_000) < self.malformed.0;
        let malformed = spoiled.then(|| dice.pick_from(Malformation::all())).flatten();
        let spoken = match (signal, malformed) {
            (Signal::Metrics | Signal::Traces, Some(Malformation::WrongSignal)) => Signal::Logs,
            (Signal::Logs, Some(Malformation::WrongSignal)) => Signal::Metrics,
            _ => signal,
        };
        let draft = match spoken {
            Signal::Metrics => self.metrics(at, now, malformed.is_some()),
            Signal::Logs => self.logs(now, malformed.is_some(), &mut dice),
            Signal::Traces => self.traces(now, malformed.is_some(), &mut dice),
        };
        self.record(signal, draft, malformed, &mut dice)
    }

    fn record(
        &mut self,
        signal: Signal,
        draft: Draft,
        malformed: Option<Malformation>,
        dice: &mut Dice,
    ) -> Result<Record, Error> {
        let Draft { key, payload, items, holds, service } = draft;
        let encoding = self.config.encoding;
        let value = match malformed {
            Some(malformed) => malformed.spoil(&payload, encoding, dice)?,
            None => payload.encode(encoding)?,
        };
        if let (Payload::Metrics(request), Some(template)) = (payload, self.templates.get_mut(service)) {
            template.request = request;
        }
        let plain = matches!(malformed, Some(Malformation::Empty | Malformation::RandomBytes));
        let header = self.config.compression.header().filter(|_| !plain);
        let value = if plain { value } else { self.config.compression.compress(value)? };
        Ok(Record {
            signal,
            key,
            value,
            headers: header.map(|header| ("content-encoding", header)).into_iter().collect(),
            malformed,
            items: if malformed.is_some() { 0 } else { items },
            truth: Truth(if malformed.is_some() { Holds::Nothing } else { holds }),
        })
    }

    /// Adds instances until there are series enough.
    fn populate(&mut self) {
        let mut series = 0;
        for (at, service) in MIX.iter().cycle().enumerate() {
            if at >= SERVICES.len() && series >= self.config.series {
                return;
            }
            let Some(slots) = self.by_service.get_mut(*service) else { return };
            let ordinal = u64::try_from(slots.len()).unwrap_or(u64::MAX);
            slots.push(self.slots.len());
            let life = Life { service: *service, ordinal, serial: self.next_serial, birth_ms: self.start_ms };
            self.next_serial += 1;
            self.slots.push(Slot { life, last_ms: self.start_ms, spans: VecDeque::new() });
            series += self.world.service(*service).map_or(0, |service| service.series.len());
        }
    }

    /// Replaces, one slot after the other, as many instances as churn asks for until now.
    fn replace_due(&mut self, now_ms: i64) {
        let elapsed_ms = u128::try_from(now_ms.saturating_sub(self.start_ms)).unwrap_or(0);
        let slots = u128::try_from(self.slots.len()).unwrap_or(0);
        let due = elapsed_ms * slots * u128::from(self.churn.0) / (60_000 * 1_000_000);
        // After a long pause, all of them once is as good as many times.
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        let slots = u64::try_from(self.slots.len()).unwrap_or(1);
        self.replaced = self.replaced.max(due.saturating_sub(slots));
        while self.replaced < due {
            let at = usize::try_from(self.replaced % slots).unwrap_or(0);
            self.replaced += 1;
            let Some(slot) = self.slots.get_mut(at) else { return };
            slot.life = Life { serial: self.next_serial, birth_ms: now_ms, ..slot.life };
            slot.last_ms = now_ms;
            slot.spans.clear();
            self.next_serial += 1;
        }
    }

    fn metrics(&mut self, call: u64, now: UnixNanos, spoiled: bool) -> Draft {
        let at = usize::try_from(call).unwrap_or(0) % self.slots.len().max(1);
        let mut draft = Draft::empty();
        let Some(slot) = self.slots.get_mut(at) else { return draft };
        draft.service = slot.life.service;
        let known = self.templates.get_mut(draft.service).zip(SERVICES.get(draft.service));
        let Some((template, service)) = known else { return draft };
        let times_ms = times(slot.last_ms, millis(now.0), template.steps);
        slot.last_ms = times_ms.last().copied().unwrap_or(slot.last_ms);
        let identity = identity(&self.world, &slot.life);
        draft.key = identity.key;
        draft.items = template.fill(&self.world, &slot.life, service, &times_ms, identity.resource);
        draft.payload = Payload::Metrics(std::mem::take(&mut template.request));
        draft.holds = if spoiled { Holds::Nothing } else { Holds::Samples { life: slot.life, times_ms } };
        draft
    }

    fn logs(&mut self, now: UnixNanos, spoiled: bool, dice: &mut Dice) -> Draft {
        let mut draft = Draft::empty();
        let at = dice.below(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        let Some(slot) = usize::try_from(at).ok().and_then(|at| self.slots.get(at)) else { return draft };
        let identity = identity(&self.world, &slot.life);
        let count = u32::try_from(self.config.points_per_record).unwrap_or(u32::MAX);
        let [good, bad] = &mut self.next_line;
        let next = if spoiled { bad } else { good };
        let first = *next;
        *next += u64::from(count);
        let lines = Lines {
            life: &slot.life,
            resource: identity.resource,
            first,
            count,
            now_nanos: now.0,
            spans: slot.spans.iter().copied().collect(),
        };
        draft.payload = Payload::Logs(logs::request(&self.world, lines, dice));
        draft.key = identity.key;
        draft.items = count;
        draft.holds = Holds::Lines { first, count };
        draft
    }

    fn traces(&mut self, now: UnixNanos, spoiled: bool, dice: &mut Dice) -> Draft {
        let mut draft = Draft::empty();
        let [good, bad] = &mut self.next_trace;
        let next = if spoiled { bad } else { good };
        let number = *next;
        *next += 1;
        // One instance of each service takes part.
        let chosen: Vec<usize> = self.by_service.iter().map(|slots| dice.pick(slots)).collect();
        let lives = chosen.iter().filter_map(|at| self.slots.get(*at));
        let resources: Vec<_> = lives.map(|slot| identity(&self.world, &slot.life).resource).collect();
        let trace = traces::trace(&self.world, number, now.0, &resources);
        if !spoiled {
            for (service, span) in trace.mentions {
                let slot = chosen.get(service).and_then(|at| self.slots.get_mut(*at));
                slot.into_iter().for_each(|slot| slot.remember(span));
            }
        }
        draft.payload = Payload::Traces(trace.request);
        let hex = trace_id(self.config.seed, number).into_iter().map(|byte| format!("{byte:02x}"));
        draft.key = hex.collect::<String>().into_bytes();
        draft.items = trace.spans;
        draft.holds = Holds::Trace { number };
        draft
    }
}

impl Slot {
    fn remember(&mut self, span: SpanRef) {
        self.spans.push_back(span);
        if self.spans.len() > SPANS_REMEMBERED {
            self.spans.pop_front();
        }
    }
}

impl Draft {
    fn empty() -> Self {
        let payload = Payload::Logs(Default::default());
        Self { key: Vec::new(), payload, items: 0, holds: Holds::Nothing, service: 0 }
    }
}

/// `steps` times after `last_ms`, evenly up to `now_ms`; where that is too close, a millisecond each.
fn times(last_ms: i64, now_ms: i64, steps: usize) -> Vec<i64> {
    let steps = i64::try_from(steps).unwrap_or(1);
    let span_ms = now_ms.saturating_sub(last_ms).max(steps);
    (1..=steps).map(|step| last_ms.saturating_add(evenly(span_ms, step, steps))).collect()
}

fn evenly(span_ms: i64, step: i64, steps: i64) -> i64 {
    i64::try_from(i128::from(span_ms) * i128::from(step) / i128::from(steps)).unwrap_or(step)
}
