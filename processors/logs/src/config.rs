//! `[worker.NAME.enrich]`: how lines are read, what is added to them, what is masked, and where they go.

mod measure;
mod ready_made;
mod rules;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use weir_config::{Checker, Spanned, unset};

pub use measure::{Measure, MeasureRule};
pub use rules::{ClassRule, Conditions};
pub use volume::{KEPT, Limit, Volume};

use crate::process::parse::pattern;

/// The topic that enriched logs go to where nothing is written.
pub const OUTPUT: &str = "telemetry-logs-enriched";

/// Configuration of a logs worker.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The topic that enriched logs go to, with as many partitions as its source.
    pub output: Spanned<String>,
    /// What the dead letters of this worker hold: what cannot be read cannot be masked.
    pub dead_letters: DeadLetters,
    /// The parsers that are tried, in this order; empty for all, by what a line looks like.
    pub parsers: Spanned<Vec<ParserKind>>,
    /// What a time without zone is ahead of UTC: `+09:00`.
    pub utc_offset: UtcOffset,
    /// Regular expressions with named groups, tried first.
    pub pattern: Vec<Pattern>,
    /// Delimited formats, known by their number of columns.
    pub delimited: Vec<Delimited>,
    /// Resource attributes that each record should have: those that are missing are told in `weir.missing`, and counted.
    pub required: Spanned<Vec<String>>,
    /// Resource attributes that are added where the source has none of that name.
    pub resource: BTreeMap<String, String>,
    /// Rules that say the class of a log, before those that are built in.
    pub class: Vec<ClassRule>,
    /// Tables that are looked up.
    pub lookup: Vec<Lookup>,
    /// Where addresses are, and whose.
    pub geoip: GeoIp,
    /// What is masked.
    pub mask: weir_mask::Config,
    /// What lines are counted to.
    pub measure: Measure,
    /// How much of the lines leaves.
    pub volume: Volume,
}

/// What dead letters hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeadLetters {
    /// The record, in a topic of their own, which may have an ACL of its own.
    #[default]
    Topic,
    /// Where the record is from, its size and its hash.
    Origin,
}

/// A kind of parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParserKind {
    /// The configuration's regular expressions.
    Pattern,
    /// One object.
    Json,
    /// One document.
    Xml,
    /// RFC 5424 and 3164.
    Syslog,
    /// Cisco ASA and Firepower Threat Defense.
    CiscoAsa,
    /// Apache's and nginx's access logs.
    Access,
    /// Pairs of names and values.
    Logfmt,
    /// The configuration's delimited formats.
    Delimited,
    /// Brackets before the text.
    Bracketed,
    /// A time, a level, pairs in the text.
    App,
}

/// A regular expression with named groups.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Its name, which becomes `weir.pattern`.
    pub name: Spanned<String>,
    /// The expression; a group's name becomes an attribute's, with `__` for a point.
    pub regex: Spanned<String>,
}

/// A delimited format.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delimited {
    /// Its name, which becomes `weir.pattern`.
    pub name: Spanned<String>,
    /// What parts the columns, one ASCII character; a comma by default.
    #[serde(default = "comma")]
    pub separator: Spanned<String>,
    /// The names of the columns; an empty one is left out.
    pub columns: Spanned<Vec<String>>,
}

/// A table that is looked up.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// A CSV file with a header, or a JSON file: an object of objects, by key, or a list of objects.
    pub file: Spanned<String>,
    /// The attribute whose value is looked up.
    pub key: Spanned<String>,
    /// The column that it is looked up in; the first one by default, and in an object of objects its names.
    pub column: Option<Spanned<String>>,
}

/// Where addresses are, and whose.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeoIp {
    /// MaxMind's GeoIP2 or GeoLite2 City or Country.
    pub city: Option<Spanned<String>>,
    /// MaxMind's GeoLite2 ASN.
    pub asn: Option<Spanned<String>>,
    /// The attributes with addresses; the first that is there counts.
    pub attributes: Spanned<Vec<String>>,
}

