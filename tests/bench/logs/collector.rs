//! The OpenTelemetry Collector on the same topic: what a record becomes is acknowledged before its offset is.

use weir_tests::stack::{Collector, Kafka, Listener};
use weir_tests::wait::wait_until;

use super::load::Filled;
use super::output::{Output, ends};
use super::worker::{ENDS, Ran};
use super::{Job, PARTITIONS};
use crate::process::{Cost, cpu, peak_bytes};

/// What its processors do where lines are parsed and masked: JSON becomes attributes, and three of what Weir looks for
/// is masked. Syslog stays as it is.
const PROCESSORS: &str = r#"
processors:
  transform:
    error_mode: ignore
    log_statements:
      - context: log
        statements:
          - merge_maps(log.attributes, ParseJSON(log.body), "upsert") where IsMatch(log.body, "^\\{")
  redaction:
    allow_all_keys: true
    summary: silent
    blocked_values:
      - '[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}'
      - '\b(?:[0-9]{4}[ -]?){3}[0-9]{4}\b'
      - '\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b'
"#;

/// Runs until every line has arrived.
pub(crate) fn run(kafka: &Kafka, topic: &str, job: Job, filled: &Filled) -> Ran {
    let output = kafka.topic("collected", PARTITIONS);
    let masks = job == Job::Mask;
    let (processors, names) = if masks { (PROCESSORS, "transform, redaction") } else { ("", "") };
    let brokers = kafka.bootstrap(Listener::Plain);
    // Fetching as much at once as Weir does. A queue would mark records before they are delivered; without one, the
    // partitions are exported side by side. Without keys records of all partitions share batches, which is cheapest.
    let config = format!(
        "receivers:\n  kafka:\n    brokers: [\"{brokers}\"]\n    group_id: {output}\n    initial_offset: earliest\n\
         \x20   logs: {{topics: [{topic}], encoding: otlp_proto}}\n    max_fetch_size: 4194304\n\
         \x20   message_marking: {{after: true, on_error: false}}\n\
         exporters:\n  kafka:\n    brokers: [\"{brokers}\"]\n    logs: {{topic: {output}, encoding: otlp_proto}}\n\
         \x20   sending_queue: {{enabled: false}}\n\
         \x20   producer: {{compression: snappy, required_acks: -1, allow_auto_topic_creation: false}}\n\
         {processors}\
         service:\n  pipelines:\n    logs: {{receivers: [kafka], processors: [{names}], exporters: [kafka]}}\n"
    );
    let mut collector = Collector::start(&config);
    // It writes a record for each that it reads.
    let records = i64::try_from(filled.records).unwrap();
    wait_until(ENDS, "the Collector's records", || {
        let written = ends(kafka, &output, PARTITIONS);
        if written >= records { Ok(()) } else { Err(format!("{written} of {records}")) }
    });
    let id = collector.process().id();
    let (cpu, peak_bytes) = (cpu(id), peak_bytes(id));
    drop(collector);
    let output = Output::read(kafka, &output);
    output.check(filled.lines, masks);
    Ran { cost: Cost { wall: output.wall(), cpu, peak_bytes, arrived: output.lines }, bytes: output.bytes }
}
