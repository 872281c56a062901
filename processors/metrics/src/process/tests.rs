use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use proptest::prelude::*;
use weir_config::Document;
use weir_contract::{BatchBuilder, Budget, DeadLetter, Limits, Partition, TopicPartition};
use weir_otlp::json_to_protobuf;
use weir_remote_write::{BucketSpan, Count, Histogram, ZeroCount, decompress, v2};

use super::*;

fn processor(config: &Config) -> MetricsProcessor {
    MetricsProcessor::new(config, &Shared::new(config).unwrap(), Instruments::default())
}

/// A record's value and its headers.
type Value<'v> = (&'v [u8], &'v [(&'v str, &'v [u8])]);

/// What a processor makes of records that are all in one batch, the items of all shards by record.
fn process(processor: &mut MetricsProcessor, values: &[Value<'_>], first: i64) -> (Vec<Item<Sample>>, Vec<DeadLetter>) {
    let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
    for (offset, (value, headers)) in (first..).zip(values) {
        builder.push(offset, Some(0), None, Some(value), headers.iter().copied());
    }
    let partition = Partition::open(TopicPartition::new("t", 0), first);
    let (entry, hold) = partition.admit(Some((first, first + 1)), 0);
    hold.release();
    let mut out = Outbox::new(entry, Budget::new(1 << 30), 1, Limits::all(1 << 20));
    processor.process(&builder.build().unwrap(), &mut out);
    let filled = out.finish();
    (filled.shards.into_iter().flatten().collect(), filled.carried.dead_letters)
}

fn one(processor: &mut MetricsProcessor, value: &[u8]) -> (Vec<Item<Sample>>, Vec<DeadLetter>) {
    process(processor, &[(value, &[])], 0)
}

fn render_value(value: f64) -> String {
    match value {
        value if value.is_nan() => format!("NaN({:016x})", value.to_bits()),
        value if value.is_infinite() => if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        value => value.to_string(),
    }
}

fn render_histogram(histogram: &Histogram) -> String {
    let spans = |spans: &[BucketSpan]| -> Vec<_> {
        spans.iter().map(|span| format!("{}:{}", span.offset, span.length)).collect()
    };
    let side = |name, at: &[BucketSpan], deltas: &[i64]| format!(" {name}={}{deltas:?}", spans(at).join(","));
    let (Some(Count::Int(count)), Some(ZeroCount::Int(zeros))) = (histogram.count, histogram.zero_count) else {
        panic!("not of integers: {histogram:?}");
    };
    let bounds: Vec<_> = histogram.custom_values.iter().map(|bound| render_value(*bound)).collect();
    format!(
        "histogram(schema={} count={count} sum={} zero={zeros}<={:e}{}{} bounds=[{}] hint={:?})",
        histogram.schema,
        render_value(histogram.sum),
        histogram.zero_threshold,
        side("positive", &histogram.positive_spans, &histogram.positive_deltas),
        side("negative", &histogram.negative_spans, &histogram.negative_deltas),
        bounds.join(", "),
        histogram.reset_hint()
    )
}

/// Samples as a receiver of remote write 2.0 gets them, and rejected records.
fn render((items, letters): (Vec<Item<Sample>>, Vec<DeadLetter>)) -> String {
    let mut builder = v2::Builder::new();
    for Item { value: sample, .. } in &items {
        builder.push(sample.series().form(0).unwrap(), sample.points(), sample.exemplars());
    }
    let mut text = String::new();
    for series in v2::decode(&decompress(&builder.finish().unwrap(), usize::MAX).unwrap()).unwrap().series {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let labels: Vec<_> =
            series.labels.iter().map(|(name, value)| format!("{}={}", quoted(name), quoted(value))).collect();
        let kind = format!("{:?}", series.metadata.kind).to_lowercase();
        let (unit, help) = (quoted(&series.metadata.unit), quoted(&series.metadata.help));
        let samples = series
            .samples
            .iter()
            .map(|sample| (render_value(sample.value), sample.timestamp_ms, sample.start_timestamp_ms));
        let histograms = series
            .histograms
            .iter()
            .map(|histogram| (render_histogram(histogram), histogram.timestamp_ms, histogram.start_timestamp_ms));
        for (value, at, start) in samples.chain(histograms) {
            let labels = labels.join(", ");
            writeln!(text, "{{{labels}}} {value} @{at} start={start} {kind} unit={unit} help={help}").unwrap();
        }
        for exemplar in series.exemplars {
            let labels: Vec<_> =
                exemplar.labels.iter().map(|(name, value)| format!("{}={}", quoted(name), quoted(value))).collect();
            let value = render_value(exemplar.value);
            writeln!(text, "  exemplar {{{}}} {value} @{}", labels.join(", "), exemplar.timestamp_ms).unwrap();
        }
    }
    for letter in letters {
        writeln!(text, "rejected {}: {}", letter.reason, letter.detail).unwrap();
    }
    text
}

#[track_caller]
fn check(case: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/metrics").join(case);
    let config = fs::read_to_string(dir.join("config.toml")).unwrap_or_default();
    let document = Document::parse("config.toml", &config).unwrap();
    let (otlp, report) = document.read::<Otlp>(&|_| Err(std::io::ErrorKind::Unsupported.into()));
    report.finish().unwrap();
    let config = Config { otlp, ..Config::default() };
    let got = render(one(&mut processor(&config), &fs::read(dir.join("in.json")).unwrap()));
    let want = dir.join("want.txt");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&want, &got).unwrap();
    }
    assert_eq!(got, fs::read_to_string(&want).unwrap(), "{case}: UPDATE_GOLDEN=1, then read the diff");
}

