//! How long points take from produced to acknowledged, while they come at a steady rate.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use weir_tests::stack::Kafka;
use weir_tests::wait::wait_until;

use super::load;
use super::outside::To;
use super::receiver::Receiver;
use super::worker::{ENDS, Running, Start};

/// How long points come before they count: every series is made by then.
const WARM: Duration = Duration::from_secs(5);
/// How long they count.
const COUNTS: Duration = Duration::from_secs(20);

/// Prints what is usual, and what nearly all and all of them stay below.
pub(crate) fn run(kafka: &Kafka, weir: &Path, rate: u64, series: usize) {
    let topic = kafka.topic("latency", 12);
    let took = Arc::<Mutex<Vec<i64>>>::default();
    let noted = Arc::clone(&took);
    let receiver = Receiver::start(move |times| {
        let now = now_ms();
        noted.lock().extend(times.iter().map(|time| now - time));
    });
    let mut running = Running::start(
        &Start { kafka, topic: &topic, protocol: "2.0", group: &topic, weir, to: To::Receiver },
        &receiver.url(),
    );
    wait_until(ENDS, "12 partitions", || match running.committed()? {
        (12, _) => Ok(()),
        (partitions, _) => Err(format!("{partitions} partitions")),
    });
    load::pour(kafka, &topic, rate, series, WARM);
    took.lock().clear();
    load::pour(kafka, &topic, rate, series, COUNTS);
    let wanted = usize::try_from(rate * COUNTS.as_secs()).unwrap() * 99 / 100;
    wait_until(ENDS, "the last points", || {
        let arrived = took.lock().len();
        if arrived >= wanted { Ok(()) } else { Err(format!("{arrived} points")) }
    });
    running.end();
    let mut took = took.lock();
    took.sort_unstable();
    let at = |thousandths: usize| took[(took.len() - 1) * thousandths / 1000];
    println!(
        "{rate} points/s in records of 500: p50 {} ms, p99 {} ms, p99.9 {} ms, at most {} ms, of {} samples",
        at(500),
        at(990),
        at(999),
        at(1000),
        took.len()
    );
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}
