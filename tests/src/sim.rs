//! A fleet on a simulated Kafka, on a simulated clock, on one thread: a seed is a history.
//!
//! Under test is the real code: `weir_runtime::run` with the real feed, committer and opening. What
//! is simulated is what surrounds it: Kafka and its client ([`kafka`], [`group`], [`client`]), the
//! processor and the outside ([`worker`]). Everything that could go either way is drawn from the
//! seed: latencies, faults, what the operator does. [`check`] knows what each record has to lead
//! to, and says at once when something else happens.
//!
//! What it proves nothing about: librdkafka's own behaviour, threads that run at once, real
//! sockets, and how fast anything is.

mod check;
mod client;
mod epochs;
mod fetch;
mod group;
mod kafka;
mod log;
mod many;
mod model;
mod mutation;
mod operator;
mod run;
mod scenario;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

pub use many::{Found, Many, table};
pub use mutation::Mutation;
pub use run::{Report, run};

use kafka::Cluster;
use model::Model;
use scenario::Scenario;
use worker::Outside;

/// All that is simulated, and what is known about it.
pub(crate) struct State {
    pub rng: Rng,
    pub scenario: Scenario,
    pub mutation: Option<Mutation>,
    pub kafka: Cluster,
    pub outside: Outside,
    pub model: Model,
    /// Nothing fails any more: what is left has to come to its end.
    pub calm: bool,
    /// Except that answers are lost, which a drain has to bear.
    pub drill: bool,
    /// What of all that can happen did, and how often.
    pub covered: BTreeMap<&'static str, u64>,
    started: Instant,
    history: Option<Vec<Line>>,
    violation: Option<String>,
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since the beginning.
    pub at_ms: u64,
    /// Whose doing: an instance, Kafka, the outside, the operator.
    pub who: String,
    /// What.
    pub what: String,
}

pub(crate) type World = Arc<Mutex<State>>;

impl State {
    /// A world of the seed, in which nothing has happened yet.
    pub fn new(seed: u64, mutation: Option<Mutation>, told: bool) -> Self {
        let mut rng = Rng(seed ^ 0x5eed_0f3e);
        let scenario = Scenario::draw(&mut rng, seed, mutation);
        Self {
            kafka: Cluster::new(&scenario),
            outside: Outside::default(),
            model: Model::default(),
            rng,
            scenario,
            mutation,
            calm: false,
            drill: false,
            covered: BTreeMap::new(),
            started: Instant::now(),
            history: told.then(Vec::new),
            violation: None,
        }
    }

    /// Milliseconds since the beginning.
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes what happened, where somebody will read it.
    pub fn note(&mut self, who: impl std::fmt::Display, what: impl FnOnce() -> String) {
        let at_ms = self.now();
        if let Some(history) = &mut self.history {
            history.push(Line { at_ms, who: who.to_string(), what: what() });
        }
    }

    /// Notes that an invariant does not hold; the first time counts.
    pub fn violated(&mut self, what: String) {
        self.note("CHECK", || what.clone());
        self.violation.get_or_insert(what);
    }

    /// Counts something that every long run has to have seen.
    pub fn covers(&mut self, what: &'static str) {
        *self.covered.entry(what).or_default() += 1;
    }

    pub fn is_mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether a fault happens that does so that often in a thousand times.
    pub fn fault(&mut self, per_mille: u64) -> bool {
        !self.calm && self.rng.chance(per_mille)
    }
}

/// Draws from the seed (`SplitMix64`).
pub(crate) struct Rng(u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// An index of a slice of that length.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// So often in a thousand times.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}
