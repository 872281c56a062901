use super::*;
use weir_config::Document;

/// A configuration with every key, all of them good; each test replaces some lines.
const GOOD: &str = r#"url = "http://127.0.0.1:9090/api/v1/write"
protocol = "2.0"
max_samples = 5000
max_bytes = "1MiB"
linger = "1s"
shards = 8
timeout = "10s"
translation_strategy = "NoTranslation"
promote_resource_attributes = ["service.name"]
promote_all_resource_attributes = false
ignore_resource_attributes = []
keep_identifying_resource_attributes = true
convert_histograms_to_nhcb = true
promote_scope_metadata = true
label_name_underscore_sanitization = false
label_name_preserve_multiple_underscores = false
series_cache = "32MiB"
"#;

fn read(text: &str) -> (Config, String) {
    let document = Document::parse("t.toml", text).unwrap();
    let (config, mut report) = document.read::<Config>(&|_| Err(std::io::ErrorKind::Unsupported.into()));
    config.check(&mut report.at(""));
    (config, report.finish().err().map(|problems| problems.to_string()).unwrap_or_default())
}

#[track_caller]
fn problems(patches: &[(&str, &str)], expected: &[&str]) {
    let mut text = GOOD.to_owned();
    for (line, patched) in patches {
        assert!(text.contains(line), "{line}");
        text = text.replace(line, patched);
    }
    assert_eq!(read(&text).1, expected.join("\n"));
}

#[test]
fn nothing_written_is_the_defaults_which_are_good() {
    assert_eq!(read(""), (Config::default(), String::new()));
}

#[test]
fn every_key_is_read() {
    let (config, problems) = read(GOOD);
    assert_eq!(problems, "");
    let expected = Config {
        url: unset("http://127.0.0.1:9090/api/v1/write".to_owned()),
        protocol: Protocol::V2,
        max_samples: unset(5000),
        max_bytes: unset(ByteSize::mib(1)),
        linger: unset(Duration::from_secs(1)),
        shards: unset(8),
        timeout: unset(Duration::from_secs(10)),
        translation_strategy: TranslationStrategy::NoTranslation,
        promote_resource_attributes: unset(vec!["service.name".to_owned()]),
        promote_all_resource_attributes: false,
        ignore_resource_attributes: unset(Vec::new()),
        keep_identifying_resource_attributes: true,
        convert_histograms_to_nhcb: true,
        promote_scope_metadata: true,
        label_name_underscore_sanitization: false,
        label_name_preserve_multiple_underscores: false,
        series_cache: unset(ByteSize::mib(32)),
    };
    assert_eq!(config, expected);
}

#[test]
fn all_four_translation_strategies_have_the_names_that_prometheus_gives_them() {
    for (name, strategy) in [
        ("UnderscoreEscapingWithSuffixes", TranslationStrategy::UnderscoreEscapingWithSuffixes),
        ("UnderscoreEscapingWithoutSuffixes", TranslationStrategy::UnderscoreEscapingWithoutSuffixes),
        ("NoUTF8EscapingWithSuffixes", TranslationStrategy::NoUTF8EscapingWithSuffixes),
        ("NoTranslation", TranslationStrategy::NoTranslation),
    ] {
        let (config, problems) = read(&format!("translation_strategy = \"{name}\""));
        assert_eq!((config.translation_strategy, problems.as_str()), (strategy, ""));
    }
}

#[test]
fn every_value_outside_its_range_is_a_problem() {
    problems(
        &[
            ("http://127.0.0.1:9090/api/v1/write", "127.0.0.1:9090"),
            ("2.0", "3.0"),
            ("5000", "0"),
            ("1MiB", "33MiB"),
            ("linger = \"1s\"", "linger = \"2m\""),
            ("= 8", "= 257"),
            ("\"10s\"", "\"1ms\""),
            ("\"NoTranslation\"", "\"None\""),
            ("32MiB", "1KiB"),
        ],
        &[
            "t.toml:1:7: url: expected a URL such as http://127.0.0.1:9090/path",
            "t.toml:2:12: protocol: expected one of `auto`, `1.0`, `2.0`",
            "t.toml:3:15: max_samples: 0 is outside 1..=1000000",
            "t.toml:4:13: max_bytes: 33MiB is outside 64KiB..=32MiB",
            "t.toml:5:10: linger: 2m is outside 0s..=1m",
            "t.toml:6:10: shards: 257 is outside 1..=256",
            "t.toml:7:11: timeout: 1ms is outside 100ms..=10m",
            "t.toml:8:24: translation_strategy: expected one of `UnderscoreEscapingWithSuffixes`, \
             `UnderscoreEscapingWithoutSuffixes`, `NoUTF8EscapingWithSuffixes`, `NoTranslation`",
            "t.toml:17:16: series_cache: 1KiB is outside 1MiB..=16GiB",
        ],
    );
}

#[test]
fn attributes_are_promoted_by_name_or_all_of_them_but_not_both() {
    problems(
        &[("promote_all_resource_attributes = false", "promote_all_resource_attributes = true")],
        &["t.toml:9:31: promote_resource_attributes: promote_all_resource_attributes promotes these already; \
           remove one of the two"],
    );
    problems(
        &[("= []", "= [\"x\"]")],
        &["t.toml:11:30: ignore_resource_attributes: has a meaning only with promote_all_resource_attributes = true"],
    );
    problems(
        &[
            ("[\"service.name\"]", "[]"),
            ("promote_all_resource_attributes = false", "promote_all_resource_attributes = true"),
            ("= []\nkeep", "= [\"x\"]\nkeep"),
        ],
        &[],
    );
}

#[test]
fn an_attribute_that_is_empty_or_listed_twice_is_a_problem() {
    problems(
        &[("[\"service.name\"]", "[\"a\", \"\", \"b\", \" a \"]")],
        &[
            "t.toml:9:31: promote_resource_attributes[1]: expected the name of an attribute, not an empty one",
            "t.toml:9:31: promote_resource_attributes[3]: this attribute is listed already",
        ],
    );
}

#[test]
fn an_unknown_key_is_a_problem_with_the_nearest_known_one() {
    problems(
        &[("promote_scope_metadata", "promote_scope_meta_data"), ("shards", "num_shards")],
        &[
            "t.toml:6:1: num_shards: unknown key; known are `url`, `protocol`, `max_samples`, `max_bytes`, `linger`, \
             `shards`, `timeout`, `translation_strategy`, `promote_resource_attributes`, \
             `promote_all_resource_attributes`, `ignore_resource_attributes`, `keep_identifying_resource_attributes`, \
             `convert_histograms_to_nhcb`, `promote_scope_metadata`, `label_name_underscore_sanitization`, \
             `label_name_preserve_multiple_underscores`, `series_cache`",
            "t.toml:14:1: promote_scope_meta_data: unknown key; did you mean `promote_scope_metadata`?",
        ],
    );
}
