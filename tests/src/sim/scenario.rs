//! What a seed is about: few things at a time, each at its own rate.

use std::sync::Arc;

use weir_kafka::Start;

use super::model::Kind;
use super::{Mutation, Rng};

/// What a seed draws before anything happens.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Source topics and their partitions.
    pub sources: Vec<(Arc<str>, i32)>,
    /// Instances that there may be at once.
    pub instances: usize,
    /// Whether the group is of the next protocol (KIP-848).
    pub next_protocol: bool,
    /// Whether the worker keeps state.
    pub state: bool,
    /// Whether members are static: their instance and transactional IDs belong to the instance. Else
    /// each client has its own.
    pub static_members: bool,
    /// Whether the operator sometimes gives an instance ID to two of them.
    pub twins: bool,
    /// Where the group begins.
    pub start: Start,
    /// The largest record that the dead-letter topic takes, in bytes.
    pub dead_letter_max_bytes: usize,
    /// Whether retention removes records that nobody has read.
    pub losing: bool,
    /// Weights of the kinds of records, in the order of `Kind::ALL`.
    pub kinds: Vec<u64>,
    /// How long things go wrong, in milliseconds.
    pub chaos_ms: u64,
    /// The longest pause of the operator, in milliseconds.
    pub pace_ms: u64,
    pub latency: Latency,
    pub faults: Faults,
    pub actions: Actions,
    pub settings: Drawn,
}

/// How long a call takes: how often (in a thousand times) it is short or long.
#[derive(Debug)]
pub(crate) struct Latency {
    pub some: u64,
    pub long: u64,
    pub long_ms: u64,
    /// The longest that a marker takes to be written.
    pub marker_ms: u64,
}

/// How often, in a thousand calls.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub retriable: u64,
    pub abortable: u64,
    pub fatal: u64,
    pub lost_answer: u64,
    pub sink_retry: u64,
    pub sink_lost_answer: u64,
    pub sink_split: u64,
    pub sink_blocked: u64,
}

/// What the operator and the world do, as weights.
#[derive(Debug)]
pub(crate) struct Actions {
    pub produce: u64,
    pub start: u64,
    pub stop: u64,
    pub crash: u64,
    pub freeze: u64,
    pub lose: u64,
    pub retention: u64,
    pub compact: u64,
    pub grow: u64,
    pub reset: u64,
}

/// What the worker's settings are.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub lanes: usize,
    pub shards: usize,
    pub max_items: usize,
    pub linger_ms: u64,
    pub commit_interval_ms: u64,
    pub commit_bytes: usize,
    pub revoke_timeout_ms: u64,
    pub tick_interval_ms: u64,
    pub batch_records: usize,
    pub batch_bytes: usize,
    pub budget_bytes: usize,
    pub seed: u64,
}

impl Scenario {
    /// Draws one. About half of all kinds of trouble are absent from each, so that the others have
    /// time to unfold.
    pub fn draw(rng: &mut Rng, seed: u64, mutation: Option<Mutation>) -> Self {
        let state = rng.chance(600);
        let mut sources = vec![(Arc::from("in"), partitions(rng, 3))];
        if rng.chance(200) {
            sources.push((Arc::from("in2"), partitions(rng, 2)));
        }
        let mut kinds: Vec<u64> =
            (0..Kind::ALL.len()).map(|_| if rng.chance(500) { rng.between(1, 5) } else { 0 }).collect();
        if let Some(first) = kinds.first_mut() {
            *first += 1;
        }
        if !state {
            // Decisions are kept in the changelog.
            for (weight, kind) in kinds.iter_mut().zip(Kind::ALL) {
                *weight = if matches!(kind, Kind::Keep | Kind::Note) { 0 } else { *weight };
            }
        }
        let faulty = mutation.is_none() || rng.chance(500);
        Self {
            sources,
            instances: 1 + rng.index(3),
            next_protocol: rng.chance(400),
            state,
            static_members: rng.chance(400),
            twins: rng.chance(300),
            start: match rng.below(10) {
                0..6 => Start::Earliest,
                6..8 => Start::Latest,
                _ => Start::Time(i64::try_from(rng.below(4_000)).unwrap_or(0)),
            },
            dead_letter_max_bytes: if rng.chance(400) { 550 + rng.index(400) } else { 10_000 },
            losing: rng.chance(300),
            kinds,
            chaos_ms: rng.between(1_000, 9_000),
            pace_ms: rng.between(20, 400),
            latency: Latency {
                some: rng.between(50, 800),
                long: if rng.chance(400) { rng.between(1, 40) } else { 0 },
                long_ms: rng.between(100, 3_000),
                marker_ms: if rng.chance(500) { rng.between(1, 1_500) } else { 0 },
            },
            faults: if faulty { Faults::draw(rng) } else { Faults::default() },
            actions: Actions::draw(rng),
            settings: Drawn::draw(rng, seed),
        }
    }
}

fn partitions(rng: &mut Rng, most: u64) -> i32 {
    i32::try_from(rng.between(1, most)).unwrap_or(1)
}

/// Something in half of all seeds.
fn half(rng: &mut Rng, most: u64) -> u64 {
    if rng.chance(500) { rng.between(1, most) } else { 0 }
}

impl Faults {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            retriable: half(rng, 100),
            abortable: half(rng, 30),
            fatal: half(rng, 10),
            lost_answer: half(rng, 200),
            sink_retry: half(rng, 200),
            sink_lost_answer: half(rng, 300),
            sink_split: half(rng, 200),
            sink_blocked: half(rng, 20),
        }
    }
}

impl Actions {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            produce: 60,
            start: 10,
            stop: half(rng, 5),
            crash: half(rng, 5),
            freeze: half(rng, 5),
            lose: half(rng, 4),
            retention: half(rng, 5),
            compact: half(rng, 8),
            grow: if rng.chance(300) { rng.between(1, 3) } else { 0 },
            reset: if rng.chance(250) { rng.between(1, 3) } else { 0 },
        }
    }
}

impl Drawn {
    fn draw(rng: &mut Rng, seed: u64) -> Self {
        Self {
            lanes: 1 + rng.index(2),
            shards: 1 + rng.index(3),
            max_items: 1 + rng.index(8),
            linger_ms: rng.below(3) * rng.below(100),
            commit_interval_ms: if rng.chance(500) { 100 } else { rng.between(100, 1_000) },
            commit_bytes: if rng.chance(300) { 500 + rng.index(5_000) } else { 1 << 20 },
            revoke_timeout_ms: rng.between(50, 1_000),
            tick_interval_ms: rng.between(100, 1_000),
            batch_records: 1 + rng.index(8),
            batch_bytes: 40 + rng.index(400),
            budget_bytes: if rng.chance(300) { 300 + rng.index(600) } else { 100_000 },
            seed,
        }
    }
}
