//! Texts that somebody else has written, safe to show on a terminal; a question; a time.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;

/// How many bytes a line of a dump has.
const DUMP_LINE_BYTES: usize = 16;

/// A text in one line: what is no printable character is escaped, and so is the backslash.
pub fn text(text: &str) -> String {
    let shown = |c: char| match c {
        '"' | '\'' => c.to_string(),
        c => c.escape_debug().to_string(),
    };
    text.chars().map(shown).collect()
}

/// Bytes in one line: as text where they are UTF-8, else as 0x and hexadecimal digits.
pub fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(utf8) => text(utf8),
        Err(_) => bytes.iter().fold("0x".to_owned(), |shown, byte| shown + &format!("{byte:02x}")),
    }
}

/// Bytes in lines of their own: as text where they are UTF-8, else as a dump.
pub fn block(bytes: &[u8], indent: &str) -> String {
    if let Ok(utf8) = std::str::from_utf8(bytes) {
        return utf8.split('\n').map(|line| format!("{indent}{}\n", text(line))).collect();
    }
    let mut block = String::new();
    for (line, some) in bytes.chunks(DUMP_LINE_BYTES).enumerate() {
        let hex: String = some.iter().map(|byte| format!("{byte:02x} ")).collect();
        let shown = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let ascii: String = some.iter().map(shown).collect();
        // Writing to a string cannot fail.
        writeln!(block, "{indent}{:08x}  {hex:<48} |{ascii}|", line * DUMP_LINE_BYTES).unwrap_or_default();
    }
    block
}

/// A JSON document whose strings a terminal cannot take for orders; it means the same.
pub fn json(document: &serde_json::Value) -> String {
    let mut safe = String::new();
    // Outside ASCII there are only characters of strings; within it the serializer has escaped them.
    for c in format!("{document:#}\n").chars() {
        if (c.is_ascii() && c != '\u{7f}') || c.escape_debug().len() == 1 {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(safe, "\\u{unit:04x}").unwrap_or_default();
        }
    }
    safe
}

/// Whether the command has to ask before it changes something; `look` shows what it would change.
///
/// # Errors
/// There is no terminal to ask on.
pub fn asks(yes: bool, look: &str, told: &str) -> anyhow::Result<bool> {
    if !yes && !std::io::stdin().is_terminal() {
        anyhow::bail!("there is no terminal to ask on: look at `weir {look}`, then run `weir {told} --yes`");
    }
    Ok(!yes)
}

/// Asks whether to go ahead.
///
/// # Errors
/// The terminal cannot be written to or read.
pub fn agreed() -> anyhow::Result<bool> {
    // The answer of the command is on standard output; this is a question.
    write!(std::io::stderr(), "weir: go ahead? [y/N] ").context("could not ask")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("could not read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// A time that a person has written, in milliseconds since the epoch: `2026-01-31T12:00:00Z`, or `2h` for two hours
/// ago.
///
/// # Errors
/// It is neither.
pub fn time_ms(text: &str) -> Result<i64, String> {
    let time = match (humantime::parse_duration(text), humantime::parse_rfc3339_weak(text)) {
        (Ok(ago), _) => SystemTime::now().checked_sub(ago),
        (_, Ok(time)) => Some(time),
        _ => None,
    };
    let since_epoch = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let ms = since_epoch.and_then(|since| i64::try_from(since.as_millis()).ok());
    ms.ok_or_else(|| "expected a time such as 2026-01-31T12:00:00Z, or how long ago, such as 2h".to_owned())
}

/// A time in milliseconds since the epoch, for people.
pub fn time(ms: Option<i64>) -> String {
    let since_epoch = ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    match since_epoch.and_then(|since| UNIX_EPOCH.checked_add(since)) {
        // It fails on years above 9999.
        Some(time) if ms < Some(253_402_300_800_000) => humantime::format_rfc3339_seconds(time).to_string(),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal acts on, or what makes a text read as another one.
    const HOSTILE: &str =
        "\u{1b}[2J\u{9b}31m\r\u{7}\u{8}\u{202e}gpj\u{2066}\u{200b}\u{feff}\u{2028}\u{e0041}\u{7f}\t\u{85}";

    #[track_caller]
    fn harmless(shown: &str) {
        let harmful =
            |c: &char| c.is_control() && *c != '\n' || ('\u{200b}'..='\u{206f}').contains(c) || *c > '\u{e0000}';
        assert_eq!(shown.chars().find(harmful), None, "{shown:?}");
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_gets_through() {
        harmless(&text(HOSTILE));
        harmless(&bytes(HOSTILE.as_bytes()));
        harmless(&block(HOSTILE.as_bytes(), "  "));
        harmless(&bytes(&[HOSTILE.as_bytes(), b"\xff"].concat()));
        harmless(&block(&[HOSTILE.as_bytes(), b"\xff"].concat(), "  "));
        let document = serde_json::json!({ "text": HOSTILE });
        let shown = json(&document);
        harmless(&shown);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), document);
    }

    #[test]
    fn every_character_that_is_escaped_leaves_the_others() {
        assert_eq!(text("it's \"für\" a\\b\n日本"), "it's \"für\" a\\\\b\\n日本");
        assert_eq!(bytes(b"\x00\xff"), "0x00ff");
        assert_eq!(block(b"{\n  \"a\": 1\n}", "    "), "    {\n      \"a\": 1\n    }\n");
        assert_eq!(
            block(b"0123456789abcdef\xff\x00z", " "),
            " 00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|\n \
             00000010  ff 00 7a                                         |..z|\n"
        );
    }

    #[test]
    fn times_are_points_or_how_long_ago() {
        assert_eq!(time_ms("1970-01-01T00:00:01Z"), Ok(1000));
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        assert!((time_ms("1h").unwrap() - now + 3_600_000).abs() < 60_000);
        for wrong in ["", "yesterday", "-1h", "2026-13-01T00:00:00Z", "99999999999999999999y"] {
            assert!(time_ms(wrong).is_err(), "{wrong}");
        }
        assert_eq!((time(Some(1000)).as_str(), time(None).as_str()), ("1970-01-01T00:00:01Z", "-"));
        for odd in [i64::MIN, -1, i64::MAX, 253_402_300_800_000] {
            assert_eq!(time(Some(odd)), "-");
        }
        assert_eq!(time(Some(253_402_300_799_999)), "9999-12-31T23:59:59Z");
    }
}
