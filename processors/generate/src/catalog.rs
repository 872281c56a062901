//! The system: its layers, services, and what each of them measures.
//!
//! Prometheus names and labels stand here in full, written by hand, so that what is expected of a
//! translation does not depend on any code that translates.

use crate::incident::Incident;

/// Part of the system, in the direction of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Layer {
    Wearable,
    Delivery,
    Business,
    Data,
    Analytics,
}

/// A program of which many instances run.
pub(crate) struct Service {
    pub layer: Layer,
    pub namespace: &'static str,
    pub name: &'static str,
    pub metrics: &'static [Metric],
}

/// One metric of a service.
pub(crate) struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub description: &'static str,
    /// Name in Prometheus; of a histogram, without `_bucket`, `_sum` and `_count`.
    pub prometheus: &'static str,
    pub incident: Option<Incident>,
    pub data: Data,
}

/// A metric's type, and its series with their behaviour.
pub(crate) enum Data {
    Gauge(&'static [Row<Range>]),
    /// A sum that is not monotonic; integers.
    UpDown(&'static [Row<Range>]),
    /// A monotonic sum; integers. Behaviour: counts a minute.
    Counter(&'static [Row<i64>]),
    /// Behaviour: counts a minute in each bucket.
    Histogram(&'static Buckets, &'static [Row<&'static [i64]>]),
}

/// One OTLP series of a metric: how it behaves, and what an incident makes of it.
///
/// A gauge is replaced by `bad` while an incident lasts; to a counter it is added.
pub(crate) struct Row<M: 'static> {
    pub attributes: &'static [Attribute],
    pub normal: M,
    pub bad: M,
}

/// A data point attribute: OTLP key, Prometheus label, value.
pub(crate) type Attribute = (&'static str, &'static str, &'static str);

/// Lowest and highest value, in 1/1024: exact in binary.
#[derive(Clone, Copy)]
pub(crate) struct Range(pub i64, pub i64);

/// Explicit buckets: upper bounds with their `le` label, and what one observation in each bucket
/// (one more than bounds) adds to the sum, in 1/1024.
pub(crate) struct Buckets {
    pub bounds: &'static [(f64, &'static str)],
    pub middles: &'static [i64],
}

/// From `low` to `high` in units of `1/parts`.
const fn range(low: i64, high: i64, parts: i64) -> Range {
    Range(low * 1024 / parts, high * 1024 / parts)
}

const fn level(normal: Range, bad: Range) -> Row<Range> {
    Row { attributes: &[], normal, bad }
}

/// What a request of the business services may take; 3 s is its threshold.
static API: Buckets = Buckets {
    bounds: &[(0.05, "0.05"), (0.1, "0.1"), (0.25, "0.25"), (0.5, "0.5"), (1.0, "1"), (3.0, "3"), (10.0, "10")],
    middles: &[26, 77, 180, 384, 768, 2048, 6144, 15360],
};
const API_NORMAL: &[i64] = &[60, 120, 80, 30, 8, 2, 0, 0];
const API_BAD: &[i64] = &[0, 0, 0, 0, 60, 100, 1800, 40];

/// What a page may take; 10 s is its threshold.
static PAGE: Buckets = Buckets {
    bounds: &[(0.5, "0.5"), (1.0, "1"), (2.0, "2"), (5.0, "5"), (10.0, "10"), (30.0, "30")],
    middles: &[256, 768, 1536, 3584, 7168, 18432, 40960],
};
const PAGE_NORMAL: &[i64] = &[60, 40, 20, 6, 0, 0, 0];
const PAGE_BAD: &[i64] = &[0, 0, 0, 10, 40, 600, 20];

const CPU: Metric = Metric {
    name: "process.cpu.utilization",
    unit: "1",
    description: "Share of the processor time that the process uses.",
    prometheus: "process_cpu_utilization_ratio",
    incident: Some(Incident::Cpu),
    data: Data::Gauge(&[level(range(20, 60, 100), range(92, 99, 100))]),
};

/// Indexes into [`SERVICES`].
pub(crate) const HEADSET: usize = 0;
pub(crate) const GATEWAY: usize = 1;
pub(crate) const RECORDER: usize = 2;
pub(crate) const SESSION_API: usize = 3;
pub(crate) const EVENT_BUS: usize = 4;
pub(crate) const ETL: usize = 5;
pub(crate) const REPORTS: usize = 6;
pub(crate) const PORTAL: usize = 7;

/// In which order instances are added: one of each, then more of those that there are many of.
pub(crate) const MIX: [usize; 18] = [
    HEADSET,
    GATEWAY,
    RECORDER,
    SESSION_API,
    EVENT_BUS,
    ETL,
    REPORTS,
    PORTAL,
    HEADSET,
    HEADSET,
    HEADSET,
    HEADSET,
    HEADSET,
    GATEWAY,
    HEADSET,
    HEADSET,
    SESSION_API,
    HEADSET,
];

/// Every service.
pub(crate) static SERVICES: [Service; 8] = [
    Service { layer: Layer::Wearable, namespace: "wearable", name: "headset", metrics: &HEADSET_METRICS },
    Service { layer: Layer::Delivery, namespace: "delivery", name: "stream-gateway", metrics: &GATEWAY_METRICS },
    Service { layer: Layer::Delivery, namespace: "delivery", name: "recorder", metrics: &RECORDER_METRICS },
    Service { layer: Layer::Business, namespace: "business", name: "session-api", metrics: &SESSION_API_METRICS },
    Service { layer: Layer::Business, namespace: "business", name: "event-bus", metrics: &EVENT_BUS_METRICS },
    Service { layer: Layer::Data, namespace: "data", name: "etl", metrics: &ETL_METRICS },
    Service { layer: Layer::Data, namespace: "data", name: "report-builder", metrics: &REPORTS_METRICS },
    Service { layer: Layer::Analytics, namespace: "analytics", name: "portal", metrics: &PORTAL_METRICS },
];

static HEADSET_METRICS: [Metric; 5] = [
    Metric {
        name: "device.battery",
        unit: "%",
        description: "Charge of the battery.",
        prometheus: "device_battery_percent",
        incident: Some(Incident::Battery),
        data: Data::Gauge(&[level(range(35, 100, 1), range(4, 19, 1))]),
    },
    Metric {
        name: "device.connection.up",
        unit: "",
        description: "1 while the device is connected, 0 while it is not.",
        prometheus: "device_connection_up",
        incident: Some(Incident::Connection),
        data: Data::Gauge(&[level(range(1, 1, 1), range(0, 0, 1))]),
    },
    Metric {
        name: "device.delivery.delay",
        unit: "s",
        description: "Age of the newest video frame that arrived.",
        prometheus: "device_delivery_delay_seconds",
        incident: Some(Incident::Connection),
        data: Data::Gauge(&[level(range(5, 80, 100), range(6, 40, 1))]),
    },
    Metric {
        name: "device.speech.accuracy",
        unit: "1",
        description: "Share of the spoken words that were recognised.",
        prometheus: "device_speech_accuracy_ratio",
        incident: None,
        data: Data::Gauge(&[level(range(88, 99, 100), range(88, 99, 100))]),
    },
    Metric {
        name: "device.utterances",
        unit: "{utterance}",
        description: "Spoken instructions, by language.",
        prometheus: "device_utterances_total",
        incident: None,
        data: Data::Counter(&[
            Row { attributes: &[("speech.language", "speech_language", "ja")], normal: 40, bad: 0 },
            Row { attributes: &[("speech.language", "speech_language", "en")], normal: 9, bad: 0 },
        ]),
    },
];

static GATEWAY_METRICS: [Metric; 3] = [
    Metric {
        name: "stream.delay",
        unit: "s",
        description: "From the camera to the viewer.",
        prometheus: "stream_delay_seconds",
        incident: Some(Incident::StreamDelay),
        data: Data::Gauge(&[level(range(15, 60, 100), range(12, 40, 10))]),
    },
    Metric {
        name: "stream.active",
        unit: "{stream}",
        description: "Streams that are open.",
        prometheus: "stream_active",
        incident: None,
        data: Data::UpDown(&[level(range(4, 40, 1), range(4, 40, 1))]),
    },
    Metric {
        name: "stream.sent",
        unit: "By",
        description: "Video sent to viewers.",
        prometheus: "stream_sent_bytes_total",
        incident: None,
        data: Data::Counter(&[Row { attributes: &[], normal: 7_500_000, bad: 0 }]),
    },
];

static RECORDER_METRICS: [Metric; 2] = [
    Metric {
        name: "recordings",
        unit: "{recording}",
        description: "Recordings that ended, by outcome.",
        prometheus: "recordings_total",
        incident: Some(Incident::Recording),
        data: Data::Counter(&[
            Row { attributes: &[("outcome", "outcome", "ok")], normal: 300, bad: 0 },
            Row { attributes: &[("outcome", "outcome", "failed")], normal: 3, bad: 120 },
        ]),
    },
    Metric {
        name: "storage.use",
        unit: "1",
        description: "Share of the volume that is used.",
        prometheus: "storage_use_ratio",
        incident: Some(Incident::Storage),
        data: Data::Gauge(&[
            Row {
                attributes: &[("storage.volume", "storage_volume", "hot")],
                normal: range(40, 70, 100),
                bad: range(82, 95, 100),
            },
            Row {
                attributes: &[("storage.volume", "storage_volume", "archive")],
                normal: range(30, 60, 100),
                bad: range(82, 95, 100),
            },
        ]),
    },
];

static SESSION_API_METRICS: [Metric; 3] = [
    Metric {
        name: "api.request.duration",
        unit: "s",
        description: "Duration of API requests, by route.",
        prometheus: "api_request_duration_seconds",
        incident: Some(Incident::Api),
        data: Data::Histogram(
            &API,
            &[
                Row {
                    attributes: &[
                        ("http.request.method", "http_request_method", "POST"),
                        ("http.route", "http_route", "/v1/events"),
                    ],
                    normal: API_NORMAL,
                    bad: API_BAD,
                },
                Row {
                    attributes: &[
                        ("http.request.method", "http_request_method", "GET"),
                        ("http.route", "http_route", "/v1/sessions/{id}"),
                    ],
                    normal: API_NORMAL,
                    bad: API_BAD,
                },
                Row {
                    attributes: &[
                        ("http.request.method", "http_request_method", "PUT"),
                        ("http.route", "http_route", "/v1/sessions/{id}/steps"),
                    ],
                    normal: API_NORMAL,
                    bad: API_BAD,
                },
            ],
        ),
    },
    Metric {
        name: "db.pool.use",
        unit: "1",
        description: "Share of the pool's connections that are in use.",
        prometheus: "db_pool_use_ratio",
        incident: Some(Incident::DbPool),
        data: Data::Gauge(&[
            Row {
                attributes: &[("db.pool.name", "db_pool_name", "primary")],
                normal: range(20, 60, 100),
                bad: range(92, 99, 100),
            },
            Row {
                attributes: &[("db.pool.name", "db_pool_name", "replica")],
                normal: range(10, 50, 100),
                bad: range(92, 99, 100),
            },
        ]),
    },
    CPU,
];

static EVENT_BUS_METRICS: [Metric; 2] = [
    Metric {
        name: "event.delay",
        unit: "s",
        description: "From a work event to its handling.",
        prometheus: "event_delay_seconds",
        incident: Some(Incident::EventDelay),
        data: Data::Gauge(&[level(range(5, 200, 100), range(310, 420, 1))]),
    },
    Metric {
        name: "events.handled",
        unit: "{event}",
        description: "Work events handled, by kind.",
        prometheus: "events_handled_total",
        incident: None,
        data: Data::Counter(&[
            Row { attributes: &[("event.kind", "event_kind", "step_done")], normal: 600, bad: 0 },
            Row { attributes: &[("event.kind", "event_kind", "call_for_help")], normal: 2, bad: 0 },
        ]),
    },
];

static ETL_METRICS: [Metric; 3] = [
    Metric {
        name: "etl.jobs",
        unit: "{job}",
        description: "ETL jobs that ended, by outcome.",
        prometheus: "etl_jobs_total",
        incident: Some(Incident::Etl),
        data: Data::Counter(&[
            Row { attributes: &[("outcome", "outcome", "ok")], normal: 20, bad: 0 },
            Row { attributes: &[("outcome", "outcome", "failed")], normal: 0, bad: 12 },
        ]),
    },
    Metric {
        name: "etl.queue.length",
        unit: "{job}",
        description: "ETL jobs that wait.",
        prometheus: "etl_queue_length",
        incident: None,
        data: Data::UpDown(&[level(range(0, 30, 1), range(0, 30, 1))]),
    },
    Metric {
        name: "data.consistency",
        unit: "1",
        description: "Share of the rows that agree with their source.",
        prometheus: "data_consistency_ratio",
        incident: Some(Incident::Etl),
        data: Data::Gauge(&[level(range(990, 1000, 1000), range(900, 950, 1000))]),
    },
];

static REPORTS_METRICS: [Metric; 2] = [
    Metric {
        name: "report.duration",
        unit: "s",
        description: "How long the newest report took to build.",
        prometheus: "report_duration_seconds",
        incident: None,
        data: Data::Gauge(&[level(range(30, 240, 1), range(30, 240, 1))]),
    },
    Metric {
        name: "report.delay",
        unit: "s",
        description: "How late the newest report is, by kind.",
        prometheus: "report_delay_seconds",
        incident: Some(Incident::Report),
        data: Data::Gauge(&[
            Row {
                attributes: &[("report.kind", "report_kind", "daily")],
                normal: range(0, 3_600, 1),
                bad: range(87_000, 100_000, 1),
            },
            Row {
                attributes: &[("report.kind", "report_kind", "shift")],
                normal: range(0, 900, 1),
                bad: range(87_000, 100_000, 1),
            },
        ]),
    },
];

static PORTAL_METRICS: [Metric; 3] = [
    Metric {
        name: "page.load.duration",
        unit: "s",
        description: "Until a page is usable, by page.",
        prometheus: "page_load_duration_seconds",
        incident: Some(Incident::Page),
        data: Data::Histogram(
            &PAGE,
            &[
                Row { attributes: &[("page", "page", "line-overview")], normal: PAGE_NORMAL, bad: PAGE_BAD },
                Row { attributes: &[("page", "page", "work-analysis")], normal: PAGE_NORMAL, bad: PAGE_BAD },
                Row { attributes: &[("page", "page", "video-replay")], normal: PAGE_NORMAL, bad: PAGE_BAD },
            ],
        ),
    },
    Metric {
        name: "sessions.active",
        unit: "{session}",
        description: "Users that are signed in.",
        prometheus: "sessions_active",
        incident: Some(Incident::Sessions),
        data: Data::UpDown(&[level(range(20, 80, 1), range(120, 180, 1))]),
    },
    CPU,
];
