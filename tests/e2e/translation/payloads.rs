//! Payloads: every data type and odd value by hand, and any mixture of them from a seed.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A request, and what is special about it.
pub(super) struct Payload {
    pub about: String,
    pub data: MetricsData,
}

const SECOND: u64 = 1_000_000_000;
/// The flag of a point that says that no value was recorded.
const NO_RECORDED_VALUE: u32 = 1;

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    key_value(key, Value::StringValue(value.to_owned()))
}

fn number(at: u64, value: number_data_point::Value, attributes: Vec<KeyValue>) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: at - 60 * SECOND,
        time_unix_nano: at,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn double(at: u64, value: f64) -> NumberDataPoint {
    number(at, number_data_point::Value::AsDouble(value), Vec::new())
}

fn int(at: u64, value: i64) -> NumberDataPoint {
    number(at, number_data_point::Value::AsInt(value), Vec::new())
}

fn histogram(at: u64, bounds: &[f64], counts: &[u64]) -> HistogramDataPoint {
    HistogramDataPoint {
        start_time_unix_nano: at - 60 * SECOND,
        time_unix_nano: at,
        count: counts.iter().sum(),
        sum: Some(12.5),
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn exponential(at: u64, scale: i32, offset: i32, counts: &[u64]) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        start_time_unix_nano: at - 60 * SECOND,
        time_unix_nano: at,
        count: counts.iter().sum(),
        sum: Some(-3.25),
        scale,
        positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn summary(at: u64, quantiles: &[(f64, f64)]) -> SummaryDataPoint {
    SummaryDataPoint {
        start_time_unix_nano: at - 60 * SECOND,
        time_unix_nano: at,
        count: 7,
        sum: 3.5,
        quantile_values: quantiles.iter().map(|&(quantile, value)| ValueAtQuantile { quantile, value }).collect(),
        ..SummaryDataPoint::default()
    }
}

fn exemplar(at: u64, value: f64) -> Exemplar {
    Exemplar {
        filtered_attributes: vec![text("user.tier", "gold")],
        time_unix_nano: at - SECOND,
        trace_id: (1..17).collect(),
        span_id: (1..9).collect(),
        value: Some(exemplar::Value::AsDouble(value)),
    }
}

fn gauge(points: Vec<NumberDataPoint>) -> Data {
    Data::Gauge(Gauge { data_points: points })
}

fn sum(points: Vec<NumberDataPoint>, is_monotonic: bool) -> Data {
    Data::Sum(Sum { data_points: points, aggregation_temporality: 2, is_monotonic })
}

fn histograms(points: Vec<HistogramDataPoint>) -> Data {
    Data::Histogram(Histogram { data_points: points, aggregation_temporality: 2 })
}

fn exponentials(points: Vec<ExponentialHistogramDataPoint>) -> Data {
    Data::ExponentialHistogram(ExponentialHistogram { data_points: points, aggregation_temporality: 2 })
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    let (name, unit, description) = (name.to_owned(), unit.to_owned(), "What it is.".to_owned());
    Metric { name, unit, description, data: Some(data), ..Metric::default() }
}

fn payload(service: &str, about: &str, resource: Vec<KeyValue>, metrics: Vec<Metric>) -> Payload {
    let identity = [text("service.name", about), text("service.namespace", service), text("service.instance.id", "1")];
    let scope = InstrumentationScope {
        name: "scope é".to_owned(),
        version: "1.2".to_owned(),
        attributes: vec![text("scope.kind", "test")],
        ..InstrumentationScope::default()
    };
    let scope = ScopeMetrics { scope: Some(scope), metrics, schema_url: "https://example.com/1".to_owned() };
    let resource = Resource { attributes: identity.into_iter().chain(resource).collect(), ..Resource::default() };
    let resource_metrics =
        vec![ResourceMetrics { resource: Some(resource), scope_metrics: vec![scope], ..ResourceMetrics::default() }];
    Payload { about: about.to_owned(), data: MetricsData { resource_metrics } }
}

/// Attributes of every type, of which some become labels of one name.
fn every_type() -> Vec<KeyValue> {
    let list = ArrayValue { values: vec![AnyValue { value: Some(Value::IntValue(1)) }, AnyValue::default()] };
    let map = KeyValueList { values: vec![text("z", "1\"\n"), key_value("a", Value::BoolValue(true))] };
    vec![
        text("string", "snowman ☃ \\ \"quoted\""),
        text("empty", ""),
        key_value("bool", Value::BoolValue(false)),
        key_value("int", Value::IntValue(i64::MIN)),
        key_value("double", Value::DoubleValue(1e21)),
        key_value("small", Value::DoubleValue(1.5e-7)),
        key_value("bytes", Value::BytesValue(vec![0, 255])),
        key_value("list", Value::ArrayValue(list)),
        key_value("map", Value::KvlistValue(map)),
        text("coll.ision", "dot"),
        text("coll_ision", "underscore"),
        text("coll-ision", "dash"),
        text("_private", "1"),
        text("__meta", "1"),
        text("1digit", "1"),
        text("multi___ple", "1"),
        text("le", "own"),
        text("job", "own"),
        text("ünïcode", "1"),
    ]
}

/// What a person thinks of.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn made_by_hand(service: &str, at: u64) -> Vec<Payload> {
    let one = |about: &str, metrics| payload(service, about, Vec::new(), metrics);
    let described = || vec![text("host.name", "h"), text("cloud.region", "north"), text("odd é", "ü")];
    let stale = |point: NumberDataPoint| NumberDataPoint { flags: NO_RECORDED_VALUE, value: None, ..point };
    let units = ["By/s", "ms", "1", "{boats}", "{boats}/s", "Cel", "%", "m/s", "GiBy", "widgets", "1/min"];
    let names = ["http.server.duration", "a..b", "9lives", "with space", "été", "x_total", "x_ratio", "a:b", "_a_"];
    let by_name = |name: &&str| metric(name, "s", sum(vec![double(at, 1.5)], true));
    let by_unit = |(index, unit): (usize, &&str)| metric(&format!("u{index}"), unit, gauge(vec![double(at, 1.5)]));
    let by_scale = |scale: &i32| {
        let attributes = vec![key_value("scale", Value::IntValue(i64::from(*scale)))];
        ExponentialHistogramDataPoint { attributes, ..exponential(at, *scale, -3, &[1, 2, 3, 4, 5, 6, 7]) }
    };
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX];
    let odd = (0..).zip(odd).map(|(index, value)| double(at + index * SECOND, value)).collect();
    vec![
        one("gauge", vec![metric("level", "m", gauge(vec![double(at, 1.25), int(at + SECOND, 3)]))]),
        one("counter", vec![metric("boats", "", sum(vec![double(at, 1.25), double(at + SECOND, 4.0)], true))]),
        one("up and down", vec![metric("in.use", "By", sum(vec![int(at, -5)], false))]),
        one("odd values", vec![metric("odd", "", gauge(odd))]),
        one(
            "large integers",
            vec![metric("large", "", gauge(vec![int(at, i64::MAX), int(at + SECOND, (1 << 53) + 1)]))],
        ),
        one("units", units.iter().enumerate().map(by_unit).collect()),
        one("names", names.iter().map(by_name).collect()),
        one("labels", vec![metric("l", "", gauge(vec![number(at, number_data_point::Value::AsInt(1), every_type())]))]),
        one("histogram", vec![metric("h", "s", histograms(vec![histogram(at, &[0.5, 1.0, 2.5], &[1, 0, 3, 2])]))]),
        one(
            "histogram without a sum",
            vec![metric(
                "h",
                "s",
                histograms(vec![HistogramDataPoint { sum: None, ..histogram(at, &[1.0], &[4, 1]) }]),
            )],
        ),
        one("histogram of one bucket", vec![metric("h", "", histograms(vec![histogram(at, &[], &[9])]))]),
        one(
            "negative bounds",
            vec![metric("h", "", histograms(vec![histogram(at, &[-5.0, 0.0, 1e-9], &[1, 2, 0, 4])]))],
        ),
        one("empty histogram", vec![metric("h", "", histograms(vec![histogram(at, &[1.0, 2.0], &[0, 0, 0])]))]),
        one(
            "summary",
            vec![metric(
                "s",
                "s",
                Data::Summary(Summary {
                    data_points: vec![
                        summary(at, &[(0.0, 0.1), (0.5, 1.0), (0.999, f64::NAN)]),
                        summary(at + SECOND, &[]),
                    ],
                }),
            )],
        ),
        one(
            "every scale",
            vec![metric("e", "s", exponentials([-4, -1, 0, 1, 5, 8, 9, 12, 20].iter().map(by_scale).collect()))],
        ),
        one(
            "both sides of zero",
            vec![metric(
                "e",
                "s",
                exponentials(vec![ExponentialHistogramDataPoint {
                    count: 13,
                    zero_count: 4,
                    negative: Some(Buckets { offset: 2, bucket_counts: vec![1, 0, 0, 0, 0, 3] }),
                    zero_threshold: 0.01,
                    min: Some(-9.0),
                    max: Some(9.0),
                    ..exponential(at, 2, -10, &[2, 0, 3])
                }]),
            )],
        ),
        one(
            "gaps",
            vec![metric(
                "e",
                "",
                exponentials(vec![
                    exponential(at, 3, 0, &[0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0]),
                    exponential(at + SECOND, 3, 0, &[0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 0, 1, 0]),
                    exponential(at + 2 * SECOND, 3, 0, &[]),
                ]),
            )],
        ),
        one(
            "no recorded value",
            vec![
                metric("g", "", gauge(vec![double(at, 1.0), stale(double(at + SECOND, 0.0))])),
                metric("c", "", sum(vec![double(at, 1.0), stale(double(at + SECOND, 0.0))], true)),
                metric(
                    "h",
                    "",
                    histograms(vec![
                        histogram(at, &[1.0], &[1, 2]),
                        HistogramDataPoint { flags: NO_RECORDED_VALUE, ..histogram(at + SECOND, &[1.0], &[0, 0]) },
                    ]),
                ),
                metric(
                    "e",
                    "",
                    exponentials(vec![
                        exponential(at, 1, 0, &[1]),
                        ExponentialHistogramDataPoint {
                            flags: NO_RECORDED_VALUE,
                            ..exponential(at + SECOND, 1, 0, &[])
                        },
                    ]),
                ),
            ],
        ),
        one(
            "exemplars",
            vec![
                metric(
                    "c",
                    "",
                    sum(vec![NumberDataPoint { exemplars: vec![exemplar(at, 1.0)], ..double(at, 5.0) }], true),
                ),
                metric(
                    "h",
                    "",
                    histograms(vec![HistogramDataPoint {
                        exemplars: vec![
                            exemplar(at, 0.5),
                            exemplar(at + 1_000_000, 1.0),
                            exemplar(at + 2_000_000, 9.0),
                        ],
                        ..histogram(at, &[1.0, 2.0], &[2, 0, 1])
                    }]),
                ),
                metric(
                    "e",
                    "",
                    exponentials(vec![ExponentialHistogramDataPoint {
                        exemplars: vec![exemplar(at, 1.5), exemplar(at + 1_000_000, 1.75)],
                        ..exponential(at, 0, 0, &[2])
                    }]),
                ),
            ],
        ),
        one(
            "exemplars that are long",
            vec![metric(
                "c",
                "",
                sum(
                    vec![NumberDataPoint {
                        exemplars: vec![Exemplar {
                            filtered_attributes: vec![text("k", &"ü".repeat(65))],
                            ..exemplar(at, 1.0)
                        }],
                        ..double(at, 5.0)
                    }],
                    true,
                ),
            )],
        ),
        payload(service, "a resource with more", described(), vec![metric("g", "", gauge(vec![double(at, 1.0)]))]),
        payload(
            service,
            "a resource of every type",
            every_type().into_iter().skip(1).collect(),
            vec![metric("g", "", gauge(vec![double(at, 1.0)]))],
        ),
        payload(
            service,
            "a resource over time",
            described(),
            vec![metric("g", "", gauge(vec![double(at, 1.0), double(at + 400 * SECOND, 2.0)]))],
        ),
        one(
            "start times",
            vec![metric(
                "c",
                "",
                sum(
                    vec![NumberDataPoint { start_time_unix_nano: 0, ..double(at, 5.0) }, double(at + SECOND, 6.0)],
                    true,
                ),
            )],
        ),
    ]
}

