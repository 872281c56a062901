use weir_config::Document;

use super::*;
use crate::config::Endpoints;

/// An endpoint, from what is written below its table.
fn endpoint(text: &str) -> Endpoint {
    let document = Document::parse("t.toml", text).unwrap();
    let (endpoints, mut report) = document.read::<Endpoints>(&|_| Err(std::io::ErrorKind::Unsupported.into()));
    endpoints.check(&mut report.at(""));
    report.finish().unwrap();
    endpoints.iter().next().unwrap().clone()
}

/// What becomes of labels, written as `name=value`, under rules, one a line, each the inside of a table. The name of the
/// series goes without saying.
#[track_caller]
fn check(labels: &[&str], rules: &[&str], expected: Option<&[&str]>) {
    let text: Vec<_> = rules.iter().map(|rule| format!("{{ {rule} }}")).collect();
    let text = format!("write_relabel_configs = [{}]", text.join(", "));
    applied(&text, labels, expected);
}

#[track_caller]
fn applied(text: &str, labels: &[&str], expected: Option<&[&str]>) {
    let relabelling = Relabelling::new(&endpoint(text)).unwrap();
    let mut pairs: Vec<_> = labels.iter().map(|label| label.split_once('=').unwrap()).collect();
    pairs.push(("__name__", "m"));
    pairs.sort_unstable();
    let got = match relabelling.apply(&pairs) {
        Outcome::Dropped => None,
        Outcome::Same => panic!("nothing is done: {text}"),
        Outcome::Changed(labels) => {
            let own = labels.into_iter().filter(|(name, _)| name != "__name__");
            Some(own.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
        }
    };
    let expected = expected.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>());
    assert_eq!(got, expected, "{text}");
}

const ABC: [&str; 3] = ["a=foo", "b=bar", "c=baz"];

#[test]
fn replace_writes_what_the_groups_of_a_whole_match_make() {
    let rule = "source_labels = ['a'], regex = 'f(.*)', target_label = 'd', replacement = 'ch${1}-ch${1}'";
    check(&ABC, &[rule], Some(&["a=foo", "b=bar", "c=baz", "d=choo-choo"]));
    let rules = [
        "source_labels = ['a', 'b'], regex = 'f(.*);(.*)r', target_label = 'a', replacement = 'b${1}${2}m'",
        "source_labels = ['c', 'a'], regex = '(b).*b(.*)ba(.*)', target_label = 'd', replacement = '$1$2$2$3'",
    ];
    check(&ABC, &rules, Some(&["a=boobam", "b=bar", "c=baz", "d=boooom"]));
    let named =
        "source_labels = ['a'], regex = '(?P<first>.)(?<rest>.*)', target_label = 'd', replacement = '${rest}$first'";
    check(&["a=xyz"], &[named], Some(&["a=xyz", "d=yzx"]));
    // Part of a text is not a match; a name goes as far as it can; two dollars are one.
    check(&["a=boo"], &["source_labels = ['a'], regex = 'o', target_label = 'b', replacement = 'x'"], Some(&["a=boo"]));
    check(&["a=x"], &["source_labels = ['a'], target_label = 'b', replacement = '$1x'"], Some(&["a=x"]));
    check(&["a=x"], &["source_labels = ['a'], target_label = 'b', replacement = '$$1'"], Some(&["a=x", "b=$1"]));
}

#[test]
fn replace_with_nothing_removes_a_label_and_without_a_source_sets_one() {
    let rule = "source_labels = ['a'], regex = '(f).*', target_label = '$1', replacement = '$2'";
    check(&["a=foo", "f=baz"], &[rule], Some(&["a=foo"]));
    check(&["a=foo"], &["target_label = 'env', replacement = 'prod'"], Some(&["a=foo", "env=prod"]));
    check(&["a=foo", "b=x"], &["target_label = 'b', replacement = ''"], Some(&["a=foo"]));
    check(&["a=foo"], &["source_labels = ['a'], target_label = 'b', separator = 'x'"], Some(&["a=foo", "b=foo"]));
    check(&["a=foo"], &["source_labels = ['x'], target_label = 'a'"], Some(&[]));
}

#[test]
fn a_target_may_be_a_group_and_is_left_out_where_that_is_empty() {
    let regex = "source_labels = ['a'], regex = 'some-([^-]+)-([^,]+)'";
    let rule = format!("{regex}, replacement = '${{2}}', target_label = '${{1}}'");
    check(&["a=some-name-value"], &[&rule], Some(&["a=some-name-value", "name=value"]));
    let rule = format!("{regex}, replacement = '${{3}}', target_label = '${{1}}'");
    check(&["a=some-name-value"], &[&rule], Some(&["a=some-name-value"]));
    let rule = format!("{regex}, replacement = '${{1}}', target_label = '${{3}}'");
    check(&["a=some-name-0"], &[&rule], Some(&["a=some-name-0"]));
    let rule = "source_labels = ['a'], regex = 'x\\.(.)', target_label = 'utf-8.${1}', replacement = 'y'";
    check(&["a=x.1"], &[rule], Some(&["a=x.1", "utf-8.1=y"]));
}

