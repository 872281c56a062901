use serde_json::Value;

use super::*;

fn lines(text: &str) -> impl Iterator<Item = Vec<Option<String>>> {
    text.lines().map(|line| {
        let values: Vec<Value> = serde_json::from_str(line).unwrap();
        values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
    })
}

#[test]
fn metric_names_and_units_are_those_of_prometheus() {
    let mut wrong = Vec::new();
    for line in lines(include_str!("../../golden/names.jsonl")) {
        let [Some(name), Some(unit), Some(words), want @ ..] = line.as_slice() else { panic!("{line:?}") };
        assert_eq!(unit_words(unit), *words, "{unit:?}");
        let strategies = [
            Strategy::UnderscoreEscapingWithSuffixes,
            Strategy::UnderscoreEscapingWithoutSuffixes,
            Strategy::NoUtf8EscapingWithSuffixes,
            Strategy::NoTranslation,
        ];
        for (strategy, want) in strategies.into_iter().zip(want.chunks(3)) {
            for (suffix, want) in [Suffix::Gauge, Suffix::Counter, Suffix::Unit].into_iter().zip(want) {
                let got = metric_name(strategy, name, unit, suffix);
                if got != *want {
                    wrong.push((name.clone(), unit.clone(), strategy, suffix, got, want.clone()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn label_names_are_those_of_prometheus() {
    let mut wrong = Vec::new();
    for line in lines(include_str!("../../golden/labels.jsonl")) {
        let [Some(key), want @ ..] = line.as_slice() else { panic!("{line:?}") };
        for (index, want) in want.iter().enumerate() {
            let strategy = if index < 4 { Strategy::default() } else { Strategy::NoTranslation };
            let options = Options {
                strategy,
                underscore_sanitization: index & 2 != 0,
                preserve_multiple_underscores: index & 1 != 0,
                ..Options::default()
            };
            let got = label_name(&options, key);
            if got != *want {
                wrong.push((key.clone(), index, got, want.clone()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
