//! Reads what the logs workers write, and judges every line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use weir_contract::TopicPartition;
use weir_kafka::real::Admin;
use weir_otlp::{AnyValue, LogsRequest};

use super::receiver::Judge;
use crate::connection;
use crate::topology::Topology;

/// How often the topics are looked at: well before the embedded Kafka drops what it keeps of a partition.
const LOOK: Duration = Duration::from_millis(50);

/// A thread that reads.
pub(super) struct Lines {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Lines {
    /// Begins to read the output topics of all workers.
    pub(super) fn judge(topology: &Topology, judge: Judge) -> anyhow::Result<Self> {
        let mut read = Vec::new();
        for topic in topology.workers.values().filter_map(|worker| worker.kind.output()) {
            let partitions = topology.topics.get(topic).map_or(0, |topic| topic.partitions);
            read.extend((0..i32::try_from(partitions)?).map(|partition| (TopicPartition::new(topic, partition), 0)));
        }
        let admin = Admin::open(&connection::brokers(topology, true), "weir-up-lines")?;
        let enough = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&enough);
        let run = move || loop {
            // Asked before the last look, so that this one sees everything.
            let last = asked.load(Ordering::SeqCst);
            for (id, next) in &mut read {
                look(&admin, id, next, &judge)?;
            }
            if last {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        };
        let thread = std::thread::Builder::new().name("lines".into()).spawn(run);
        Ok(Self { enough, thread: thread.context("could not start a thread for the lines")? })
    }

    /// Reads the rest.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.enough.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread that reads lines died"))?
    }
}

/// Judges what has come since `next`.
fn look(admin: &Admin, id: &TopicPartition, next: &mut i64, judge: &Judge) -> anyhow::Result<()> {
    let mut broken = Ok(());
    admin.scan(id, *next, &mut |record| {
        *next = record.offset + 1;
        broken = record.value.map_or(Ok(()), |value| lines(value, judge));
        broken.is_ok()
    })?;
    broken.with_context(|| format!("{id} has what is no OTLP"))
}

fn lines(value: &[u8], judge: &Judge) -> Result<(), weir_otlp::Error> {
    for logs in LogsRequest::new(value).resource_logs() {
        for logs in logs?.scope_logs() {
            for record in logs?.log_records() {
                for attribute in record?.attributes {
                    if let ("log.record.uid", AnyValue::String(uid)) = attribute? {
                        judge.line(uid);
                    }
                }
            }
        }
    }
    Ok(())
}
