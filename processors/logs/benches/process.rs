//! `process` over lines of about 300 bytes, one in ten with something to mask.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use weir_contract::{Batch, BatchBuilder, Budget, Limits, Outbox, Partition, Processor, TopicPartition};
use weir_logs::{Config, Instruments, LogsProcessor, Rulings, SharedTables};

const RECORDS: usize = 10;
const LINES: usize = 200;
/// What a line says that has something to mask, and what the others say.
const SAID: [&str; 2] = ["sent to eve@example.com", "sent to the next station"];

fn json(at: usize, said: &str) -> String {
    format!(
        r#"{{"level":"info","time":"2026-11-21T15:48:20.123Z","msg":"{said}","job":"work-events","rows":{at},"duration_ms":{},"station":"assembly-{}","layer":"business","operation":"update step","result":"accepted by the line controller","queue":"steps","attempt":1,"worker":{{"group":"day","shift":2}},"note":"{}"}}"#,
        at % 400,
        at % 20,
        "nothing of note ".repeat(2)
    )
}

fn syslog(at: usize, said: &str) -> String {
    format!(
        "<134>1 2026-11-21T15:48:20.123Z station-{}.example.com controller {} STEP [line@32473 shift=\"day\" layer=\"business\"] {said}, rows={at} duration_ms={} queue=steps result=accepted {}",
        at % 20,
        at % 30_000,
        at % 400,
        "by the controller of the line ".repeat(4)
    )
}

fn prose(at: usize, said: &str) -> String {
    format!("{said} and then on to number {at}, {}", "while the controller of the line went on ".repeat(6))
}

fn batch(line: fn(usize, &str) -> String) -> (Batch, usize) {
    let mut builder = BatchBuilder::new(TopicPartition::new("telemetry-logs", 0));
    let mut bytes = 0;
    for record in 0..RECORDS {
        let records = (0..LINES).map(|at| {
            let body = line(at, if at % 10 == 0 { SAID[0] } else { SAID[1] });
            bytes += body.len();
            let body = AnyValue { value: Some(any_value::Value::StringValue(body)) };
            LogRecord {
                time_unix_nano: 1_795_276_100_000_000_000,
                severity_number: 9,
                body: Some(body),
                ..LogRecord::default()
            }
        });
        let scope_logs = vec![ScopeLogs { log_records: records.collect(), ..ScopeLogs::default() }];
        let logs = ResourceLogs { scope_logs, ..ResourceLogs::default() };
        let value = ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec();
        builder.push(i64::try_from(record).unwrap_or_default(), Some(0), None, Some(&value), std::iter::empty());
    }
    (builder.build().unwrap(), bytes / RECORDS / LINES)
}

fn outbox<T>() -> Outbox<T> {
    let (entry, hold) = Partition::open(TopicPartition::new("telemetry-logs", 0), 0).admit(Some((0, 1)), 0);
    hold.release();
    Outbox::new(entry, Budget::new(1 << 30), 1, Limits::all(1 << 21))
}

fn process(c: &mut Criterion) {
    let mut group = c.benchmark_group("logs_process");
    group.throughput(Throughput::Elements((RECORDS * LINES) as u64));
    for (name, line) in [("json", json as fn(usize, &str) -> String), ("syslog", syslog), ("prose", prose)] {
        let (batch, bytes) = batch(line);
        let rulings = Rulings::new(&Config::default(), "weir-logs").unwrap();
        let mut processor = LogsProcessor::new(
            &rulings,
            &TopicPartition::new("telemetry-logs", 0),
            SharedTables::default(),
            Instruments::default(),
        );
        group.bench_function(format!("{name}_{bytes}B_1_hit_in_10"), |b| {
            b.iter_batched(
                outbox,
                |mut out| {
                    processor.process(&batch, &mut out);
                    out
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, process);
criterion_main!(benches);
