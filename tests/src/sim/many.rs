//! Many seeds, on all cores.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Line, Mutation, Report, run};

/// So many failures are enough.
const FAILURES: usize = 10;

/// Which seeds, from the first on: so many, or until the time is up.
#[derive(Clone, Copy, Debug)]
pub struct Many {
    /// The first seed.
    pub first: u64,
    /// How many at most.
    pub seeds: u64,
    /// For how long at most.
    pub lasting: Option<Duration>,
}

/// What came of them.
#[derive(Debug, Default)]
pub struct Found {
    /// The bug on purpose that they were run with.
    pub mutation: Option<Mutation>,
    /// How many seeds were run.
    pub seeds: u64,
    /// How long it took.
    pub took: Duration,
    /// Seeds in which an invariant did not hold, and what did not.
    pub failed: BTreeMap<u64, String>,
    /// What happened of all that can happen, and how often.
    pub covered: BTreeMap<&'static str, u64>,
}

impl Many {
    /// Runs them; `progress` hears about every second how many there were so far.
    pub fn run(self, mutation: Option<Mutation>, progress: impl Fn(u64, usize)) -> Found {
        let started = Instant::now();
        let next = AtomicU64::new(self.first);
        let found = Mutex::new(Found::default());
        thread::scope(|scope| {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            let workers: Vec<_> =
                (0..cores).map(|_| scope.spawn(|| self.work(&next, &found, mutation, started))).collect();
            while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
                thread::park_timeout(Duration::from_millis(if self.lasting.is_some() { 200 } else { 20 }));
                let found = found.lock();
                progress(found.seeds, found.failed.len());
            }
        });
        let mut found = found.into_inner();
        (found.took, found.mutation) = (started.elapsed(), mutation);
        found
    }

    fn work(&self, next: &AtomicU64, found: &Mutex<Found>, mutation: Option<Mutation>, started: Instant) {
        let is_over = || self.lasting.is_some_and(|lasting| started.elapsed() >= lasting);
        while !is_over() && found.lock().failed.len() < FAILURES {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed - self.first >= self.seeds {
                return;
            }
            let report = catch_unwind(|| run(seed, mutation, false))
                .unwrap_or_else(|_| Report { violation: Some("panicked".to_owned()), ..Report::default() });
            let mut found = found.lock();
            found.seeds += 1;
            for (what, count) in report.covered {
                *found.covered.entry(what).or_default() += count;
            }
            found.failed.extend(report.violation.map(|violation| (seed, violation)));
        }
    }
}

impl Found {
    /// Each failure and the command that replays it.
    pub fn failures(&self) -> String {
        let with = self.mutation.map_or(String::new(), |mutation| format!("WEIR_SIM_MUTATION={mutation:?} "));
        let replay = "cargo test -p weir-tests --test sim replay -- --exact --nocapture";
        let line = |(seed, violation): (&u64, &String)| {
            format!("seed {seed}: {violation}\n  {with}WEIR_SIM_SEED={seed} {replay}\n")
        };
        self.failed.iter().map(line).collect()
    }
}

/// A history as a table.
pub fn table(history: &[Line]) -> String {
    let who = history.iter().map(|line| line.who.len()).max().unwrap_or(0);
    let lines = history.iter().map(|line| format!("{:>8} ms  {:<who$}  {}\n", line.at_ms, line.who, line.what));
    lines.collect()
}
