use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use weir_config::Document;
use weir_contract::{Batch, BatchBuilder, Budget, Limits, Outbox, Partition, Processor, TopicPartition};
use weir_logs::{LogsProcessor, Rulings};

use super::*;

/// Rows of a table: reading it takes many times as long as a batch.
const ROWS: usize = 50_000;
/// Lines of a batch.
const LINES: usize = 200;

/// A worker's tables over one file, and what it counts and logs.
struct Rig {
    file: PathBuf,
    config: Config,
    registry: Registry,
    instruments: Instruments,
    tables: SharedTables,
    watched: Watched,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hosts.csv");
        fs::write(&file, table(1)).unwrap();
        let text =
            format!("[measure]\nready_made = false\n[[lookup]]\nfile = \"{}\"\nkey = \"host\"\n", file.display());
        let (config, report) =
            Document::parse("t.toml", &text).unwrap().read::<Config>(&|_| Err(io::ErrorKind::Unsupported.into()));
        report.finish().unwrap();
        let mut registry = Registry::default();
        let instruments = Instruments::new(&mut registry);
        let (tables, source) = (SharedTables::default(), Source::all(&config).remove(0));
        tables.put(0, read(&source).unwrap());
        let stamp = stamp(&source).ok();
        let watched = Watched { place: 0, source, read: stamp, seen: stamp };
        Self { file, config, registry, instruments, tables, watched, _folder: folder }
    }

    fn processor(&self) -> LogsProcessor {
        let rulings = Rulings::new(&self.config, "weir-logs").unwrap();
        let id = TopicPartition::new("telemetry-logs", 0);
        LogsProcessor::new(&rulings, &id, self.tables.clone(), self.instruments.clone())
    }

    fn look(&mut self) {
        self.watched.look("logs", &self.tables, &self.instruments);
    }

    /// Files that were read again, and those that could not be used.
    fn reloads(&self) -> [bool; 2] {
        let mut shown = String::new();
        prometheus_client::encoding::text::encode(&mut shown, &self.registry).unwrap();
        ["read", "failed"].map(|outcome| shown.contains(&format!("table_reloads_total{{outcome=\"{outcome}\"}}")))
    }
}

/// A table in which every row says its generation twice.
fn table(generation: usize) -> String {
    let rows = (0..ROWS).map(|row| format!("h{row},<gen-{generation}>,<gen-{generation}>\n"));
    std::iter::once("host,left,right\n".to_owned()).chain(rows).collect()
}

/// Puts a file in the place of another one, as whoever writes tables is to do.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}

fn batch() -> Batch {
    let line = |at: usize| format!(r#"{{"body":{{"stringValue":"host=h{} n={at}"}}}}"#, at * (ROWS / LINES));
    let lines: Vec<_> = (0..LINES).map(line).collect();
    let value = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, lines.join(","));
    let mut builder = BatchBuilder::new(TopicPartition::new("telemetry-logs", 0));
    builder.push(0, Some(0), None, Some(value.as_bytes()), std::iter::empty());
    builder.build().unwrap()
}

/// What the lines of a batch were told, in order.
fn generations(processor: &mut LogsProcessor, batch: &Batch) -> Vec<usize> {
    let (entry, hold) = Partition::open(TopicPartition::new("telemetry-logs", 0), 0).admit(Some((0, 1)), 0);
    hold.release();
    let mut out = Outbox::new(entry, Budget::new(1 << 30), 1, Limits::all(1 << 21));
    processor.process(batch, &mut out);
    let outputs = out.finish().carried.outputs;
    let text = String::from_utf8_lossy(outputs[0].value.as_deref().unwrap()).into_owned();
    text.split("<gen-").skip(1).map(|rest| rest.split_once('>').unwrap().0.parse().unwrap()).collect()
}

