//! Faults put into `weir up` on purpose: its verdict shows each of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use weir_contract::{
    Batch, BatchBuilder, Budget, Item, Limits, Memory, Outbox, Partition, Processor, Sink, StateError, Timestamp,
    TopicPartition,
};
use weir_fleet::load::Pace;
use weir_fleet::registry::Metrics;
use weir_fleet::topology::Topology;
use weir_fleet::up::{self, Options, Summary};
use weir_generate::{Config, Signal};
use weir_metrics::{DeliverError, MetricsProcessor, RemoteWriteSink, Sample};
use weir_runtime::Worker;

/// The metrics worker with another processor.
struct Faulty<P>(Metrics, fn(MetricsProcessor) -> P);

impl<P: Processor<Out = Sample>> Worker for Faulty<P> {
    type Processor = P;
    type Sink = RemoteWriteSink;

    fn processor(&self, partition: &TopicPartition) -> P {
        (self.1)(self.0.processor(partition))
    }

    fn sink(&self, outlet: usize) -> RemoteWriteSink {
        self.0.sink(outlet)
    }
}

/// Runs `weir up` for three seconds with that worker.
#[track_caller]
fn up_as<W: Worker>(wrap: impl Fn(Metrics) -> W) -> Summary {
    let options = Options {
        load: Config { series: 500, ..Config::default() },
        pace: Pace {
            rates: BTreeMap::from([(Signal::Metrics, 2000.0)]),
            duration: Some(Duration::from_secs(3)),
            records: None,
        },
        prometheus: None,
        admin: Some(([127, 0, 0, 1], 0).into()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (_asked, stop) = watch::channel(false);
    let summary = runtime.block_on(up::run(Topology::default(), &options, wrap, stop)).unwrap();
    assert!(summary.produced["metrics"] > 1000, "{summary:?}");
    summary
}

/// The same, with that processor.
#[track_caller]
fn up_with<P: Processor<Out = Sample>>(processor: fn(MetricsProcessor) -> P) -> Summary {
    up_as(|metrics| Faulty(metrics, processor))
}

/// What was judged: missing, of two values, never made.
fn verdict(summary: &Summary) -> [u64; 3] {
    [&summary.missing, &summary.duplicated, &summary.unknown].map(|counts| counts["metrics"])
}

#[test]
fn without_a_fault_all_is_right() {
    let summary = up_with(|processor| processor);
    assert_eq!(verdict(&summary), [0; 3]);
    assert!(summary.is_right());
}

/// Leaves out the first record of its partition.
struct Drops {
    inner: MetricsProcessor,
    dropped: bool,
}

impl Processor for Drops {
    type Out = Sample;

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.inner.restore(key, value)
    }

    fn process(&mut self, batch: &Batch, out: &mut Outbox<Sample>) {
        let mut rest = BatchBuilder::new(batch.origin().clone());
        for record in batch.records().skip(usize::from(!self.dropped)) {
            rest.push(record.offset, record.timestamp_ms, record.key, record.value, record.headers.iter());
        }
        self.dropped = true;
        if let Some(rest) = rest.build() {
            self.inner.process(&rest, out);
        }
    }

    fn tick(&mut self, now: Timestamp, memory: Memory, out: &mut Outbox<Sample>) {
        self.inner.tick(now, memory, out);
    }
}

#[test]
fn a_processor_that_drops_a_record_is_seen() {
    let summary = up_with(|inner| Drops { inner, dropped: false });
    let [missing, duplicated, unknown] = verdict(&summary);
    assert!(missing > 0 && (duplicated, unknown) == (0, 0), "{summary:?}");
    assert_eq!(summary.delivered["metrics"] + missing, summary.produced["metrics"]);
    assert!(!summary.is_right());
}

/// Acknowledges a request before it is delivered: that is done when the next one comes. What it holds is gone when the
/// worker starts again.
struct AcknowledgesEarly {
    /// Two, of which one holds what is not delivered yet.
    sinks: [RemoteWriteSink; 2],
    held: bool,
    starts: Arc<AtomicU32>,
    seen: u32,
}

impl Sink for AcknowledgesEarly {
    type Out = Sample;
    type Error = DeliverError;

    fn pack(&mut self, items: &[Item<Sample>]) -> usize {
        self.sinks.rotate_left(1);
        self.sinks[0].pack(items)
    }

    async fn deliver(&mut self) -> Result<(), DeliverError> {
        let [_, held] = &mut self.sinks;
        let starts = self.starts.load(Ordering::SeqCst);
        let gone = std::mem::replace(&mut self.seen, starts) != starts;
        if std::mem::replace(&mut self.held, true) && !gone { held.deliver().await } else { Ok(()) }
    }
}

/// Dies once, on no record, which starts its partition again from what is committed.
struct DiesOnce {
    inner: MetricsProcessor,
    batches: u32,
    starts: Arc<AtomicU32>,
}

impl Processor for DiesOnce {
    type Out = Sample;

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.inner.restore(key, value)
    }

    fn process(&mut self, batch: &Batch, out: &mut Outbox<Sample>) {
        self.batches += 1;
        self.inner.process(batch, out);
    }

    fn tick(&mut self, now: Timestamp, memory: Memory, out: &mut Outbox<Sample>) {
        let once = || self.starts.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        assert!(self.batches == 0 || !once(), "dies on purpose");
        self.inner.tick(now, memory, out);
    }
}

