//! The same payloads straight into one Prometheus, by its own OTLP endpoint, and through Kafka and Weir into another.

mod payloads;

use std::collections::BTreeMap;
use std::env;

use prost::Message;
use serde_json::Value;
use weir_tests::http::block_on;
use weir_tests::stack::{Prometheus, PrometheusOptions, Record};

use self::payloads::{Payload, generated, made_by_hand};
use crate::job::{Job, SOON, Topology};
use crate::load;

/// The options under test, as Prometheus has them and as Weir has them; each translation strategy once.
const OPTIONS: [(&str, &str); 4] = [
    (
        "{translation_strategy: UnderscoreEscapingWithSuffixes}",
        "translation_strategy = \"UnderscoreEscapingWithSuffixes\"",
    ),
    (
        "{translation_strategy: UnderscoreEscapingWithoutSuffixes, convert_histograms_to_nhcb: true, \
         promote_scope_metadata: true}",
        "translation_strategy = \"UnderscoreEscapingWithoutSuffixes\"\nconvert_histograms_to_nhcb = true\n\
         promote_scope_metadata = true",
    ),
    (
        "{translation_strategy: NoUTF8EscapingWithSuffixes, promote_resource_attributes: [cloud.region, 'odd é']}",
        "translation_strategy = \"NoUTF8EscapingWithSuffixes\"\n\
         promote_resource_attributes = [\"cloud.region\", \"odd é\"]",
    ),
    (
        "{translation_strategy: NoTranslation, promote_all_resource_attributes: true, \
         ignore_resource_attributes: [host.name], keep_identifying_resource_attributes: true}",
        "translation_strategy = \"NoTranslation\"\npromote_all_resource_attributes = true\n\
         ignore_resource_attributes = [\"host.name\"]\nkeep_identifying_resource_attributes = true",
    ),
];

/// Payloads from the generator, for each of the options; as many as are made by hand, about.
const GENERATED: u64 = 24;

/// Scenario: payloads of every data type, half of them from a generator, for each translation strategy with other
/// options beside it. `WEIR_TRANSLATION_SEED` replays a run.
/// Guards: series, samples, native histograms and exemplars are the same; nothing that Prometheus takes is refused.
/// What is not compared: metadata and start times, which the API does not show (the golden cases do), and what differs
/// by choice (`docs/metrics.md`), which the payloads leave out.
#[test]
fn prometheus_has_the_same_by_its_otlp_endpoint_as_through_weir() {
    let seed = env::var("WEIR_TRANSLATION_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    println!("WEIR_TRANSLATION_SEED={seed}");
    let [through_weir, directly] = [(), ()].map(|()| Prometheus::start(PrometheusOptions::default()));
    let start = now() - 900_000_000_000;
    let mut sent = 0;
    let mut members = Vec::new();
    for (number, (block, keys)) in OPTIONS.into_iter().enumerate() {
        let name = format!("translation-{number}");
        let job = Job::new(&name, 1, Topology { otlp: keys, ..Topology::default() });
        let member = job.start(&through_weir.url("/api/v1/write"));
        directly.configure(&format!("otlp: {block}\nstorage: {{tsdb: {{out_of_order_time_window: 30m}}}}\n"));
        let mut payloads = made_by_hand(&name, start);
        payloads.extend((0..GENERATED).map(|index| generated(seed, index, &name, start)));
        for Payload { about, data } in &payloads {
            let body = data.encode_to_vec();
            otlp(&directly, &body).unwrap_or_else(|error| panic!("{name}, {about}: {error}"));
            job.kafka.produce(&job.name, &[Record { value: Some(body), ..Record::default() }]);
        }
        sent += payloads.len();
        members.push((job, member));
    }
    for (job, member) in &members {
        job.caught_up(SOON);
        assert_eq!(member.counter("weir_dead_letters_total"), Ok(0.0));
        assert_eq!(member.counter("weir_points_let_go_total"), Ok(0.0));
    }

    let (weir, otlp) = (everything(&through_weir), everything(&directly));
    let differences = differences(&weir, &otlp);
    assert!(differences.is_empty(), "{} differences, such as\n{}", differences.len(), differences.join("\n"));
    let count = |what: &str| weir.values().filter_map(|series| series[what].as_array()).map(Vec::len).sum::<usize>();
    let counts = [count("values"), count("histograms"), count("exemplars")];
    println!("{sent} payloads: {} series, {counts:?} samples, native histograms and exemplars", weir.len());
    assert!(sent >= 160 && counts[0] > 1000 && counts[1] > 100 && counts[2] > 100, "{counts:?}");
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    load::now().0
}

fn otlp(prometheus: &Prometheus, body: &[u8]) -> Result<(), String> {
    let request = reqwest::Client::new()
        .post(prometheus.url("/api/v1/otlp/v1/metrics"))
        .header("content-type", "application/x-protobuf")
        .body(body.to_vec());
    let answer = block_on(request.send()).map_err(|error| error.to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
}

/// Samples (`values`), native histograms (`histograms`) and `exemplars` of every series, which is its labels as JSON.
fn everything(prometheus: &Prometheus) -> BTreeMap<String, Value> {
    let samples = prometheus.query("{__name__=~'.+'}[1h]").unwrap();
    let seconds = |nanos: u64| (nanos / 1_000_000_000).to_string();
    let (from, to) = (seconds(now() - 3_600_000_000_000), seconds(now() + 60_000_000_000));
    let asked = [("query", "{__name__=~'.+'}"), ("start", from.as_str()), ("end", to.as_str())];
    let exemplars = prometheus.get("/api/v1/query_exemplars", &asked).unwrap();
    let mut all = BTreeMap::new();
    for mut series in samples.as_array().unwrap().iter().cloned() {
        let labels = series["metric"].take().to_string();
        all.insert(labels, series);
    }
    for series in exemplars.as_array().unwrap() {
        let labels = series["seriesLabels"].to_string();
        all.entry(labels).or_insert_with(|| Value::Object(Default::default()))["exemplars"] =
            series["exemplars"].clone();
    }
    all
}

/// A line for every series that is not the same in both.
fn differences(weir: &BTreeMap<String, Value>, otlp: &BTreeMap<String, Value>) -> Vec<String> {
    let names = weir.keys().chain(otlp.keys().filter(|name| !weir.contains_key(*name)));
    names
        .filter(|name| weir.get(*name) != otlp.get(*name))
        .map(|name| format!("{name}\n  through Weir {:?}\n  by OTLP {:?}", weir.get(name), otlp.get(name)))
        .collect()
}
