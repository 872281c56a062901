//! The labels of a series as an endpoint gets them: external labels, then rules, as Prometheus applies both.
//!
//! In: the labels that were translated. Out: those that are sent, or none where the series is dropped. Done once,
//! when a series is met for the first time.
//!
//! Reference: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use regex::Regex;

use crate::config::{Action, Endpoint, Relabel};

/// What `separator` is where nothing is written.
pub(crate) const DEFAULT_SEPARATOR: &str = ";";
/// What `regex` is where nothing is written.
pub(crate) const DEFAULT_REGEX: &str = "(.*)";
/// What `replacement` is where nothing is written.
pub(crate) const DEFAULT_REPLACEMENT: &str = "$1";

/// What an endpoint does to labels.
#[derive(Debug, Clone)]
pub(crate) struct Relabelling {
    external: Vec<(String, String)>,
    rules: Vec<Rule>,
}

/// What becomes of the labels of a series.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They stay as they are.
    Same,
    /// These are sent, in order of their names.
    Changed(Vec<(String, String)>),
    /// The series is not sent.
    Dropped,
}

#[derive(Debug, Clone)]
struct Rule {
    source_labels: Vec<String>,
    separator: String,
    regex: Regex,
    modulus: u64,
    target_label: String,
    replacement: String,
    action: Action,
}

/// Labels under way, in order of their names; an empty value is no label.
#[derive(Debug, Default)]
struct Labels(BTreeMap<String, String>);

/// A regular expression that the whole text has to match, and in which `.` is any character, as in Prometheus.
///
/// Go's classes are of ASCII, and so are these.
///
/// # Errors
/// Why it is none, in words that do not repeat it.
pub(crate) fn anchored(regex: &str) -> Result<Regex, String> {
    let compiled = Regex::new(&format!("^(?s:{})$", ascii_classes(regex)));
    // Its last line is the reason; the others show the expression.
    compiled.map_err(|error| {
        let error = error.to_string();
        error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// Writes `\d`, `\w`, `\s` and `\b` as what they are in Go.
fn ascii_classes(regex: &str) -> String {
    let mut written = String::with_capacity(regex.len());
    let mut chars = regex.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            written.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => written.push_str("[0-9]"),
            Some('D') => written.push_str("[^0-9]"),
            Some('w') => written.push_str("[0-9A-Za-z_]"),
            Some('W') => written.push_str("[^0-9A-Za-z_]"),
            Some('s') => written.push_str("[\\t\\n\\x0C\\r ]"),
            Some('S') => written.push_str("[^\\t\\n\\x0C\\r ]"),
            Some('b') => written.push_str("(?-u:\\b)"),
            other => {
                written.push(c);
                written.extend(other);
            }
        }
    }
    written
}

impl Relabelling {
    /// What is configured, which has been checked.
    ///
    /// # Errors
    /// Why a regular expression is none.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, String> {
        let external = endpoint.external_labels.iter();
        let external = external.map(|(name, value)| (name.get_ref().clone(), value.get_ref().clone()));
        let rules = endpoint.write_relabel_configs.iter().map(|rule| Rule::new(rule.get_ref()));
        Ok(Self { external: external.collect(), rules: rules.collect::<Result<_, _>>()? })
    }

    /// What becomes of labels. A series that has no name any more is dropped: no receiver takes it.
    pub(crate) fn apply(&self, labels: &[(&str, &str)]) -> Outcome {
        if self.external.is_empty() && self.rules.is_empty() {
            return Outcome::Same;
        }
        let owned = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut labels = Labels(owned.collect());
        for (name, value) in &self.external {
            if labels.get(name).is_empty() {
                labels.set(name.clone(), value.clone());
            }
        }
        let kept = self.rules.iter().all(|rule| rule.apply(&mut labels)) && !labels.get("__name__").is_empty();
        if kept { Outcome::Changed(labels.0.into_iter().collect()) } else { Outcome::Dropped }
    }
}

impl Rule {
    fn new(rule: &Relabel) -> Result<Self, String> {
        Ok(Self {
            source_labels: rule.source_labels.clone(),
            separator: rule.separator.get_ref().clone(),
            regex: anchored(rule.regex.get_ref())?,
            modulus: *rule.modulus.get_ref(),
            target_label: rule.target_label.get_ref().clone(),
            replacement: rule.replacement.get_ref().clone(),
            action: rule.action,
        })
    }

    /// Applies the rule; whether the series is kept.
    fn apply(&self, labels: &mut Labels) -> bool {
        let values: Vec<_> = self.source_labels.iter().map(|name| labels.get(name)).collect();
        let text = values.join(&self.separator);
        let target = &self.target_label;
        match self.action {
            Action::Keep => return self.regex.is_match(&text),
            Action::Drop => return !self.regex.is_match(&text),
            Action::KeepEqual => return labels.get(target) == text,
            Action::DropEqual => return labels.get(target) != text,
            Action::Replace => self.replace(&text, labels),
            Action::HashMod => {
                let [.., a, b, c, d, e, f, g, h]: [u8; 16] = Md5::digest(&text).into();
                let hash = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                labels.set(target.clone(), hash.checked_rem(self.modulus).unwrap_or_default().to_string());
            }
            Action::Lowercase => labels.set(target.clone(), text.chars().map(lower).collect()),
            Action::Uppercase => labels.set(target.clone(), text.chars().map(upper).collect()),
            Action::LabelMap => {
                for (name, value) in self.matching(labels, true) {
                    let name = self.regex.replace_all(&name, &self.replacement).into_owned();
                    labels.set(name, value);
                }
            }
            Action::LabelDrop => labels.remove(&self.matching(labels, true)),
            Action::LabelKeep => labels.remove(&self.matching(labels, false)),
        }
        true
    }

    fn replace(&self, text: &str, labels: &mut Labels) {
        let Some(found) = self.regex.captures(text) else { return };
        let (mut target, mut value) = (String::new(), String::new());
        found.expand(&self.target_label, &mut target);
        found.expand(&self.replacement, &mut value);
        if !target.is_empty() {
            labels.set(target, value);
        }
    }

    /// The labels whose names match, or do not.
    fn matching(&self, labels: &Labels, matches: bool) -> Vec<(String, String)> {
        let owned = labels.0.iter().filter(|(name, _)| self.regex.is_match(name) == matches);
        owned.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl Labels {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn set(&mut self, name: String, value: String) {
        if value.is_empty() {
            self.0.remove(&name);
        } else {
            self.0.insert(name, value);
        }
    }

    fn remove(&mut self, labels: &[(String, String)]) {
        for (name, _) in labels {
            self.0.remove(name);
        }
    }
}

/// One character for one, as Go maps them: what would become several stays as it is.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn lower(c: char) -> char {
    // The first is the letter; of the only one that becomes two, the second is a mark.
    c.to_lowercase().next().unwrap_or(c)
}

#[cfg(test)]
mod tests;