/// What local time is ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UtcOffset {
    /// In seconds, -18 to 18 hours.
    pub seconds: i32,
}

fn comma() -> Spanned<String> {
    unset(",".to_owned())
}

impl Default for Config {
    fn default() -> Self {
        let required = ["service.name", "service.version", "deployment.environment.name", "cloud.region"];
        Self {
            output: unset(OUTPUT.to_owned()),
            dead_letters: DeadLetters::Topic,
            parsers: unset(Vec::new()),
            utc_offset: UtcOffset::default(),
            pattern: Vec::new(),
            delimited: Vec::new(),
            required: unset(required.map(str::to_owned).to_vec()),
            resource: BTreeMap::new(),
            class: Vec::new(),
            lookup: Vec::new(),
            geoip: GeoIp::default(),
            mask: weir_mask::Config::default(),
            measure: Measure::default(),
            volume: Volume::default(),
        }
    }
}

impl Default for GeoIp {
    fn default() -> Self {
        let attributes = ["client.address", "source.address", "network.peer.address"];
        Self { city: None, asn: None, attributes: unset(attributes.map(str::to_owned).to_vec()) }
    }
}

impl Config {
    /// Reports what is wrong, what can never happen, and what contradicts; files are not looked for.
    pub fn check(&self, at: &mut Checker<'_>) {
        self.check_parsers(at);
        names(&self.required, "required", at);
        for (name, value) in &self.resource {
            if name.trim().is_empty() || value.is_empty() {
                at.problem(0..0, "resource", "expected the name of an attribute and its value, not empty ones");
            }
        }
        rules::check(&self.class, self, at);
        let mut seen = BTreeSet::new();
        for (index, lookup) in self.lookup.iter().enumerate() {
            not_empty(&lookup.file, &format!("lookup[{index}].file"), at);
            not_empty(&lookup.key, &format!("lookup[{index}].key"), at);
            if !seen.insert((lookup.file.get_ref(), lookup.key.get_ref())) {
                let message = "this file is looked up by this attribute already: the second time adds nothing";
                at.problem(lookup.file.span(), &format!("lookup[{index}].file"), message);
            }
        }
        names(&self.geoip.attributes, "geoip.attributes", at);
        self.mask.check(&mut at.under("mask"));
        self.measure.check(self, &mut at.under("measure"));
        self.volume.check(&mut at.under("volume"));
    }

    /// Whether its worker keeps state: what lines were counted to so far, and how many left in the second at hand.
    pub fn keeps_state(&self) -> bool {
        self.measure.is_on() || self.volume.counts()
    }