macro_rules! golden {
    ($($case:ident)*) => {
        mod golden {
            $(#[test] fn $case() { super::check(stringify!($case)) })*

            #[test]
            fn every_case_is_checked() {
                let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/metrics");
                let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
                let dirs = entries.filter(|entry| entry.file_type().unwrap().is_dir());
                let mut found: Vec<_> = dirs.map(|entry| entry.file_name().into_string().unwrap()).collect();
                let mut cases = vec![$(stringify!($case).to_owned()),*];
                found.sort();
                cases.sort();
                assert_eq!(found, cases);
            }
        }
    };
}

golden! {
    gauge
    gauge_ratio
    counter
    counter_with_total_in_its_name
    updown_counter_is_a_gauge
    histogram
    histogram_without_sum
    histogram_without_buckets
    histogram_with_one_bucket
    histogram_negative_and_tiny_bounds
    histogram_bound_of_infinity
    histogram_with_le_attribute
    histogram_count_differs_from_buckets
    summary
    summary_without_quantiles
    no_recorded_value
    nan_and_infinities
    integers_above_2_to_the_53
    units
    names_with_odd_characters
    label_names
    label_names_collapsed
    labels_that_collide
    label_values_of_every_type
    name_attribute_is_not_the_name
    job_and_instance
    job_attribute_gives_way_to_the_service
    target_info
    target_info_keeps_identity
    target_info_without_identity
    target_info_with_a_job_attribute
    target_info_over_time
    target_info_of_two_parts
    promoted_attributes
    all_attributes_promoted_but_some
    scope_is_left_out
    scope_promoted
    scope_without_a_name
    without_suffixes
    utf8_with_suffixes
    no_translation
    without_start_times
    several_points_of_one_series
    refused_delta
    refused_unspecified_temporality
    refused_native_histograms
    exponential_histogram
    exponential_histogram_of_every_scale
    exponential_histogram_gaps
    exponential_histogram_stale
    histogram_as_native
    histogram_as_native_odd
    exemplars
    exemplars_that_are_odd
    refused_points_beside_good_ones
    refused_names
    refused_metric_without_data
}

/// A request with every kind of point.
fn everything() -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/metrics");
    let mut all = Vec::new();
    for case in ["gauge", "counter", "histogram", "summary", "target_info", "scope_promoted", "refused_delta"] {
        let json = fs::read(dir.join(case).join("in.json")).unwrap();
        // One request after the other is all their resources.
        all.extend(json_to_protobuf(Signal::Metrics, &json).unwrap());
    }
    all
}

#[test]
fn a_request_cut_anywhere_is_rejected_whole_or_is_a_shorter_request() {
    let whole = everything();
    let mut rejected = 0;
    for len in 0..whole.len() {
        let (items, letters) = one(&mut processor(&Config::default()), &whole[..len]);
        if let Some(letter) = letters.first() {
            assert_eq!((letters.len(), letter.value.as_deref()), (1, Some(&whole[..len])));
            let malformed = letter.reason == "truncated";
            assert!(malformed == items.is_empty() || letter.reason == "delta_temporality", "cut at {len}: {letter:?}");
            rejected += usize::from(malformed);
        }
    }
    assert!(rejected > whole.len() / 2, "{rejected} of {}", whole.len());
}

