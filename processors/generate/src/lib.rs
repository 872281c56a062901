//! Deterministic OTLP load that speaks of one system: video-based work analysis in factories.
//!
//! In: a [`Config`], the time of each call. Out: [`Record`]s for Kafka, and [`Made`], which knows every
//! item of them and judges what arrived at the other end. Pure: no IO, no clock. The same configuration
//! and the same calls give the same bytes.
//!
//! Workers wear a headset whose camera and microphone follow what they do (wearable devices); video is
//! streamed and recorded (delivery); sessions and events are kept (business); jobs load them and build
//! reports (data management); a portal shows the analysis (analytics). Each layer has its metrics; a
//! trace crosses all of them; log lines of an instance carry the IDs of traces that it took part in.
//!
//! | layer | `job` | metric | type | unit | in Prometheus | attributes | incident: threshold |
//! |---|---|---|---|---|---|---|---|
//! | wearable | wearable/headset | `device.battery` | gauge | `%` | `device_battery_percent` | | battery: <= 20 |
//! | | | `device.connection.up` | gauge | | `device_connection_up` | | connection: 0 for 3 min |
//! | | | `device.delivery.delay` | gauge | `s` | `device_delivery_delay_seconds` | | connection: > 5 |
//! | | | `device.speech.accuracy` | gauge | `1` | `device_speech_accuracy_ratio` | | |
//! | | | `device.utterances` | counter | `{utterance}` | `device_utterances_total` | `speech.language` | |
//! | delivery | delivery/stream-gateway | `stream.delay` | gauge | `s` | `stream_delay_seconds` | | stream-delay: > 1 for 60 s |
//! | | | `stream.active` | up-down | `{stream}` | `stream_active` | | |
//! | | | `stream.sent` | counter | `By` | `stream_sent_bytes_total` | | |
//! | | delivery/recorder | `recordings` | counter | `{recording}` | `recordings_total` | `outcome` | recording: failed > 5 % |
//! | | | `storage.use` | gauge | `1` | `storage_use_ratio` | `storage.volume` | storage: > 0.8 |
//! | business | business/session-api | `api.request.duration` | histogram | `s` | `api_request_duration_seconds` | `http.request.method`, `http.route` | api: p95 > 3 |
//! | | | `db.pool.use` | gauge | `1` | `db_pool_use_ratio` | `db.pool.name` | db-pool: > 0.9 |
//! | | | `process.cpu.utilization` | gauge | `1` | `process_cpu_utilization_ratio` | | cpu: > 0.9 |
//! | | business/event-bus | `event.delay` | gauge | `s` | `event_delay_seconds` | | event-delay: > 300 |
//! | | | `events.handled` | counter | `{event}` | `events_handled_total` | `event.kind` | |
//! | data | data/etl | `etl.jobs` | counter | `{job}` | `etl_jobs_total` | `outcome` | etl: any failed |
//! | | | `etl.queue.length` | up-down | `{job}` | `etl_queue_length` | | |
//! | | | `data.consistency` | gauge | `1` | `data_consistency_ratio` | | etl: < 0.96 |
//! | | data/report-builder | `report.duration` | gauge | `s` | `report_duration_seconds` | | |
//! | | | `report.delay` | gauge | `s` | `report_delay_seconds` | `report.kind` | report: > 86,400 |
//! | analytics | analytics/portal | `page.load.duration` | histogram | `s` | `page_load_duration_seconds` | `page` | page: p95 > 10 |
//! | | | `sessions.active` | up-down | `{session}` | `sessions_active` | | sessions: > 100 |
//! | | | `process.cpu.utilization` | gauge | `1` | `process_cpu_utilization_ratio` | | cpu: > 0.9 |
//!
//! Counters, up-down sums and histograms are cumulative. The Prometheus form is that of
//! `UnderscoreEscapingWithSuffixes` without promoted resource attributes: `job` is
//! `service.namespace/service.name`, `instance` is `service.instance.id`, and histograms are classic
//! (`_bucket` with `le`, `_sum`, `_count`). Every value is exact as a double, and a pure function of seed,
//! series and timestamp; timestamps are whole milliseconds and strictly increase within a series.

mod catalog;
mod config;
mod encode;
mod generator;
mod incident;
mod logs;
mod made;
mod malformed;
mod metrics;
mod mix;
mod resource;
mod traces;
mod world;

#[cfg(test)]
mod tests;

pub use config::{Compression, Config, Encoding, Error};
pub use generator::{Generator, Record, Signal, UnixNanos};
pub use incident::{Incident, Occurrence, UnknownIncident};
pub use made::{Counts, Made, Truth, Verdict};
pub use malformed::Malformation;

/// The `job` label of every service.
pub fn jobs() -> impl Iterator<Item = String> {
    catalog::SERVICES.iter().map(|service| format!("{}/{}", service.namespace, service.name))
}
