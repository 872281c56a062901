use weir_config::Document;

use super::*;

/// Every problem of a configuration, a line each.
fn problems(text: &str) -> Vec<String> {
    let document = Document::parse("t.toml", text).unwrap();
    let (config, mut report) = document.read::<Config>(&|_| Err(std::io::ErrorKind::Unsupported.into()));
    config.check(&mut report.at(""));
    match report.finish() {
        Ok(()) => Vec::new(),
        Err(problems) => problems.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn nothing_written_is_the_default_and_has_no_problem() {
    assert_eq!(problems(""), Vec::<String>::new());
    let good = "parsers = [\"pattern\", \"json\"]\nutc_offset = \"-05:30\"\n[[pattern]]\nname = \"p\"\nregex = '(?<a>x)'\n\
        [[class]]\nclass = \"audit\"\nservice = \"^a\"\n[[class]]\nclass = \"job\"\nservice = \"^b\"\n";
    assert_eq!(problems(good), Vec::<String>::new());
}

#[test]
fn expressions_and_formats_that_can_not_work_are_told_with_their_place() {
    let text = "[[pattern]]\nname = \"p\"\nregex = '(?<a>x'\n[[pattern]]\nname = \"p\"\nregex = 'x'\n\
        [[delimited]]\nname = \"d\"\nseparator = \"::\"\ncolumns = [\"a\"]\n";
    assert_eq!(
        problems(text),
        [
            "t.toml:3:9: pattern[0].regex: not a regular expression: unclosed group",
            "t.toml:5:8: pattern[1].name: another pattern has this name already",
            "t.toml:6:9: pattern[1].regex: has no named group: write (?<name>...), and name becomes an attribute",
            "t.toml:9:13: delimited[0].separator: expected one ASCII character that is neither a quote nor a line's end",
            "t.toml:10:11: delimited[0].columns: expected the names of two columns or more: one column is any line",
        ]
    );
    let large = "[[pattern]]\nname = \"p\"\nregex = '(?<a>(\\w{100}){100})'\n";
    assert_eq!(
        problems(large),
        ["t.toml:3:9: pattern[0].regex: is larger than 1 MiB compiled: write smaller repetitions"]
    );
}

#[test]
fn parsers_that_can_never_take_a_line_are_told() {
    let text = "parsers = [\"json\", \"json\", \"delimited\"]\n[[pattern]]\nname = \"p\"\nregex = '(?<a>x)'\n";
    assert_eq!(
        problems(text),
        [
            "t.toml:1:11: parsers[1]: this parser is listed already: the second time takes nothing",
            "t.toml:1:11: parsers[2]: can never take a line: there is no table of that name",
            "t.toml:3:8: pattern[0]: can never take a line: parsers does not list its kind",
        ]
    );
    let same =
        "[[delimited]]\nname = \"a\"\ncolumns = [\"x\", \"y\"]\n[[delimited]]\nname = \"b\"\ncolumns = [\"z\", \"\"]\n";
    assert_eq!(
        problems(same),
        ["t.toml:5:8: delimited[1]: can never take a line: a before it has the same separator and number of columns"]
    );
}

#[test]
fn rules_that_never_hold_or_contradict_are_told() {
    let text = "parsers = [\"json\"]\n\
        [[class]]\nclass = \"audit\"\nservice = \"^a\"\n\
        [[class]]\nclass = \"job\"\nservice = \"^a\"\n\
        [[class]]\nclass = \"job\"\nservice = \"^a\"\nbody = \"x\"\n\
        [[class]]\nclass = \"audit\"\nservice = \"^a\"\nbody = \"(\"\n\
        [[class]]\nclass = \"infra\"\nparser = \"xml\"\nvalue = \"1\"\n\
        [[class]]\nclass = \"app\"\n\
        [[class]]\nclass = \"access\"\nservice = \"^z\"\n";
    assert_eq!(
        problems(text),
        [
            "t.toml:6:9: class[1]: contradicts class[0], which has the same conditions and says audit",
            "t.toml:9:9: class[2]: can never hold: class[0] holds wherever this one does, and comes first",
            "t.toml:13:9: class[3]: adds nothing: class[0] holds wherever this one does, and says the same",
            "t.toml:15:8: class[3].body: not a regular expression: unclosed group",
            "t.toml:18:10: class[4].parser: can never hold: no parser that is configured takes a line as that",
            "t.toml:19:9: class[4].value: says of no attribute: add attribute = \"...\"",
            "t.toml:23:9: class[6]: can never hold: class[5] holds wherever this one does, and comes first",
        ]
    );
}

#[test]
fn names_files_and_offsets_are_checked() {
    let text = "utc_offset = \"+25:00\"\nrequired = [\"a\", \"a\", \"\"]\ndead_letters = \"none\"\n\
        [[lookup]]\nfile = \"f\"\nkey = \"k\"\n[[lookup]]\nfile = \"f\"\nkey = \"k\"\n[[lookup]]\nfile = \"\"\nkey = \"\"\n[geoip]\nattributes = [\"\"]\n";
    let told = problems(text).join("\n");
    for want in [
        "t.toml:1:14: utc_offset: expected what local time is ahead of UTC",
        "t.toml:2:12: required[1]: this attribute is listed already",
        "t.toml:2:12: required[2]: expected the name of an attribute",
        "t.toml:3:16: dead_letters: ",
        "t.toml:8:8: lookup[1].file: this file is looked up by this attribute already",
        "t.toml:11:8: lookup[2].file: expected a text, not an empty one",
        "t.toml:14:14: geoip.attributes[0]: expected the name of an attribute",
    ] {
        assert!(told.contains(want), "{want} is not in\n{told}");
    }
}

#[test]
fn offsets_are_written_as_they_are_read() {
    for text in ["+00:00", "+09:00", "-05:30", "+18:00"] {
        assert_eq!(text.parse::<UtcOffset>().unwrap().to_string(), text);
    }
    for text in ["", "09:00", "+9:00", "+18:01", "+09:60", "+0900", "+é9:00"] {
        assert!(text.parse::<UtcOffset>().is_err(), "{text}");
    }
}

#[test]
fn rules_that_measure_nothing_or_what_another_does_are_told_with_their_place() {
    let text = "[[measure.rule]]\nname = \"log_Lines\"\n[[measure.rule]]\nname = \"a\"\nbody = \"(\"\nlabels = [\"x\", \"x\"]\n\
        [[measure.rule]]\nname = \"b\"\nbounds = [1, 2]\nvalue = \"x\"\n[[measure.rule]]\nname = \"c\"\nobserve = \"ms\"\nbounds = [2, 1]\n\
        [[measure.rule]]\nname = \"d\"\nparser = \"access\"\nclass = [\"audit\", \"audit\"]\n[[measure.rule]]\nname = \"e\"\nobserve = \"ms\"\n\
        bounds = [2, 1]\n[measure]\ninterval = \"0s\"\nmax_series = 0\noutput = \"telemetry-logs-enriched\"\n";
    assert_eq!(
        problems(text),
        [
            "t.toml:2:8: measure.rule[0].name: a ready-made rule has this name already: two rules cannot make one metric",
            "t.toml:5:8: measure.rule[1].body: not a regular expression: unclosed group",
            "t.toml:6:10: measure.rule[1].labels[1]: this attribute is listed already",
            "t.toml:9:10: measure.rule[2].bounds: says of nothing: add observe = \"...\", or leave it out and lines are \
             counted",
            "t.toml:10:9: measure.rule[2].value: says of no attribute: add attribute = \"...\"",
            "t.toml:14:10: measure.rule[3].bounds: expected numbers that rise, each above the one before",
            "t.toml:18:9: measure.rule[4].class: a class is listed twice",
            "t.toml:18:9: measure.rule[4].class: can never hold: lines of parser access have other classes, unless a rule \
             in class says so",
            "t.toml:20:8: measure.rule[5]: adds nothing: c measures the same",
            "t.toml:22:10: measure.rule[5].bounds: expected numbers that rise, each above the one before",
            "t.toml:24:12: measure.interval: 0s is outside 1s..=5m",
            "t.toml:25:14: measure.max_series: 0 is outside 1..=100000",
            "t.toml:26:10: measure.output: is the topic of the lines: metrics need one of their own",
        ]
    );
    let good = "[[class]]\nclass = \"audit\"\nservice = \"^a\"\n[[measure.rule]]\nname = \"d\"\nparser = \"access\"\nclass = [\"audit\"]\n";
    assert_eq!(problems(good), Vec::<String>::new());
    let off = "[measure]\nready_made = false\n[[measure.rule]]\nname = \"log.lines\"\n";
    assert_eq!(problems(off), Vec::<String>::new());
}

/// Guards: no series takes another's place in Prometheus.
#[test]
fn names_that_prometheus_would_lose_or_take_for_others_are_told_with_their_place() {
    let long = "n".repeat(257);
    let text = format!(
        "[[measure.rule]]\nname = \"log_errors_total\"\nbody = \"a\"\n\
        [[measure.rule]]\nname = \"log.response__time_seconds\"\nobserve = \"ms\"\n\
        [[measure.rule]]\nname = \"日本\"\nbody = \"b\"\n\
        [[measure.rule]]\nname = \"{long}\"\nunit = \"{long}\"\ndescription = \"{}\"\n\
        [[measure.rule]]\nname = \"d\"\nlabels = [\"job\", \"instance\", \"le\", \"quantile\", \"__name__\", \
        \"otel.metric.overflow\", \"a.b\", \"a_b\", \"日\", \"{long}\"]\n\
        [[measure.rule]]\nname = \"waits\"\nunit = \"ms\"\nobserve = \"x\"\n\
        [[measure.rule]]\nname = \"waits.milliseconds\"\nobserve = \"x\"\n",
        "d".repeat(1_025)
    );
    let labels = "t.toml:16:10: measure.rule[4].labels";
    let other = "in Prometheus, which says something else there: give the attribute another name";
    assert_eq!(
        problems(&text),
        [
            "t.toml:2:8: measure.rule[0].name: a ready-made rule has this name already: two rules cannot make one metric",
            "t.toml:5:8: measure.rule[1].name: a ready-made rule has this name already: two rules cannot make one metric",
            "t.toml:8:8: measure.rule[2].name: expected a name with a letter from a to z: Prometheus keeps no others",
            "t.toml:11:8: measure.rule[3].description: is longer than 1024 bytes",
            "t.toml:11:8: measure.rule[3].name: is longer than 256 bytes",
            "t.toml:11:8: measure.rule[3].unit: is longer than 256 bytes",
            &format!("{labels}[0]: is job {other}"),
            &format!("{labels}[1]: is instance {other}"),
            &format!("{labels}[2]: is le {other}"),
            &format!("{labels}[3]: is quantile {other}"),
            &format!("{labels}[4]: is _name_ {other}"),
            &format!("{labels}[5]: is otel_metric_overflow {other}"),
            &format!("{labels}[7]: is a_b in Prometheus, as a.b is: one of them would be lost"),
            &format!("{labels}[8]: expected a name with a letter from a to z or a digit: Prometheus keeps no others"),
            &format!("{labels}[9]: is longer than 256 bytes"),
            "t.toml:22:8: measure.rule[6].name: rule[5] has this name already: two rules cannot make one metric",
        ]
    );
    let apart = "[[measure.rule]]\nname = \"waits\"\nunit = \"s\"\nobserve = \"x\"\n\
        [[measure.rule]]\nname = \"waits\"\nunit = \"By/s\"\nobserve = \"y\"\n";
    assert_eq!(problems(apart), Vec::<String>::new());
}

#[test]
fn volume_rules_that_drop_what_must_stay_or_contradict_are_told_with_their_place() {
    let text = "[volume]\nmax_body = \"1B\"\n[[volume.limit]]\nclass = [\"app\", \"audit\"]\nkeep = 1.5\n\
        [[volume.limit]]\nclass = [\"app\"]\nup_to = \"info\"\nkeep = 0.5\n[[volume.limit]]\nclass = [\"job\"]\nup_to = \"info\"\n\
        [[volume.limit]]\nclass = [\"job\"]\nup_to = \"info\"\nper_second = 5\n[[volume.limit]]\nclass = [\"job\"]\nkeep = 0.5\n";
    assert_eq!(
        problems(text),
        [
            "t.toml:2:12: volume.max_body: 1B is outside 256B..=1GiB",
            "t.toml:4:9: volume.limit[0].class: lines of class audit are never dropped",
            "t.toml:5:8: volume.limit[0].keep: expected the share that is kept, from 0 to below 1, such as 0.1",
            "t.toml:9:8: volume.limit[1]: can never hold: limit[0] is of all its lines, and comes first",
            "t.toml:11:9: volume.limit[2]: says nothing: add keep = 0.1, a share, or per_second = 100, a number of lines",
            "t.toml:16:14: volume.limit[3]: contradicts limit[2], which is of the same lines, and comes first",
        ]
    );
    assert_eq!(
        problems("[[volume.limit]]\nclass = [\"app\"]\nkeep = 0.1\n[[volume.limit]]\nkeep = 0.5\n"),
        Vec::<String>::new()
    );
}