    fn check_parsers(&self, at: &mut Checker<'_>) {
        let order = self.parsers.get_ref();
        for (index, kind) in order.iter().enumerate() {
            let path = format!("parsers[{index}]");
            let empty = match kind {
                ParserKind::Pattern => self.pattern.is_empty(),
                ParserKind::Delimited => self.delimited.is_empty(),
                _ => false,
            };
            if order.iter().take(index).any(|earlier| earlier == kind) {
                at.problem(self.parsers.span(), &path, "this parser is listed already: the second time takes nothing");
            } else if empty {
                at.problem(self.parsers.span(), &path, "can never take a line: there is no table of that name");
            }
        }
        let unlisted = |kind| !order.is_empty() && !order.contains(&kind);
        let never = "can never take a line: parsers does not list its kind";
        let mut seen = BTreeSet::new();
        for (index, pattern) in self.pattern.iter().enumerate() {
            let path = format!("pattern[{index}]");
            if unlisted(ParserKind::Pattern) {
                at.problem(pattern.name.span(), &path, never);
            }
            not_empty(&pattern.name, &format!("{path}.name"), at);
            if !seen.insert(pattern.name.get_ref()) {
                at.problem(pattern.name.span(), &format!("{path}.name"), "another pattern has this name already");
            }
            match pattern::compile(pattern.regex.get_ref()) {
                Ok(regex) if regex.capture_names().flatten().next().is_none() => {
                    let message = "has no named group: write (?<name>...), and name becomes an attribute";
                    at.problem(pattern.regex.span(), &format!("{path}.regex"), message);
                }
                Ok(_) => {}
                Err(error) => not_an_expression(&pattern.regex, &format!("{path}.regex"), &error, at),
            }
        }
        for (index, format) in self.delimited.iter().enumerate() {
            let path = format!("delimited[{index}]");
            if unlisted(ParserKind::Delimited) {
                at.problem(format.name.span(), &path, never);
            }
            not_empty(&format.name, &format!("{path}.name"), at);
            let separator = format.separator.get_ref().as_bytes();
            if separator.len() != 1 || separator.first().is_some_and(|byte| matches!(byte, b'"' | b'\n' | 0x80..)) {
                let message = "expected one ASCII character that is neither a quote nor a line's end";
                at.problem(format.separator.span(), &format!("{path}.separator"), message);
            }
            let columns = format.columns.get_ref();
            if columns.len() < 2 || columns.iter().all(String::is_empty) {
                let message = "expected the names of two columns or more: one column is any line";
                at.problem(format.columns.span(), &format!("{path}.columns"), message);
            }
            let same = |earlier: &&Delimited| {
                earlier.columns.get_ref().len() == columns.len()
                    && earlier.separator.get_ref() == format.separator.get_ref()
            };
            if let Some(earlier) = self.delimited.iter().take(index).find(same) {
                let message = format!(
                    "can never take a line: {} before it has the same separator and number of columns",
                    earlier.name.get_ref()
                );
                at.problem(format.name.span(), &path, message);
            }
        }
    }
}

/// Reports names that are empty or there twice.
fn names(names: &Spanned<Vec<String>>, path: &str, at: &mut Checker<'_>) {
    let mut seen = BTreeSet::new();
    for (index, name) in names.get_ref().iter().enumerate() {
        let path = format!("{path}[{index}]");
        if name.trim().is_empty() {
            at.problem(names.span(), &path, "expected the name of an attribute, not an empty one");
        } else if !seen.insert(name) {
            at.problem(names.span(), &path, "this attribute is listed already");
        }
    }
}

fn not_empty(text: &Spanned<String>, path: &str, at: &mut Checker<'_>) {
    if text.get_ref().trim().is_empty() {
        at.problem(text.span(), path, "expected a text, not an empty one");
    }
}

/// Says what is wrong with an expression, without showing it.
fn not_an_expression(text: &Spanned<String>, path: &str, error: &regex::Error, at: &mut Checker<'_>) {
    let reason = match error {
        regex::Error::CompiledTooBig(_) => "is larger than 1 MiB compiled: write smaller repetitions".to_owned(),
        // Its last line is the reason; the others show the expression.
        error => {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("not a regular expression: {last}")
        }
    };
    at.problem(text.span(), path, reason);
}

impl Delimited {
    /// What parts the columns.
    pub fn separator(&self) -> u8 {
        self.separator.get_ref().as_bytes().first().copied().unwrap_or(b',')
    }
}

// === impl UtcOffset ===

/// The text is no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected what local time is ahead of UTC, such as \"+09:00\", within 18 hours")]
pub struct NotAnOffset;

impl FromStr for UtcOffset {
    type Err = NotAnOffset;

    fn from_str(text: &str) -> Result<Self, NotAnOffset> {
        let (sign, rest) = if let Some(rest) = text.strip_prefix('+') {
            (1, rest)
        } else {
            (-1, text.strip_prefix('-').ok_or(NotAnOffset)?)
        };
        let (hours, minutes) = rest.split_once(':').ok_or(NotAnOffset)?;
        let part = |text: &str, max: i32| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number: &i32| digits && *number <= max).ok_or(NotAnOffset)
        };
        let seconds = part(hours, 18)? * 3600 + part(minutes, 59)? * 60;
        if seconds > 18 * 3600 { Err(NotAnOffset) } else { Ok(Self { seconds: sign * seconds }) }
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.seconds < 0 { '-' } else { '+' };
        let minutes = self.seconds.abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl<'de> Deserialize<'de> for UtcOffset {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
