use std::io::ErrorKind;

use serde::Deserialize;
use weir_config::{ByteSize, Document, Duration, unset};

use super::*;

/// The tables of a worker.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Worker {
    remote_write: Endpoints,
    otlp: Otlp,
}

/// A configuration with every key, all of them good; each test replaces some lines.
const GOOD: &str = r#"[remote_write]
name = "near"
url = "https://127.0.0.1:9090/api/v1/write"
protocol = "2.0"
max_samples = 5000
max_bytes = "1MiB"
linger = "1s"
shards = 8
timeout = "10s"
headers = { X-Region = "eu" }
external_labels = { region = "eu" }
write_relabel_configs = [{ source_labels = ["a", "b"], separator = "-", regex = "x(.*)", modulus = 7, target_label = "c", replacement = "y$1", action = "hashmod" }]
[remote_write.security]
username = "weir"
password = "hunter2"
ca_file = "ca.pem"
certificate_file = "weir.pem"
key_file = "weir.key"
[otlp]
translation_strategy = "NoTranslation"
promote_resource_attributes = ["service.name"]
promote_all_resource_attributes = false
ignore_resource_attributes = []
keep_identifying_resource_attributes = true
promote_scope_metadata = true
label_name_underscore_sanitization = false
label_name_preserve_multiple_underscores = false
series_cache = "32MiB"
attributes = [{ name = "user.id", action = "hash" }]
tenant = { attribute = "team", default = "nobody", header = "X-Team" }
limits = { series_per_tenant = 1000, series_per_metric = 100, window = "30m" }
convert_histograms_to_nhcb = true
delta_to_cumulative = true
delta_max_series = 10
delta_max_stale = "5m"
"#;

fn read(text: &str) -> (Config, String) {
    let document = Document::parse("t.toml", text).unwrap();
    let (Worker { remote_write, otlp }, mut report) = document.read::<Worker>(&|_| Err(ErrorKind::Unsupported.into()));
    remote_write.check(&mut report.at(""));
    otlp.check(&mut report.at("otlp"));
    (Config { remote_write, otlp }, report.finish().err().map(|problems| problems.to_string()).unwrap_or_default())
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
    assert_eq!(read("[remote_write]\n[otlp]\n"), (Config::default(), String::new()));
}

#[test]
fn every_key_is_read() {
    let (config, problems) = read(GOOD);
    assert_eq!(problems, "");
    let text = |value: &str| Some(unset(value.to_owned()));
    let endpoint = Endpoint {
        name: text("near"),
        url: unset("https://127.0.0.1:9090/api/v1/write".to_owned()),
        protocol: Protocol::V2,
        max_samples: unset(5000),
        max_bytes: unset(ByteSize::mib(1)),
        linger: unset(Duration::from_secs(1)),
        shards: unset(8),
        timeout: unset(Duration::from_secs(10)),
        headers: [(unset("X-Region".to_owned()), unset("eu".to_owned().into()))].into(),
        security: Security {
            username: text("weir"),
            password: Some(unset("hunter2".to_owned().into())),
            bearer_token_file: None,
            ca_file: text("ca.pem"),
            certificate_file: text("weir.pem"),
            key_file: text("weir.key"),
        },
        external_labels: [(unset("region".to_owned()), unset("eu".to_owned()))].into(),
        write_relabel_configs: vec![unset(Relabel {
            source_labels: vec!["a".to_owned(), "b".to_owned()],
            separator: unset("-".to_owned()),
            regex: unset("x(.*)".to_owned()),
            modulus: unset(7),
            target_label: unset("c".to_owned()),
            replacement: unset("y$1".to_owned()),
            action: Action::HashMod,
        })],
    };
    let otlp = Otlp {
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
        attributes: vec![Attribute { name: unset("user.id".to_owned()), action: Fate::Hash }],
        tenant: Some(Tenant {
            attribute: unset("team".to_owned()),
            default: unset("nobody".to_owned()),
            header: unset("X-Team".to_owned()),
        }),
        limits: Limits {
            series_per_tenant: Some(unset(1000)),
            series_per_metric: Some(unset(100)),
            window: unset(Duration::from_mins(30)),
        },
        delta_to_cumulative: true,
        delta_max_series: unset(10),
        delta_max_stale: unset(Duration::from_mins(5)),
    };
    assert_eq!(config, Config { remote_write: endpoint.into(), otlp });
}

