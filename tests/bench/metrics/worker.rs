//! `weir run metrics`, on a topic that is full already or is being filled.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use weir_tests::http;
use weir_tests::stack::{Kafka, Listener, Process, folder, free_ports};
use weir_tests::wait::wait_until;

use super::load::Filled;
use super::outside::{Outside, To};
use crate::process::{Cost, cpu, peak_bytes};

/// How long a run may take.
pub(crate) const ENDS: Duration = Duration::from_secs(300);

/// How a worker is started.
pub(crate) struct Start<'s> {
    pub kafka: &'s Kafka,
    pub topic: &'s str,
    pub protocol: &'s str,
    pub group: &'s str,
    pub weir: &'s Path,
    pub to: To,
}

/// A worker that runs.
pub(crate) struct Running {
    admin: String,
    process: Process,
}

impl Running {
    pub fn start(start: &Start<'_>, url: &str) -> Self {
        let Start { kafka, topic, protocol, group, weir, .. } = start;
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
    let outside = Outside::start(start.to);
    let mut running: Vec<_> = (0..instances).map(|_| Running::start(start, &outside.url())).collect();
    wait_until(ENDS, "end of the lag", || {
        let mut committed = 0;
        for instance in &mut running {
            committed += instance.committed()?.1;
        }
        outside.arrived();
        if committed >= i64::try_from(filled.records).unwrap() { Ok(()) } else { Err(format!("{committed} records")) }
    });
    let wall = outside.wall();
    let (mut cpu, mut peak_bytes) = (Duration::ZERO, 0);
    for instance in running {
        let (own, peak) = instance.end();
        (cpu, peak_bytes) = (cpu + own, peak_bytes.max(peak));
    }
    let arrived = outside.arrived();
    assert!(arrived >= filled.samples, "{arrived} of {} samples", filled.samples);
    Cost { wall, cpu, peak_bytes, arrived }
}
