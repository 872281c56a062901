//! Words, syslog's numbers and OTLP's numbers of severity, both ways.
//!
//! Specification: <https://opentelemetry.io/docs/specs/otel/logs/data-model/#severity-fields> and its appendix B.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How bad something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Severity<'a> {
    /// 1 to 24.
    pub number: u8,
    /// As the source calls it.
    pub text: Cow<'a, str>,
}

/// A range of severities, as rules and metrics name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// 1 to 4.
    Trace,
    /// 5 to 8.
    Debug,
    /// 9 to 12.
    Info,
    /// 13 to 16.
    Warn,
    /// 17 to 20.
    Error,
    /// 21 to 24.
    Fatal,
}

impl Level {
    /// The level of a number; none if that is unknown.
    pub fn of(number: u8) -> Option<Self> {
        let levels = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];
        levels.get(usize::from(number.checked_sub(1)? / 4)).copied()
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

/// The names of syslog's severities, by number.
const SYSLOG: [(u8, &str); 8] = [
    (21, "emerg"),
    (19, "alert"),
    (18, "crit"),
    (17, "err"),
    (13, "warning"),
    (10, "notice"),
    (9, "info"),
    (5, "debug"),
];

/// The longest word that names a severity, in bytes.
const WORD_BYTES_MAX: usize = 13;

impl<'a> Severity<'a> {
    /// What a word means, in any case; none if it names no severity.
    pub fn of_word(word: &'a str) -> Option<Self> {
        number_of_word(word).map(|number| Self { number, text: Cow::Borrowed(word) })
    }

    /// What a number of syslog means, 0 to 7.
    pub fn of_syslog(number: u8) -> Option<Severity<'static>> {
        let &(number, text) = SYSLOG.get(usize::from(number))?;
        Some(Severity { number, text: Cow::Borrowed(text) })
    }

    /// What the number of a JSON logger means: syslog's 0 to 7 (GELF), or tens from 10 to 60 (bunyan, pino).
    pub fn of_number(number: i64) -> Option<Severity<'static>> {
        let number = u8::try_from(number).ok()?;
        let tens = match number {
            0..=7 => return Self::of_syslog(number),
            10 => 1,
            20 => 5,
            30 => 9,
            40 => 13,
            50 => 17,
            60 => 21,
            _ => return None,
        };
        Some(Severity { number: tens, text: Cow::Borrowed(name(tens)) })
    }
}

/// The number of a word that names a severity, in any case.
pub fn number_of_word(word: &str) -> Option<u8> {
    let mut lower = [0_u8; WORD_BYTES_MAX];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"trace" | b"finest" => 1,
        b"debug" | b"dbg" | b"fine" | b"verbose" => 5,
        b"info" | b"information" | b"informational" | b"inf" => 9,
        b"notice" => 10,
        b"warn" | b"warning" | b"wrn" => 13,
        b"error" | b"err" | b"severe" => 17,
        b"crit" => 18,
        b"alert" => 19,
        b"fatal" | b"critical" | b"emerg" | b"emergency" | b"panic" => 21,
        numbered => return numbered_name(numbered),
    })
}

/// `INFO2` and the like.
fn numbered_name(word: &[u8]) -> Option<u8> {
    let (last, front) = word.split_last()?;
    let step = last.checked_sub(b'1').filter(|step| *step <= 3)?;
    let first = match front {
        b"trace" => 1,
        b"debug" => 5,
        b"info" => 9,
        b"warn" => 13,
        b"error" => 17,
        b"fatal" => 21,
        _ => return None,
    };
    Some(first + step)
}

/// The short name of a number, 1 to 24; empty for others.
pub fn name(number: u8) -> &'static str {
    const NAMES: [&str; 24] = [
        "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4", "INFO", "INFO2", "INFO3",
        "INFO4", "WARN", "WARN2", "WARN3", "WARN4", "ERROR", "ERROR2", "ERROR3", "ERROR4", "FATAL", "FATAL2", "FATAL3",
        "FATAL4",
    ];
    usize::from(number).checked_sub(1).and_then(|index| NAMES.get(index)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_name_that_means_it() {
        for number in 1..=24 {
            assert_eq!(number_of_word(name(number)), Some(number));
            let level = Level::of(number).unwrap().name();
            assert!(name(number).to_lowercase().starts_with(level), "{number} is {level}");
        }
        assert_eq!((name(0), name(25)), ("", ""));
        assert_eq!((Level::of(0), Level::of(25)), (None, None));
    }

    #[test]
    fn words_mean_the_same_in_any_case_and_others_nothing() {
        let words = ["ERROR", "Err", "warning", "CRITICAL", "crit", "Notice", "emerg", "DEBUG"];
        assert_eq!(words.map(number_of_word), [17, 17, 13, 21, 18, 10, 21, 5].map(Some));
        for word in ["", "errors", "INFO5", "INFO0", "informationally", "エラー", "x"] {
            assert_eq!(number_of_word(word), None, "{word}");
        }
    }

    #[test]
    fn numbers_of_syslog_and_of_json_loggers_are_told_apart() {
        let number = |number| Severity::of_number(number).map(|severity| severity.number);
        assert_eq!([0, 3, 7, 10, 30, 60].map(number), [21, 17, 5, 1, 9, 21].map(Some));
        assert_eq!([-1, 8, 11, 70, 300].map(number), [None; 5]);
        assert_eq!(Severity::of_syslog(4).unwrap().text, "warning");
    }
}
