//! Where samples go: to something that answers at once, or to a Prometheus.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weir_tests::http;
use weir_tests::stack::{Prometheus, PrometheusOptions};

use super::receiver::Receiver;

/// Who takes the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// A receiver that answers at once, and counts.
    Receiver,
    /// A Prometheus with nothing in it.
    Prometheus,
}

/// One that runs until it is dropped.
pub(crate) enum Outside {
    Receiver(Receiver, Arc<Mutex<Seen>>),
    Prometheus(Prometheus, Mutex<Option<Instant>>),
}

/// What a receiver has seen: its first and last request, and how many samples.
#[derive(Default)]
pub(crate) struct Seen {
    first: Option<Instant>,
    last: Option<Instant>,
    samples: u64,
}

/// What a Prometheus tells about the numbers it has taken.
const APPENDED: &str = "prometheus_tsdb_head_samples_appended_total{type=\"float\"} ";

impl Outside {
    pub fn start(to: To) -> Self {
        if to == To::Prometheus {
            return Self::Prometheus(Prometheus::start(PrometheusOptions::default()), Mutex::default());
        }
        let seen = Arc::<Mutex<Seen>>::default();
        let noted = Arc::clone(&seen);
        let receiver = Receiver::start(move |times| {
            let (now, mut seen) = (Instant::now(), noted.lock());
            seen.first.get_or_insert(now);
            seen.last = Some(now);
            seen.samples += times.len() as u64;
        });
        Self::Receiver(receiver, seen)
    }

    /// Where it is written to.
    pub fn url(&self) -> String {
        match self {
            Self::Receiver(receiver, _) => receiver.url(),
            Self::Prometheus(prometheus, _) => prometheus.url("/api/v1/write"),
        }
    }

    /// How many samples have arrived. It is asked again and again while they do.
    pub fn arrived(&self) -> u64 {
        match self {
            Self::Receiver(_, seen) => seen.lock().samples,
            Self::Prometheus(prometheus, first) => {
                let metrics = http::get(&prometheus.url("/metrics"), &[]).unwrap();
                // It is not told before there is anything.
                let appended = metrics.lines().find_map(|line| line.strip_prefix(APPENDED)).unwrap_or("0");
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it counts, from 0 on")]
                let samples = appended.parse::<f64>().unwrap() as u64;
                if samples > 0 {
                    first.lock().get_or_insert_with(Instant::now);
                }
                samples
            }
        }
    }

    /// From the first samples to the last, of a Prometheus to now.
    pub fn wall(&self) -> Duration {
        match self {
            Self::Receiver(_, seen) => {
                let seen = seen.lock();
                seen.last.unwrap() - seen.first.unwrap()
            }
            Self::Prometheus(_, first) => first.lock().unwrap().elapsed(),
        }
    }
}