struct Early(Metrics, Arc<AtomicU32>);

impl Worker for Early {
    type Processor = DiesOnce;
    type Sink = AcknowledgesEarly;

    fn processor(&self, partition: &TopicPartition) -> DiesOnce {
        DiesOnce { inner: self.0.processor(partition), batches: 0, starts: Arc::clone(&self.1) }
    }

    fn sink(&self, outlet: usize) -> AcknowledgesEarly {
        let sinks = [self.0.sink(outlet), self.0.sink(outlet)];
        AcknowledgesEarly { sinks, held: false, starts: Arc::clone(&self.1), seen: 0 }
    }
}

/// Scenario: offsets are committed before the outside has what they stand for, and the worker starts again meanwhile,
/// then goes on to its end.
/// Guards: what was committed early and lost is missing.
#[test]
fn an_offset_that_is_committed_early_before_a_restart_is_seen() {
    let starts = Arc::new(AtomicU32::new(0));
    let summary = up_as(|metrics| Early(metrics, Arc::clone(&starts)));
    assert_eq!(starts.load(Ordering::SeqCst), 1, "it has started again");
    let [missing, duplicated, unknown] = verdict(&summary);
    assert!(missing > 0 && (duplicated, unknown) == (0, 0), "{summary:?}");
    assert!(!summary.is_right());
}

/// Makes something else of what the processor made.
struct Alters {
    inner: MetricsProcessor,
    alter: fn(Sample) -> Vec<Sample>,
}

impl Processor for Alters {
    type Out = Sample;

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.inner.restore(key, value)
    }

    fn process(&mut self, batch: &Batch, out: &mut Outbox<Sample>) {
        let (entry, processing) = Partition::open(batch.origin().clone(), 0).admit(Some((0, 1)), 0);
        processing.release();
        let mut made = Outbox::new(entry, Budget::new(0), 1, Limits::all(0));
        self.inner.process(batch, &mut made);
        for Item { offset, value } in made.finish().shards.into_iter().flatten() {
            for value in (self.alter)(value) {
                out.emit(offset, value.series().form(0).unwrap().hash(), value, 100);
            }
        }
    }

    fn tick(&mut self, now: Timestamp, memory: Memory, out: &mut Outbox<Sample>) {
        self.inner.tick(now, memory, out);
    }
}

fn wrong(sample: &Sample) -> Sample {
    let mut wrong = sample.clone();
    match &mut wrong {
        Sample::Plain { point, .. } => point.value += 0.5,
        Sample::Rich(_) => panic!("the generator makes plain samples"),
    }
    wrong
}

#[test]
fn a_processor_that_alters_values_is_seen() {
    let summary = up_with(|inner| Alters { inner, alter: |sample| vec![wrong(&sample)] });
    let [missing, duplicated, unknown] = verdict(&summary);
    assert_eq!((missing, unknown), (summary.produced["metrics"], 0), "{summary:?}");
    assert!(duplicated >= missing, "{summary:?}");
}

#[test]
fn two_values_for_one_sample_are_seen() {
    let summary = up_with(|inner| Alters { inner, alter: |sample| vec![wrong(&sample), sample] });
    let [missing, duplicated, unknown] = verdict(&summary);
    assert_eq!((missing, unknown), (0, 0), "{summary:?}");
    assert!(duplicated >= summary.produced["metrics"], "{summary:?}");
    assert!(!summary.is_right());
}