#[test]
fn keep_and_drop_look_at_the_whole_text() {
    for (rule, kept) in [
        ("source_labels = ['a'], regex = '.*o.*', action = 'drop'", false),
        ("source_labels = ['a'], regex = 'no-match', action = 'drop'", true),
        ("source_labels = ['a'], regex = 'f|o', action = 'drop'", true),
        ("source_labels = ['a'], regex = 'no-match', action = 'keep'", false),
        ("source_labels = ['a'], regex = 'f.*', action = 'Keep'", true),
        ("source_labels = ['a', 'b'], regex = 'foo;bar', action = 'KEEP'", true),
        ("source_labels = ['a', 'b'], regex = 'foo-bar', separator = '-', action = 'drop'", false),
        ("source_labels = ['missing'], regex = '', action = 'drop'", false),
        ("source_labels = ['a'], regex = '', action = 'drop'", true),
        ("action = 'drop'", false),
    ] {
        check(&ABC, &[rule], kept.then_some(&ABC[..]));
    }
    // What is dropped is not looked at any more.
    check(
        &ABC,
        &["source_labels = ['a'], regex = 'foo', action = 'drop'", "target_label = 'd', replacement = 'x'"],
        None,
    );
}

#[test]
fn a_dot_is_any_character_and_classes_are_of_ascii() {
    let of = |regex: &str, text: &str| anchored(regex).unwrap().is_match(text);
    assert!(of("line1.*line2", "line1\nline2"));
    assert!(of(r"\d+", "123") && !of(r"\d", "٣") && of(r"\D", "٣"));
    assert!(of(r"[\w-]+", "a_1-B") && !of(r"\w", "ä") && of(r"[^\w]", "ä"));
    assert!(of(r"\s\S", "\tx") && !of(r"\s", "\u{a0}") && of(r"\S", "\u{a0}"));
    assert!(of(r"a\b-", "a-") && of(r"\\d", r"\d") && of(r"\pL+", "äß") && of("^a$", "a"));
    assert!(of("(?i)ABC", "abc") && !of("a|b", "ab"));
    for wrong in ["(", "a{2", "[", r"\1", "(?=a)", "*"] {
        let reason = anchored(wrong).unwrap_err();
        assert!(!reason.is_empty() && !reason.contains("regex parse error"), "{wrong}: {reason}");
    }
}

#[test]
fn keepequal_and_dropequal_compare_with_the_target() {
    let labels = ["__port1=1234", "__port2=5678", "__tmp_port=1234"];
    for (action, target, kept) in [
        ("keepequal", "__port1", true),
        ("dropequal", "__port1", false),
        ("dropequal", "__port2", true),
        ("keepequal", "__port2", false),
    ] {
        let rule = format!("source_labels = ['__tmp_port'], action = '{action}', target_label = '{target}'");
        check(&labels, &[&rule], kept.then_some(&labels[..]));
    }
    check(&["a=x"], &["source_labels = ['b'], action = 'keepequal', target_label = 'c'"], Some(&["a=x"]));
}

/// Guards: the numbers are those of MD5's last eight bytes, as Prometheus gives them.
#[test]
fn hashmod_spreads_as_prometheus_does() {
    let rule = "source_labels = ['c'], target_label = 'd', action = 'hashmod', modulus = 1000";
    check(&ABC, &[rule], Some(&["a=foo", "b=bar", "c=baz", "d=976"]));
    let rule = "source_labels = ['a'], target_label = 'b', action = 'hashmod', modulus = 1000";
    check(&["a=foo\nbar"], &[rule], Some(&["a=foo\nbar", "b=734"]));
}

#[test]
fn labels_are_mapped_kept_and_dropped_by_their_names() {
    let labels = ["a=foo", "b1=bar", "b2=baz"];
    let map = "regex = '(b.*)', replacement = 'bar_${1}', action = 'labelmap'";
    check(&labels, &[map], Some(&["a=foo", "b1=bar", "b2=baz", "bar_b1=bar", "bar_b2=baz"]));
    check(
        &["x_my_bar=aaa", "x_other=ccc"],
        &["regex = 'x_(my.*)', action = 'labelmap'"],
        Some(&["my_bar=aaa", "x_my_bar=aaa", "x_other=ccc"]),
    );
    check(&labels, &["regex = '(b.*)', action = 'labeldrop'"], Some(&["a=foo"]));
    check(&labels, &["regex = 'b', action = 'labeldrop'"], Some(&labels));
    check(&labels, &["regex = '__name__|b.*', action = 'labelkeep'"], Some(&["b1=bar", "b2=baz"]));
}

#[test]
fn cases_change_letter_by_letter() {
    let rules = [
        "source_labels = ['a'], action = 'uppercase', target_label = 'u'",
        "source_labels = ['a'], action = 'lowercase', target_label = 'l'",
    ];
    check(&["a=bAr123Foo"], &rules, Some(&["a=bAr123Foo", "l=bar123foo", "u=BAR123FOO"]));
    check(&["a=ÄßİΣ"], &rules, Some(&["a=ÄßİΣ", "l=äßiσ", "u=ÄßİΣ"]));
}

#[test]
fn external_labels_come_first_and_give_way_to_those_that_are_there() {
    let text = "external_labels = { region = 'eu', a = 'other' }\n\
                write_relabel_configs = [{ source_labels = ['region', 'a'], target_label = 'both' }]";
    applied(text, &["a=foo"], Some(&["a=foo", "both=eu;foo", "region=eu"]));
}

#[test]
fn a_series_without_a_name_is_dropped() {
    check(&["a=foo"], &["regex = '__name__', action = 'labeldrop'"], None);
    check(&["a=foo"], &["regex = 'a', action = 'labelkeep'"], None);
}
