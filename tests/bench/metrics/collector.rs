//! The OpenTelemetry Collector on the same topic: what a record becomes is acknowledged before its offset is.

use weir_tests::stack::{Collector, Kafka, Listener};
use weir_tests::wait::wait_until;

use super::load::Filled;
use super::outside::{Outside, To};
use super::worker::ENDS;
use crate::process::{Cost, cpu, peak_bytes};

/// Runs until every sample has arrived.
pub(crate) fn run(kafka: &Kafka, topic: &str, filled: &Filled, to: To) -> Cost {
    let outside = Outside::start(to);
    let brokers = kafka.bootstrap(Listener::Plain);
    // Fetching as much at once as Weir does. A queue would mark records before they are delivered; without one, the
    // partitions are exported side by side. It sends 1.0: 2.0 is in development there.
    let config = format!(
        "receivers:\n  kafka:\n    brokers: [\"{brokers}\"]\n    group_id: {topic}-collector\n\
         \x20   initial_offset: earliest\n    metrics: {{topics: [{topic}], encoding: otlp_proto}}\n\
         \x20   max_fetch_size: 4194304\n    message_marking: {{after: true, on_error: false}}\n\
         exporters:\n  prometheusremotewrite:\n    endpoint: {}\n    tls: {{insecure: true}}\n\
         \x20   remote_write_queue: {{enabled: false}}\n\
         service:\n  pipelines:\n    metrics: {{receivers: [kafka], exporters: [prometheusremotewrite]}}\n",
        outside.url()
    );
    let mut collector = Collector::start(&config);
    wait_until(ENDS, "the Collector's samples", || {
        let samples = outside.arrived();
        if samples >= filled.samples { Ok(()) } else { Err(format!("{samples} of {}", filled.samples)) }
    });
    let id = collector.process().id();
    Cost { wall: outside.wall(), cpu: cpu(id), peak_bytes: peak_bytes(id), arrived: outside.arrived() }
}
