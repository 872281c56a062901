//! Metric, unit and label names.
//!
//! Specification: <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics>,
//! as Prometheus 3.13 reads it.

use crate::options::{Options, Strategy};

/// What a metric's kind means for its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suffix {
    /// `_ratio`, if the unit is 1.
    Gauge,
    /// `_total`.
    Counter,
    /// The unit alone.
    Unit,
}

/// The Prometheus name of a metric; none if nothing or only underscores is left of it.
pub(crate) fn metric_name(strategy: Strategy, name: &str, unit: &str, suffix: Suffix) -> Option<String> {
    let built = match (strategy.escapes(), strategy.suffixes()) {
        (true, true) => tokens_joined(name, unit, suffix),
        (true, false) => {
            let parts = name.split(|c| !is_metric_char(c) && c != '_').filter(|part| !part.is_empty());
            digit_escaped(parts.collect::<Vec<_>>().join("_"))
        }
        (false, true) => suffixed(name, unit, suffix),
        (false, false) => name.to_owned(),
    };
    let readable = built == name || !strategy.escapes() || built.contains(|c| c != '_');
    (readable && !built.is_empty()).then_some(built)
}

/// Splits the name into words, appends those of the unit that are not there yet, and the type.
fn tokens_joined(name: &str, unit: &str, suffix: Suffix) -> String {
    let mut tokens: Vec<&str> = name.split(|c| !is_metric_char(c)).filter(|token| !token.is_empty()).collect();
    let (main, per) = unit_suffixes(unit);
    let (main, per) = (cleaned(&main), cleaned(&per));
    let mut main = if tokens.contains(&main.as_str()) { "" } else { main.as_str() };
    let mut per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(&per) };
    if tokens.contains(&per) {
        per = "";
    }
    if !per.is_empty() {
        main = main.strip_suffix('_').unwrap_or(main);
    }
    tokens.extend([main, per].into_iter().filter(|token| !token.is_empty()));
    let last = match suffix {
        Suffix::Counter => Some("total"),
        Suffix::Gauge if unit == "1" => Some("ratio"),
        Suffix::Gauge | Suffix::Unit => None,
    };
    if let Some(last) = last {
        tokens.retain(|token| *token != last);
        tokens.push(last);
    }
    digit_escaped(tokens.join("_"))
}

/// Appends unit and type to a name that keeps its characters.
fn suffixed(name: &str, unit: &str, suffix: Suffix) -> String {
    let last = match suffix {
        Suffix::Counter => "total",
        Suffix::Gauge if unit == "1" => "ratio",
        Suffix::Gauge | Suffix::Unit => "",
    };
    let (main, per) = unit_suffixes(unit);
    let mut built = without_suffix(without_suffix(name, last), &per).to_owned();
    if !main.is_empty() && !built.ends_with(&main) {
        built = built + "_" + &main;
    }
    for part in [per.as_str(), last] {
        if !part.is_empty() {
            built = built + "_" + part;
        }
    }
    built
}

/// The name without a suffix and the delimiter before it, if something is left then.
fn without_suffix<'a>(name: &'a str, suffix: &str) -> &'a str {
    if suffix.is_empty() {
        return name;
    }
    let mut rest = name.strip_suffix(suffix).unwrap_or(name).chars();
    let cut = name.len() > suffix.len() + 1 && name.ends_with(suffix);
    if cut && rest.next_back().is_some() { rest.as_str() } else { name }
}

fn digit_escaped(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn is_metric_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// A unit in words, for metadata: `By/s` is `bytes_per_second`.
pub(crate) fn unit_words(unit: &str) -> String {
    let (main, per) = unit_suffixes(unit);
    let (main, per) = (cleaned(&main), cleaned(&per));
    let between = if main.is_empty() || per.is_empty() { "" } else { "_" };
    let words = format!("{main}{between}{per}");
    let words = words.strip_prefix('_').unwrap_or(&words);
    words.strip_suffix('_').unwrap_or(words).to_owned()
}

/// The words of a unit before and after its `/`; either is empty if it says nothing, as `1` and
/// `{annotations}` do.
fn unit_suffixes(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let said = |part: &str| !part.is_empty() && !part.contains(['{', '}']);
    let (main, per) = (main.trim(), per.trim());
    let main = if said(main) { unit_word(main) } else { "" };
    let per = if said(per) { format!("per_{}", per_word(per)) } else { String::new() };
    (main.to_owned(), per)
}

/// Characters that a name cannot have become `_`, several of them one, none in front.
fn cleaned(unit: &str) -> String {
    let mut clean = String::with_capacity(unit.len());
    for c in unit.chars() {
        if is_metric_char(c) {
            clean.push(c);
        } else if !clean.is_empty() && !clean.ends_with('_') {
            clean.push('_');
        }
    }
    clean
}

fn unit_word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        other => other,
    }
}

fn per_word(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}

/// The label name of an attribute that Prometheus builds a name for; none if nothing or only
/// underscores is left of it.
pub(crate) fn label_name(options: &Options, key: &str) -> Option<String> {
    if !options.strategy.escapes() {
        return key.contains(|c| c != '_').then(|| key.to_owned());
    }
    if key.is_empty() {
        return None;
    }
    let mut name = if options.preserve_multiple_underscores {
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
    } else {
        collapsed(key)
    };
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert_str(0, "key_");
    } else if options.underscore_sanitization && name.starts_with('_') && !name.starts_with("__") {
        name.insert_str(0, "key");
    }
    name.contains(|c| c != '_').then_some(name)
}

/// Like the other way, but several underscores become one, except around reserved names.
fn collapsed(key: &str) -> String {
    let reserved = key.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    let mut name = String::with_capacity(key.len());
    let mut gap = false;
    for c in reserved.unwrap_or(key).chars() {
        let valid = c.is_ascii_alphanumeric();
        if valid || !gap {
            name.push(if valid { c } else { '_' });
        }
        gap = !valid;
    }
    if reserved.is_some() { format!("__{name}__") } else { name }
}

#[cfg(test)]
mod tests;