#[test]
fn what_is_shown_has_neither_password_nor_header_nor_query() {
    let text =
        GOOD.replace("/write\"", "/write?token=hunter2\"").replace("X-Region = \"eu\"", "X-Region = \"hunter2\"");
    let (config, problems) = read(&text);
    assert_eq!(problems, "");
    let shown = serde_json::to_string(&config).unwrap();
    assert!(shown.contains("X-Region") && shown.contains("/api/v1/write") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn all_four_translation_strategies_have_the_names_that_prometheus_gives_them() {
    for (name, strategy) in [
        ("UnderscoreEscapingWithSuffixes", TranslationStrategy::UnderscoreEscapingWithSuffixes),
        ("UnderscoreEscapingWithoutSuffixes", TranslationStrategy::UnderscoreEscapingWithoutSuffixes),
        ("NoUTF8EscapingWithSuffixes", TranslationStrategy::NoUTF8EscapingWithSuffixes),
        ("NoTranslation", TranslationStrategy::NoTranslation),
    ] {
        let (config, problems) = read(&format!("otlp.translation_strategy = \"{name}\""));
        assert_eq!((config.otlp.translation_strategy, problems.as_str()), (strategy, ""));
    }
}

#[test]
fn every_value_outside_its_range_is_a_problem() {
    problems(
        &[
            ("\"near\"", "\" \""),
            ("https://127.0.0.1:9090", "127.0.0.1:9090"),
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
            "t.toml:2:8: remote_write.name: expected a name, not an empty one",
            "t.toml:3:7: remote_write.url: expected a URL such as http://127.0.0.1:9090/path",
            "t.toml:4:12: remote_write.protocol: expected one of `auto`, `1.0`, `2.0`",
            "t.toml:5:15: remote_write.max_samples: 0 is outside 1..=1000000",
            "t.toml:6:13: remote_write.max_bytes: 33MiB is outside 64KiB..=32MiB",
            "t.toml:7:10: remote_write.linger: 2m is outside 0s..=1m",
            "t.toml:8:10: remote_write.shards: 257 is outside 1..=256",
            "t.toml:9:11: remote_write.timeout: 1ms is outside 100ms..=10m",
            "t.toml:16:11: remote_write.security.ca_file: goes with an https:// URL only",
            "t.toml:17:20: remote_write.security.certificate_file: goes with an https:// URL only",
            "t.toml:18:12: remote_write.security.key_file: goes with an https:// URL only",
            "t.toml:20:24: otlp.translation_strategy: expected one of `UnderscoreEscapingWithSuffixes`, \
             `UnderscoreEscapingWithoutSuffixes`, `NoUTF8EscapingWithSuffixes`, `NoTranslation`",
            "t.toml:28:16: otlp.series_cache: 1KiB is outside 1MiB..=16GiB",
        ],
    );
}

#[test]
fn several_endpoints_are_a_list_of_tables_each_with_a_name_of_its_own() {
    let (config, problems) = read(
        "[[remote_write]]\nurl = \"http://a/\"\n[[remote_write]]\nurl = \"http://b:1/\"\n\
         [remote_write.security]\nbearer_token_file = \"t\"\n[[remote_write]]\nname = \"c\"\nurl = \"http://a/\"\n",
    );
    assert_eq!(problems, "");
    let names: Vec<_> = config.remote_write.iter().map(Endpoint::name).collect();
    assert_eq!(names, ["a", "b:1", "c"]);
    let shown: Vec<_> = config.remote_write.iter().map(|endpoint| endpoint.security.shown()).collect();
    assert_eq!(shown, [vec![], vec!["bearer token"], vec![]]);

    let (_, problems) =
        read("[[remote_write]]\nurl = \"http://a/\"\n[[remote_write]]\nurl = \"http://a/2\"\nshards = 0\nshard = 1\n");
    let expected = [
        "t.toml:4:7: remote_write[1].name: remote_write[0] is called the same: give each a name of its own",
        "t.toml:5:10: remote_write[1].shards: 0 is outside 1..=256",
        "t.toml:6:1: remote_write[1].shard: unknown key; did you mean `shards`?",
    ];
    assert_eq!(problems, expected.join("\n"));
    let (_, problems) = read("remote_write = []\n");
    assert_eq!(problems, "t.toml: remote_write: expected 1 to 16 tables [[...remote_write]]");
    let (_, problems) = read("remote_write = 5\n");
    assert_eq!(problems, "t.toml:1:16: remote_write: expected a table, or a list of tables, not a whole number");
}

#[test]
fn security_that_does_not_go_together_is_a_problem() {
    problems(
        &[("password = \"hunter2\"\n", "bearer_token_file = \"\"\n"), ("key_file = \"weir.key\"\n", "")],
        &[
            "t.toml:14:12: remote_write.security.password: is missing, which username needs",
            "t.toml:15:21: remote_write.security.bearer_token_file: a request has one authorization: username says another",
            "t.toml:15:21: remote_write.security.bearer_token_file: expected the path of a file, not an empty one",
            "t.toml:17:20: remote_write.security.key_file: is missing, which certificate_file needs",
        ],
    );
    problems(
        &[("username = \"weir\"\n", "\n"), ("certificate_file = \"weir.pem\"\n", "")],
        &[
            "t.toml:15:12: remote_write.security.username: is missing, which password needs",
            "t.toml:17:12: remote_write.security.certificate_file: is missing, which key_file needs",
        ],
    );
    problems(
        &[("\"weir\"", "\"we:ir\"")],
        &["t.toml:14:12: remote_write.security.username: must not have a colon in it"],
    );
}

#[test]
fn a_header_that_is_weirs_own_or_no_header_is_a_problem_which_tells_no_value() {
    problems(
        &[("{ X-Region = \"eu\" }", "{ Authorization = \"hunter2\", \"a b\" = \"hunter\\n2\" }")],
        &[
            "t.toml:10:13: remote_write.headers.Authorization: Weir sets this header itself",
            "t.toml:10:40: remote_write.headers.\"a b\": expected the name of a header",
            "t.toml:10:48: remote_write.headers.\"a b\": expected a header's value: no line breaks or control characters",
        ],
    );
}

#[test]
fn attributes_are_promoted_by_name_or_all_of_them_but_not_both() {
    problems(
        &[("promote_all_resource_attributes = false", "promote_all_resource_attributes = true")],
        &["t.toml:21:31: otlp.promote_resource_attributes: promote_all_resource_attributes promotes these already; \
           remove one of the two"],
    );
    problems(
        &[("= []", "= [\"x\"]")],
        &["t.toml:23:30: otlp.ignore_resource_attributes: has a meaning only with \
           promote_all_resource_attributes = true"],
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
            "t.toml:21:31: otlp.promote_resource_attributes[1]: expected the name of an attribute, not an empty one",
            "t.toml:21:31: otlp.promote_resource_attributes[3]: this attribute is listed already",
        ],
    );
}

#[test]
fn an_unknown_key_is_a_problem_with_the_nearest_known_one() {
    problems(
        &[("promote_scope_metadata", "promote_scope_meta_data"), ("linger", "lingr")],
        &[
            "t.toml:7:1: remote_write.lingr: unknown key; did you mean `linger`?",
            "t.toml:25:1: otlp.promote_scope_meta_data: unknown key; did you mean `promote_scope_metadata`?",
        ],
    );
}

#[test]
fn a_rule_that_prometheus_would_refuse_is_a_problem() {
    let rules = [
        "{ action = \"replaec\", target_label = \"a\" }",
        "{ source_labels = [\"a\"], regex = \"(\", action = \"keep\" }",
        "{ source_labels = [\"a\"], target_label = \"b\", action = \"hashmod\" }",
        "{ source_labels = [\"a\"] }",
        "{ source_labels = [\"a\"], target_label = \"b\", replacement = \"x\", action = \"lowercase\" }",
        "{ source_labels = [\"a\"], target_label = \"b\", regex = \"x\", separator = \"x\", action = \"keepequal\" }",
        "{ source_labels = [\"a\"], regex = \"x\", action = \"labeldrop\", sep = 1 }",
        "{ replacement = \"\", action = \"labelmap\" }",
    ];
    let text = format!("[remote_write]\nwrite_relabel_configs = [\n{},\n]\n", rules.join(",\n"));
    let expected = [
        "t.toml:3:12: remote_write.write_relabel_configs[0].action: expected one of `replace`, `keep`, `drop`, \
         `keepequal`, `dropequal`, `hashmod`, `labelmap`, `labeldrop`, `labelkeep`, `lowercase`, `uppercase`",
        "t.toml:4:34: remote_write.write_relabel_configs[1].regex: not a regular expression: unclosed group",
        "t.toml:5:1: remote_write.write_relabel_configs[2].modulus: hashmod needs one, above 0",
        "t.toml:6:1: remote_write.write_relabel_configs[3].target_label: is missing, which replace needs",
        "t.toml:7:60: remote_write.write_relabel_configs[4].replacement: has no meaning with lowercase",
        "t.toml:8:54: remote_write.write_relabel_configs[5].regex: has no meaning with keepequal",
        "t.toml:8:71: remote_write.write_relabel_configs[5].separator: has no meaning with keepequal",
        "t.toml:9:1: remote_write.write_relabel_configs[6].source_labels: has no meaning with labeldrop",
        "t.toml:9:61: remote_write.write_relabel_configs[6].sep: unknown key; known are `source_labels`, `separator`, \
         `regex`, `modulus`, `target_label`, `replacement`, `action`",
        "t.toml:10:17: remote_write.write_relabel_configs[7].replacement: expected a label's name, not an empty one",
    ];
    assert_eq!(read(&text).1, expected.join("\n"));
}

#[test]
fn an_external_label_has_a_name_and_a_value() {
    problems(
        &[("{ region = \"eu\" }", "{ __name__ = \"x\", a = \"\" }")],
        &[
            "t.toml:11:21: remote_write.external_labels.__name__: expected a label's name, which is not empty and not __name__",
            "t.toml:11:41: remote_write.external_labels.a: expected a value, not an empty one",
        ],
    );
}

#[test]
fn rules_tenants_and_limits_that_make_no_sense_are_problems() {
    problems(
        &[
            (
                "[{ name = \"user.id\", action = \"hash\" }]",
                "[\n{ name = \"\", action = \"hash\" },\n{ name = \"a\", action = \"no\" },\n\
              { name = \"a\", action = \"drop\" },\n{ name = \"a\", action = \"drop\" }]",
            ),
            ("\"team\"", "\"\""),
            ("\"nobody\"", "\"no\\nbody\""),
            ("\"X-Team\"", "\"X Team\""),
            ("= 1000", "= 0"),
            ("30m", "30s"),
        ],
        &[
            "t.toml:30:10: otlp.attributes[0].name: expected the name of an attribute, not an empty one",
            "t.toml:31:24: otlp.attributes[1].action: expected `drop` or `hash`",
            "t.toml:32:10: otlp.attributes[2].name: this attribute is listed already",
            "t.toml:33:10: otlp.attributes[3].name: this attribute is listed already",
            "t.toml:34:24: otlp.tenant.attribute: expected the name of a resource attribute, not an empty one",
            "t.toml:34:38: otlp.tenant.default: expected a tenant, as a header can hold it",
            "t.toml:34:59: otlp.tenant.header: expected the name of a header",
            "t.toml:35:32: otlp.limits.series_per_tenant: 0 is outside 1..=100000000",
            "t.toml:35:69: otlp.limits.window: 30s is outside 1m..=7d",
        ],
    );
}