/// A mixture of metrics, from a seed.
pub(super) fn generated(seed: u64, index: u64, service: &str, start: u64) -> Payload {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(index));
    let words = ["http", "Boat", "lock.gate", "é", "_", "2", "total", "ratio", "a b", "x__y", "seconds", "/", "名"];
    let units = ["", "s", "By", "1", "%", "{x}", "ms/s", "KiBy/m", "foo/bar", "{a}s", "1/s"];
    let count = random.random_range(1..6);
    let metrics = (0..count).map(|number| {
        let word = |random: &mut StdRng| words[random.random_range(0..words.len())];
        // A letter, so that something is left of every name; a number, so that each is another one.
        let name = format!("{}m{number}{}{}", word(&mut random), word(&mut random), word(&mut random));
        let data = data(&mut random, start);
        metric(&name, units[random.random_range(0..units.len())], data)
    });
    let metrics = metrics.collect();
    let resource = attributes(&mut random, "r");
    payload(service, &format!("generated {index}"), resource, metrics)
}

/// Some attributes; those with the same number may become labels of one name.
fn attributes(random: &mut StdRng, prefix: &str) -> Vec<KeyValue> {
    let count = random.random_range(0..6);
    let one = |number| {
        let separator = [".", "_", "-", "__", " ", "é", ":"][random.random_range(0..7)];
        let name = format!("{prefix}{separator}{}", number / 2);
        let name = if number % 2 == 0 { name } else { format!("_{name}") };
        let value = match random.random_range(0..6) {
            0 => Value::StringValue(["", "a", "ü;", "x\ny", "\u{2028}<>&"][random.random_range(0..5)].to_owned()),
            1 => Value::BoolValue(random.random()),
            2 => Value::IntValue(random.random()),
            3 => Value::DoubleValue(f64::from_bits(random.random())),
            4 => Value::BytesValue(vec![random.random(); random.random_range(0..5)]),
            _ => {
                let value = Some(Value::DoubleValue(random.random_range(-1e9..1e9)));
                Value::ArrayValue(ArrayValue { values: vec![AnyValue { value }; random.random_range(0..3)] })
            }
        };
        key_value(&name, value)
    };
    let mut attributes: Vec<_> = (0..count).map(one).collect();
    // Two of the same name are an error to Prometheus where names are not escaped.
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    attributes.dedup_by(|a, b| a.key == b.key);
    attributes
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn data(random: &mut StdRng, start: u64) -> Data {
    let points = random.random_range(1..4);
    // Each point is later than the one before, whatever its labels.
    let times: Vec<u64> = (0..points).map(|number| start + (number * 37 + 1) * SECOND).collect();
    let kind = random.random_range(0..6);
    let numbers = |random: &mut StdRng, exemplars: bool| -> Vec<_> {
        let point = |&at: &u64| {
            let value = match random.random_range(0..4) {
                0 => number_data_point::Value::AsInt(random.random()),
                1 => number_data_point::Value::AsDouble(f64::from_bits(random.random())),
                _ => number_data_point::Value::AsDouble(random.random_range(-1e6..1e6)),
            };
            let some = exemplars && random.random();
            let exemplars = if some { vec![exemplar(at, random.random_range(0.0..9.0))] } else { Vec::new() };
            NumberDataPoint { exemplars, ..number(at, value, attributes(random, "p")) }
        };
        times.iter().map(point).collect()
    };
    match kind {
        0 => gauge(numbers(random, false)),
        1 => sum(numbers(random, true), true),
        2 => sum(numbers(random, true), false),
        3 => histograms(
            times
                .iter()
                .map(|&at| {
                    let mut bounds: Vec<f64> =
                        (0..random.random_range(0..8)).map(|_| random.random_range(-9.0..99.0)).collect();
                    bounds.sort_by(f64::total_cmp);
                    bounds.dedup();
                    let counts: Vec<u64> = (0..=bounds.len()).map(|_| random.random_range(0..5)).collect();
                    let sum = random.random::<bool>().then(|| random.random_range(0.0..1e3));
                    // Exemplars in the order of their values, as SDKs send them, each at a time of its own.
                    let mut values: Vec<f64> =
                        (0..random.random_range(0..3)).map(|_| random.random_range(-9.0..99.0)).collect();
                    values.sort_by(f64::total_cmp);
                    let exemplars =
                        (0..).zip(values).map(|(number, value)| exemplar(at + number * 1_000_000, value)).collect();
                    let attributes = attributes(random, "p");
                    HistogramDataPoint { attributes, sum, exemplars, ..histogram(at, &bounds, &counts) }
                })
                .collect(),
        ),
        4 => exponentials(
            times
                .iter()
                .map(|&at| {
                    let scale = random.random_range(-4..15);
                    // Prometheus puts what follows an empty bucket in the wrong place when it has to downscale.
                    let least = u64::from(scale > 8);
                    let mut side = |offset: i32| {
                        let counts = (0..random.random_range(0..20)).map(|_| random.random_range(least..4)).collect();
                        Buckets { offset, bucket_counts: counts }
                    };
                    let (positive, negative) = (side(-7), side(3));
                    let zero_count = random.random_range(0..3);
                    let count = zero_count + positive.bucket_counts.iter().chain(&negative.bucket_counts).sum::<u64>();
                    let (positive, negative) = (Some(positive), Some(negative));
                    let attributes = attributes(random, "p");
                    ExponentialHistogramDataPoint {
                        attributes,
                        zero_count,
                        count,
                        positive,
                        negative,
                        ..exponential(at, scale, 0, &[])
                    }
                })
                .collect(),
        ),
        _ => Data::Summary(Summary {
            data_points: times
                .iter()
                .map(|&at| {
                    let quantiles = [(0.5, random.random()), (0.99, random.random())];
                    SummaryDataPoint { attributes: attributes(random, "p"), ..summary(at, &quantiles) }
                })
                .collect(),
        }),
    }
}
