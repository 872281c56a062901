use weir_config::Document;

use super::*;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    mask: Config,
}

/// The configuration, or every problem of it.
fn read(text: &str) -> Result<Config, String> {
    let document = Document::parse("t.toml", text).map_err(|problems| problems.to_string())?;
    let (file, mut report) = document.read::<File>(&|_| Err(std::io::ErrorKind::NotFound.into()));
    file.mask.check(&mut report.at("mask"));
    report.finish().map_err(|problems| problems.to_string())?;
    Ok(file.mask)
}

const GOOD: &str = r#"
[mask]
keys = [
    { id = "2025", key = "30313233343536373839616263646566" },
    { id = "2026", key = "0123456789abcdef", encoding = "raw" },
]
[mask.actions]
email = "hash"
card = "partial"
ipv4 = "keep"
[mask.class.audit]
email = "keep"
ipv4 = "pseudonymise"
[mask.fields]
"user.id" = "hash"
note = "drop"
"#;

#[test]
fn a_class_goes_before_all_classes_and_those_before_the_defaults() {
    let config = read(GOOD).unwrap();
    assert_eq!(config.action(Class::App, Detector::Email), Action::Hash);
    assert_eq!(config.action(Class::Audit, Detector::Email), Action::Keep);
    assert_eq!(config.action(Class::Audit, Detector::Ipv4), Action::Pseudonymise);
    assert_eq!(config.action(Class::App, Detector::Ipv4), Action::Keep);
    assert_eq!(config.action(Class::App, Detector::Ipv6), Action::Pseudonymise);
    assert_eq!(config.action(Class::Audit, Detector::Password), Action::Redact);
    assert_eq!(config.notices(), Vec::<String>::new());
}

#[test]
fn every_problem_is_told_with_its_place() {
    let problems = read(
        r#"
[mask]
keys = [{ id = "a b", key = "12" }, { id = "x", key = "zz" }, { id = "x", key = "30313233343536373839616263646566" }]
[mask.actions]
email = "pseudonymise"
field = "keep"
emial = "keep"
[mask.class.audit]
card = "forget"
[mask.class.web]
[mask.fields]
a = "pseudonymise"
"" = "redact"
User = "hash"
user = "drop"
"#,
    )
    .unwrap_err();
    for expected in [
        "t.toml:3:16: mask.keys[0].id: expected 1 to 32 letters, digits, dashes, dots or underscores as a key's name",
        "mask.keys[0].key: a key of 1 bytes is too short",
        "mask.keys[1].key: expected a key in hexadecimal digits",
        "mask.keys[2].id: another key has this name already",
        "t.toml:5:9: mask.actions.email: only ipv4 and ipv6 can be pseudonymised",
        "mask.actions.field: what is done with a field stands at its name, in fields",
        "mask.actions.emial: ",
        "mask.class.audit.card: expected ",
        "mask.class.web: ",
        "mask.fields.a: pseudonymise is for the detectors ipv4 and ipv6",
        "mask.fields.\"\": expected a field's name, not an empty one",
        "is the same field: remove one of the two",
    ] {
        assert!(problems.contains(expected), "{expected} is not in:\n{problems}");
    }
    assert!(!problems.contains("zz"), "{problems}");
}

#[test]
fn a_key_file_that_is_missing_is_a_problem_with_a_place() {
    let problems = read("[mask]\nkeys = [{ id = \"a\", key = \"${file:none}\" }]\n").unwrap_err();
    assert!(problems.starts_with("t.toml:2:"), "{problems}");
    assert!(problems.contains("could not read ${file:none}"), "{problems}");
}

#[test]
fn what_needs_a_key_and_has_none_is_told() {
    let notices = read("[mask.actions]\nemail = \"hash\"\n[mask.fields]\nid = \"hash\"\n").unwrap().notices();
    assert_eq!(
        notices,
        [
            "email: hash needs a key, and keys has none: it is redacted (class access, app, audit, security, job, infra)",
            "ipv4: pseudonymise needs a key, and keys has none: it is redacted (class access, app, job)",
            "ipv6: pseudonymise needs a key, and keys has none: it is redacted (class access, app, job)",
            "field id: hash needs a key, and keys has none: it is redacted",
        ]
    );
}
