//! Paced load from the generator, for `weir up` and `weir generate`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir_generate::{Generator, Record, Signal, UnixNanos};

/// How often the pace is looked at.
const STEP: Duration = Duration::from_millis(20);

/// How much load, and for how long.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Items (data points, log lines, spans) a second, by signal.
    pub rates: BTreeMap<Signal, f64>,
    /// When it ends by itself.
    pub duration: Option<Duration>,
    /// After how many records of a signal that one ends.
    pub records: Option<u64>,
}

/// A signal's share of the load.
struct Stream {
    signal: Signal,
    /// Items a second.
    rate: f64,
    /// Items that are due.
    credit: f64,
    /// Records that are left, where they are counted.
    left: Option<u64>,
}

/// Items that were sent, good ones alone.
pub type Sent = BTreeMap<Signal, u64>;

/// The time, as the generator wants it.
pub fn now() -> UnixNanos {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}

/// Sends records at that pace until it is over or `stop` is set; a pace that cannot be held is not caught up with.
///
/// # Errors
/// What the generator or `send` says.
pub fn run(
    generator: &mut Generator,
    pace: &Pace,
    stop: &AtomicBool,
    mut send: impl FnMut(Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let over = || stop.load(Ordering::SeqCst) || pace.duration.is_some_and(|duration| started.elapsed() >= duration);
    let stream =
        |(signal, rate): (&Signal, &f64)| Stream { signal: *signal, rate: *rate, credit: 0.0, left: pace.records };
    let mut streams: Vec<_> = pace.rates.iter().map(stream).collect();
    let mut before = started;
    while !over() && !streams.is_empty() {
        let elapsed = before.elapsed().as_secs_f64().min(1.0);
        before = Instant::now();
        for Stream { signal, rate, credit, left } in &mut streams {
            *credit += *rate * elapsed;
            while *credit > 0.0 && *left != Some(0) && !over() {
                let record = generator.next(*signal, now())?;
                // A malformed record has no items, and must not come in endless numbers.
                *credit -= f64::from(record.items.max(1));
                *left = left.map(|left| left.saturating_sub(1));
                send(record)?;
            }
        }
        streams.retain(|stream| stream.left != Some(0));
        std::thread::sleep(STEP);
    }
    Ok(())
}
