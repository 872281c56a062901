//! Turns serde's messages into ones for the person who wrote the file.
//!
//! serde's messages quote the value that did not fit, which may be a secret; these never do. serde reports through
//! `custom`, so its text is all there is to read: the forms are those of `serde::de::Error`'s provided methods.

/// What is wrong with the value or key named `key`, without its value.
pub(crate) fn plain(message: &str, key: &str) -> String {
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    if message.starts_with("unknown field ") {
        return unknown_key(key, &quoted_names(expected.unwrap_or_default()));
    }
    if let (true, Some(expected)) = (message.starts_with("unknown variant "), expected) {
        return format!("expected {expected}");
    }
    if let Some(field) = message.strip_prefix("missing field ") {
        return format!("{field} is missing");
    }
    if let (Some(found), Some(expected)) = (message.strip_prefix("invalid type: "), expected) {
        return format!("expected {}, not {}", wanted(expected), kind(found));
    }
    if let (true, Some(expected)) = (message.starts_with("invalid value: "), expected) {
        return format!("expected {}", wanted(expected));
    }
    // A closed list of words, met with what is no word.
    if message.starts_with("wanted ") { "expected a string".to_owned() } else { message.to_owned() }
}

/// The candidate that `name` was most likely meant to be, if any is near: a letter or two off, or swapped.
fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let tolerated = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, candidate)| candidate)
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key; did you mean `{near}`?"),
        None => format!("unknown key; known are `{}`", known.join("`, `")),
    }
}

/// The names between backticks.
fn quoted_names(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// serde's name of a type, for people.
fn wanted(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        "socket address" => "an address such as \"127.0.0.1:9464\"",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// The kind of value that was found; what follows it is the value itself.
fn kind(found: &str) -> &'static str {
    let word = found.split([' ', ',', '`', '"']).next();
    match word {
        Some("boolean") => "a boolean",
        Some("integer") => "a whole number",
        Some("floating") => "a number",
        Some("string") => "a string",
        Some("sequence") => "a list",
        Some("map") => "a table",
        _ => "this",
    }
}