#[test]
fn a_bad_record_does_not_touch_its_neighbours() {
    let good = everything();
    let (alone, _) = one(&mut processor(&Config::default()), &good);
    let values: [Value<'_>; 3] = [(&good, &[]), (b"\x0a\xff", &[]), (&good, &[])];
    let (items, letters) = process(&mut processor(&Config::default()), &values, 40);
    assert_eq!(items.iter().filter(|item| item.offset == 40).count(), alone.len());
    assert_eq!(items.iter().filter(|item| item.offset == 42).count(), alone.len());
    let about: Vec<_> = letters.iter().map(|letter| (letter.offset, letter.reason)).collect();
    assert_eq!(about, [(40, "delta_temporality"), (41, "truncated"), (42, "delta_temporality")]);
    assert_eq!(letters[0].detail, "3 points refused, the first of metric \"d\"");
    assert!(letters[1].detail.contains("at byte"), "{}", letters[1].detail);
}

#[test]
fn compressed_records_and_json_give_the_same_samples() {
    let json = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/metrics/histogram/in.json")).unwrap();
    let protobuf = json_to_protobuf(Signal::Metrics, &json).unwrap();
    let mut snappy = Vec::new();
    weir_remote_write::Compressor::new().compress(&protobuf, &mut snappy).unwrap();
    let values: [Value<'_>; 4] = [
        (&protobuf, &[]),
        (&json, &[]),
        (&json, &[("content-type", b"application/json")]),
        (&snappy, &[("content-encoding", b"snappy")]),
    ];
    let texts = values.map(|value| render(process(&mut processor(&Config::default()), &[value], 0)));
    assert!(texts[0].contains("http_server_duration_seconds_bucket"));
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:#?}");
}

#[test]
fn a_record_in_an_unknown_compression_is_rejected() {
    let (items, letters) = process(&mut processor(&Config::default()), &[(b"", &[("content-encoding", b"br")])], 0);
    assert!(items.is_empty());
    assert_eq!(letters[0].reason, "unknown_compression");
}

#[test]
fn what_a_dead_letter_tells_holds_no_value_of_the_payload() {
    let json = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"n","gauge":{"dataPoints":[
        {"asDouble":1,"attributes":[{"key":"password","value":{"stringValue":"hunter2"}}]}]}}]}]}]}"#;
    let (_, letters) = one(&mut processor(&Config::default()), json);
    assert_eq!(letters[0].reason, "missing_timestamp");
    assert_eq!(letters[0].detail, "1 points refused, the first of metric \"n\"");
    let (_, letters) = one(&mut processor(&Config::default()), br#"{"resourceMetrics":"hunter2"}"#);
    assert!(!letters[0].detail.contains("hunter2"), "{}", letters[0].detail);
}

#[test]
fn counters_follow_the_caches() {
    let mut registry = prometheus_client::registry::Registry::default();
    let instruments = Instruments::new(&mut registry);
    let mut processor =
        MetricsProcessor::new(&Config::default(), &Shared::new(&Config::default()).unwrap(), instruments);
    one(&mut processor, &everything());
    let scrape = |registry| {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    };
    let text = scrape(&registry);
    assert!(text.contains("points_refused_total{reason=\"delta_temporality\"} 3"), "{text}");
    assert!(!text.contains("attribute_sets_remembered 0"), "{text}");
    drop(processor);
    let text = scrape(&registry);
    assert!(text.contains("attribute_sets_remembered 0") && text.contains("series_cache_bytes 0"), "{text}");
}

proptest! {
    /// Guards: invariant 7.
    #[test]
    fn batching_changes_nothing(cuts in prop::collection::vec(any::<bool>(), 12), cut in 0_usize..2000) {
        let whole = everything();
        let cut = &whole[..cut.min(whole.len())];
        let values: Vec<Value<'_>> = (0..12).map(|n| if n % 3 == 1 { (cut, &[][..]) } else { (&whole[..], &[][..]) }).collect();
        let want = render(process(&mut processor(&Config::default()), &values, 0));

        let mut batched = processor(&Config::default());
        let (mut items, mut letters, mut from) = (Vec::new(), Vec::new(), 0);
        for to in 1..=values.len() {
            if to == values.len() || cuts[to] {
                let (more, refused) = process(&mut batched, &values[from..to], i64::try_from(from).unwrap());
                items.extend(more);
                letters.extend(refused);
                from = to;
            }
        }
        prop_assert_eq!(render((items, letters)), want);
    }

    #[test]
    fn bytes_of_any_kind_are_translated_or_rejected(value: Vec<u8>) {
        one(&mut processor(&Config::default()), &value);
    }

    #[test]
    fn a_changed_request_is_translated_or_rejected(at: prop::sample::Index, bytes in prop::array::uniform4(any::<u8>())) {
        let mut value = everything();
        let at = at.index(value.len() - bytes.len());
        value[at..at + bytes.len()].copy_from_slice(&bytes);
        one(&mut processor(&Config::default()), &value);
    }
}

mod routes;
