//! `weir run metrics`, on a topic that is full already or is being filled.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weir_tests::http;
use weir_tests::stack::{Kafka, Listener, Process, folder, free_ports};
use weir_tests::wait::wait_until;

use super::load::Filled;
use super::receiver::Receiver;
use crate::process::{Cost, cpu, peak_bytes};

/// How long a run may take.
pub(crate) const ENDS: Duration = Duration::from_secs(300);

/// What a receiver has seen: its first and last request, and how many samples.
#[derive(Default)]
pub(crate) struct Seen {
    pub first: Option<Instant>,
    pub last: Option<Instant>,
    pub samples: u64,
}

impl Seen {
    /// A receiver that notes what it sees.
    pub fn receiver() -> (Arc<Mutex<Self>>, Receiver) {
        let seen = Arc::<Mutex<Self>>::default();
        let noted = Arc::clone(&seen);
        let receiver = Receiver::start(move |times| {
            let (now, mut seen) = (Instant::now(), noted.lock());
            seen.first.get_or_insert(now);
            seen.last = Some(now);
            seen.samples += times.len() as u64;
        });
        (seen, receiver)
    }

    /// From the first request to the last.
    pub fn wall(&self) -> Duration {
        self.last.unwrap() - self.first.unwrap()
    }
}

/// How a worker is started.
pub(crate) struct Start<'s> {
    pub kafka: &'s Kafka,
    pub topic: &'s str,
    pub protocol: &'s str,
    pub group: &'s str,
    pub weir: &'s Path,
}

/// A worker that runs.
pub(crate) struct Running {
    admin: String,
    process: Process,
}

impl Running {
    pub fn start(start: &Start<'_>, url: &str) -> Self {
        let Start { kafka, topic, protocol, group, weir } = start;
        let (folder, admin) = (folder("bench"), format!("127.0.0.1:{}", free_ports()));
        let topology = format!(
            "[kafka]\nbrokers = [\"{}\"]\n[process]\nadmin = \"{admin}\"\n[worker.metrics]\n\
             topics = [\"{topic}\"]\ngroup = \"{group}\"\n[worker.metrics.remote_write]\nurl = \"{url}\"\n\
             protocol = \"{protocol}\"\n",
            kafka.bootstrap(Listener::Plain)
        );
        fs::write(folder.join("topology.toml"), topology).unwrap();
        let process = Process::spawn("weir", &folder, Command::new(weir).args(["run", "metrics"]));
        Self { admin, process }
    }

    /// How many partitions it has, and how many records of them are committed.
    pub fn committed(&mut self) -> Result<(usize, i64), String> {
        assert!(self.process.is_running(), "weir ended");
        let status = http::get_json(&format!("http://{}/status", self.admin), &[])?;
        let partitions = status["metrics"]["partitions"].as_object().ok_or("no partitions")?;
        let committed = partitions.values().map(|partition| partition["committed"].as_i64().unwrap_or(0)).sum();
        Ok((partitions.len(), committed))
    }

    /// Ends it; what it has cost in processor time, and its peak memory in bytes.
    pub fn end(mut self) -> (Duration, u64) {
        let cost = (cpu(self.process.id()), peak_bytes(self.process.id()));
        assert!(self.process.terminate(ENDS).success(), "{}", self.process.stderr());
        cost
    }
}

/// Runs so many instances until everything is committed; the memory is that of the largest.
pub(crate) fn run(start: &Start<'_>, instances: usize, filled: &Filled) -> Cost {
    let (seen, receiver) = Seen::receiver();
    let mut running: Vec<_> = (0..instances).map(|_| Running::start(start, &receiver.url())).collect();
    wait_until(ENDS, "end of the lag", || {
        let mut committed = 0;
        for instance in &mut running {
            committed += instance.committed()?.1;
        }
        if committed >= i64::try_from(filled.records).unwrap() { Ok(()) } else { Err(format!("{committed} records")) }
    });
    let (mut cpu, mut peak_bytes) = (Duration::ZERO, 0);
    for instance in running {
        let (own, peak) = instance.end();
        (cpu, peak_bytes) = (cpu + own, peak_bytes.max(peak));
    }
    let seen = seen.lock();
    assert!(seen.samples >= filled.samples, "{} of {} samples", seen.samples, filled.samples);
    Cost { wall: seen.wall(), cpu, peak_bytes, arrived: seen.samples }
}
