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