/// Scenario: lines are enriched without a pause while the file is replaced again and again, now and then by a broken one.
/// Guards: each batch sees one table, whole; tables come in order, and the newest one that is good counts in the end; no
/// batch waits for a file to be read.
#[test]
fn tables_are_read_again_under_load_whole_and_without_a_pause() {
    const LAST: usize = 12;
    let mut rig = Rig::new();
    let (mut processor, batch) = (rig.processor(), batch());
    let (stop, newest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(1)));
    let (stopped, told) = (Arc::clone(&stop), Arc::clone(&newest));
    let load = thread::spawn(move || {
        let (mut batches, mut times) = (0, Vec::new());
        while !stopped.load(Ordering::SeqCst) {
            let begun = Instant::now();
            let seen = generations(&mut processor, &batch);
            times.push(begun.elapsed());
            assert_eq!(seen.len(), 2 * LINES, "a row is missing");
            assert!(seen.iter().all(|one| *one == seen[0]), "two tables in one batch");
            assert!(seen[0] >= told.load(Ordering::SeqCst), "an older table after a newer one");
            told.store(seen[0], Ordering::SeqCst);
            batches += 1;
        }
        times.sort_unstable();
        (batches, times)
    });
    let mut reading = Duration::ZERO;
    for generation in 2..=LAST {
        if generation % 4 == 0 {
            replace(&rig.file, "host,left,right\nh0,<gen-0>\n");
        } else {
            replace(&rig.file, &table(generation));
        }
        rig.look();
        let begun = Instant::now();
        rig.look();
        reading = reading.max(begun.elapsed());
        let want = if generation % 4 == 0 { generation - 1 } else { generation };
        while newest.load(Ordering::SeqCst) != want && !load.is_finished() {
            thread::yield_now();
        }
    }
    stop.store(true, Ordering::SeqCst);
    let (batches, times) = load.join().unwrap();
    assert!(batches > LAST, "{batches} batches");
    // Half of the batches at least are not near any reading; a machine that is busy may hold up single ones.
    let usual = times[times.len() / 2];
    assert!(usual < reading, "a batch usually took {usual:?}, as long as a file: {reading:?}");
    assert_eq!(rig.reloads(), [true, true]);
}

#[test]
fn a_file_that_is_still_being_written_is_not_read() {
    let mut rig = Rig::new();
    let (mut processor, batch) = (rig.processor(), batch());
    let whole = table(2);
    let (front, rest) = whole.split_at(whole.find("h30000,").unwrap());
    let mut file = fs::File::create(&rig.file).unwrap();
    file.write_all(front.as_bytes()).unwrap();
    rig.look();
    assert_eq!(generations(&mut processor, &batch)[0], 1, "the half is a table, too, but not read yet");
    file.write_all(rest.as_bytes()).unwrap();
    rig.look();
    assert_eq!(generations(&mut processor, &batch)[0], 1);
    rig.look();
    let seen = generations(&mut processor, &batch);
    assert!(seen.len() == 2 * LINES && seen.iter().all(|one| *one == 2), "{seen:?}");
    assert_eq!(rig.reloads(), [true, false]);
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_file_keeps_the_table_before_it_and_is_told_once_as_an_error() {
    let mut rig = Rig::new();
    let (mut processor, batch) = (rig.processor(), batch());
    let said = Said::default();
    let writer = said.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(log, || {
        replace(&rig.file, "host,left,right\nh0,hunter2\n");
        (0..5).for_each(|_| rig.look());
    });
    assert!(generations(&mut processor, &batch).iter().all(|one| *one == 1));
    assert_eq!(rig.reloads(), [false, true]);
    let said = String::from_utf8(said.0.lock().clone()).unwrap();
    assert_eq!(said.matches("ERROR").count(), 1, "{said}");
    assert!(said.contains("the one before stays") && said.contains("hosts.csv") && said.contains("line 2"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    // Away for a moment is not broken; and a good one counts again.
    fs::remove_file(&rig.file).unwrap();
    rig.look();
    replace(&rig.file, &table(3));
    (0..2).for_each(|_| rig.look());
    assert!(generations(&mut processor, &batch).iter().all(|one| *one == 3));
}
