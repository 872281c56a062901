//! OTLP's messages as data: to name a field in an error, and to read OTLP JSON.
//!
//! Specification: <https://github.com/open-telemetry/opentelemetry-proto>.

/// The signals that Weir reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Metrics.
    Metrics,
    /// Traces.
    Traces,
    /// Logs.
    Logs,
}

impl Signal {
    /// The message that a whole payload is.
    pub(crate) fn schema(self) -> &'static Schema {
        match self {
            Self::Metrics => &METRICS_DATA,
            Self::Traces => &TRACES_DATA,
            Self::Logs => &LOGS_DATA,
        }
    }
}

/// One message.
pub(crate) struct Schema {
    pub(crate) fields: &'static [Known],
}

/// One field of a message.
pub(crate) struct Known {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) repeated: bool,
}

/// What a field holds, by its protobuf type and its form in JSON.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Message(&'static Schema),
    String,
    /// Base64 in JSON.
    Bytes,
    /// Bytes that are hexadecimal in JSON: the identities of traces and spans.
    Id,
    Bool,
    Uint32,
    Sint32,
    Int64,
    Uint64,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    /// The names of the numbers, for JSON that holds names.
    Enum(&'static [(&'static str, i32)]),
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Known {
    Known { number, name, kind, repeated: false }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Known {
    Known { number, name, kind, repeated: true }
}

use Kind::{Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int64, Message, Sfixed64, Sint32, String, Uint32, Uint64};

static METRICS_DATA: Schema = Schema { fields: &[many(1, "resource_metrics", Message(&RESOURCE_METRICS))] };

static RESOURCE_METRICS: Schema = Schema {
    fields: &[
        one(1, "resource", Message(&RESOURCE)),
        many(2, "scope_metrics", Message(&SCOPE_METRICS)),
        one(3, "schema_url", String),
    ],
};

static SCOPE_METRICS: Schema = Schema {
    fields: &[one(1, "scope", Message(&SCOPE)), many(2, "metrics", Message(&METRIC)), one(3, "schema_url", String)],
};

static METRIC: Schema = Schema {
    fields: &[
        one(1, "name", String),
        one(2, "description", String),
        one(3, "unit", String),
        one(5, "gauge", Message(&GAUGE)),
        one(7, "sum", Message(&SUM)),
        one(9, "histogram", Message(&HISTOGRAM)),
        one(10, "exponential_histogram", Message(&EXPONENTIAL_HISTOGRAM)),
        one(11, "summary", Message(&SUMMARY)),
        many(12, "metadata", Message(&KEY_VALUE)),
    ],
};

static GAUGE: Schema = Schema { fields: &[many(1, "data_points", Message(&NUMBER_DATA_POINT))] };

static SUM: Schema = Schema {
    fields: &[
        many(1, "data_points", Message(&NUMBER_DATA_POINT)),
        one(2, "aggregation_temporality", Enum(TEMPORALITIES)),
        one(3, "is_monotonic", Bool),
    ],
};

static HISTOGRAM: Schema = Schema {
    fields: &[
        many(1, "data_points", Message(&HISTOGRAM_DATA_POINT)),
        one(2, "aggregation_temporality", Enum(TEMPORALITIES)),
    ],
};

static EXPONENTIAL_HISTOGRAM: Schema = Schema {
    fields: &[
        many(1, "data_points", Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
        one(2, "aggregation_temporality", Enum(TEMPORALITIES)),
    ],
};

static SUMMARY: Schema = Schema { fields: &[many(1, "data_points", Message(&SUMMARY_DATA_POINT))] };

const TEMPORALITIES: &[(&str, i32)] = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
];

static NUMBER_DATA_POINT: Schema = Schema {
    fields: &[
        many(7, "attributes", Message(&KEY_VALUE)),
        one(2, "start_time_unix_nano", Fixed64),
        one(3, "time_unix_nano", Fixed64),
        one(4, "as_double", Double),
        one(6, "as_int", Sfixed64),
        many(5, "exemplars", Message(&EXEMPLAR)),
        one(8, "flags", Uint32),
    ],
};

static HISTOGRAM_DATA_POINT: Schema = Schema {
    fields: &[
        many(9, "attributes", Message(&KEY_VALUE)),
        one(2, "start_time_unix_nano", Fixed64),
        one(3, "time_unix_nano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "bucket_counts", Fixed64),
        many(7, "explicit_bounds", Double),
        many(8, "exemplars", Message(&EXEMPLAR)),
        one(10, "flags", Uint32),
        one(11, "min", Double),
        one(12, "max", Double),
    ],
};

static EXPONENTIAL_HISTOGRAM_DATA_POINT: Schema = Schema {
    fields: &[
        many(1, "attributes", Message(&KEY_VALUE)),
        one(2, "start_time_unix_nano", Fixed64),
        one(3, "time_unix_nano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        one(6, "scale", Sint32),
        one(7, "zero_count", Fixed64),
        one(8, "positive", Message(&BUCKETS)),
        one(9, "negative", Message(&BUCKETS)),
        one(10, "flags", Uint32),
        many(11, "exemplars", Message(&EXEMPLAR)),
        one(12, "min", Double),
        one(13, "max", Double),
        one(14, "zero_threshold", Double),
    ],
};

static BUCKETS: Schema = Schema { fields: &[one(1, "offset", Sint32), many(2, "bucket_counts", Uint64)] };

static SUMMARY_DATA_POINT: Schema = Schema {
    fields: &[
        many(7, "attributes", Message(&KEY_VALUE)),
        one(2, "start_time_unix_nano", Fixed64),
        one(3, "time_unix_nano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "quantile_values", Message(&VALUE_AT_QUANTILE)),
        one(8, "flags", Uint32),
    ],
};

static VALUE_AT_QUANTILE: Schema = Schema { fields: &[one(1, "quantile", Double), one(2, "value", Double)] };

static EXEMPLAR: Schema = Schema {
    fields: &[
        many(7, "filtered_attributes", Message(&KEY_VALUE)),
        one(2, "time_unix_nano", Fixed64),
        one(3, "as_double", Double),
        one(6, "as_int", Sfixed64),
        one(4, "span_id", Id),
        one(5, "trace_id", Id),
    ],
};

static TRACES_DATA: Schema = Schema { fields: &[many(1, "resource_spans", Message(&RESOURCE_SPANS))] };

static RESOURCE_SPANS: Schema = Schema {
    fields: &[
        one(1, "resource", Message(&RESOURCE)),
        many(2, "scope_spans", Message(&SCOPE_SPANS)),
        one(3, "schema_url", String),
    ],
};

static SCOPE_SPANS: Schema = Schema {
    fields: &[one(1, "scope", Message(&SCOPE)), many(2, "spans", Message(&SPAN)), one(3, "schema_url", String)],
};

static SPAN: Schema = Schema {
    fields: &[
        one(1, "trace_id", Id),
        one(2, "span_id", Id),
        one(3, "trace_state", String),
        one(4, "parent_span_id", Id),
        one(5, "name", String),
        one(6, "kind", Enum(SPAN_KINDS)),
        one(7, "start_time_unix_nano", Fixed64),
        one(8, "end_time_unix_nano", Fixed64),
        many(9, "attributes", Message(&KEY_VALUE)),
        one(10, "dropped_attributes_count", Uint32),
        many(11, "events", Message(&EVENT)),
        one(12, "dropped_events_count", Uint32),
        many(13, "links", Message(&LINK)),
        one(14, "dropped_links_count", Uint32),
        one(15, "status", Message(&STATUS)),
        one(16, "flags", Fixed32),
    ],
};

const SPAN_KINDS: &[(&str, i32)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];

static EVENT: Schema = Schema {
    fields: &[
        one(1, "time_unix_nano", Fixed64),
        one(2, "name", String),
        many(3, "attributes", Message(&KEY_VALUE)),
        one(4, "dropped_attributes_count", Uint32),
    ],
};

static LINK: Schema = Schema {
    fields: &[
        one(1, "trace_id", Id),
        one(2, "span_id", Id),
        one(3, "trace_state", String),
        many(4, "attributes", Message(&KEY_VALUE)),
        one(5, "dropped_attributes_count", Uint32),
        one(6, "flags", Fixed32),
    ],
};

static STATUS: Schema = Schema { fields: &[one(2, "message", String), one(3, "code", Enum(STATUS_CODES))] };

const STATUS_CODES: &[(&str, i32)] = &[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)];

static LOGS_DATA: Schema = Schema { fields: &[many(1, "resource_logs", Message(&RESOURCE_LOGS))] };

static RESOURCE_LOGS: Schema = Schema {
    fields: &[
        one(1, "resource", Message(&RESOURCE)),
        many(2, "scope_logs", Message(&SCOPE_LOGS)),
        one(3, "schema_url", String),
    ],
};

static SCOPE_LOGS: Schema = Schema {
    fields: &[
        one(1, "scope", Message(&SCOPE)),
        many(2, "log_records", Message(&LOG_RECORD)),
        one(3, "schema_url", String),
    ],
};

static LOG_RECORD: Schema = Schema {
    fields: &[
        one(1, "time_unix_nano", Fixed64),
        one(2, "severity_number", Enum(SEVERITY_NUMBERS)),
        one(3, "severity_text", String),
        one(5, "body", Message(&ANY_VALUE)),
        many(6, "attributes", Message(&KEY_VALUE)),
        one(7, "dropped_attributes_count", Uint32),
        one(8, "flags", Fixed32),
        one(9, "trace_id", Id),
        one(10, "span_id", Id),
        one(11, "observed_time_unix_nano", Fixed64),
        one(12, "event_name", String),
    ],
};

const SEVERITY_NUMBERS: &[(&str, i32)] = &[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];

static RESOURCE: Schema = Schema {
    fields: &[
        many(1, "attributes", Message(&KEY_VALUE)),
        one(2, "dropped_attributes_count", Uint32),
        many(3, "entity_refs", Message(&ENTITY_REF)),
    ],
};

static ENTITY_REF: Schema = Schema {
    fields: &[
        one(1, "schema_url", String),
        one(2, "type", String),
        many(3, "id_keys", String),
        many(4, "description_keys", String),
    ],
};

static SCOPE: Schema = Schema {
    fields: &[
        one(1, "name", String),
        one(2, "version", String),
        many(3, "attributes", Message(&KEY_VALUE)),
        one(4, "dropped_attributes_count", Uint32),
    ],
};

static KEY_VALUE: Schema = Schema { fields: &[one(1, "key", String), one(2, "value", Message(&ANY_VALUE))] };

static ANY_VALUE: Schema = Schema {
    fields: &[
        one(1, "string_value", String),
        one(2, "bool_value", Bool),
        one(3, "int_value", Int64),
        one(4, "double_value", Double),
        one(5, "array_value", Message(&ARRAY_VALUE)),
        one(6, "kvlist_value", Message(&KEY_VALUE_LIST)),
        one(7, "bytes_value", Bytes),
    ],
};

static ARRAY_VALUE: Schema = Schema { fields: &[many(1, "values", Message(&ANY_VALUE))] };

static KEY_VALUE_LIST: Schema = Schema { fields: &[many(1, "values", Message(&KEY_VALUE))] };
