//! `[[worker.NAME.remote_write.write_relabel_configs]]`, in Prometheus's own form.

use std::fmt;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use weir_config::{Checker, Spanned, unset};

use crate::process::relabel::{DEFAULT_REGEX, DEFAULT_REPLACEMENT, DEFAULT_SEPARATOR, anchored};

/// One rule: the keys and defaults of Prometheus.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relabel {
    /// Labels whose values are joined to the text that is looked at.
    pub source_labels: Vec<String>,
    /// What stands between them.
    pub separator: Spanned<String>,
    /// What the whole text, or a label's whole name, has to match.
    pub regex: Spanned<String>,
    /// What `hashmod` divides by.
    pub modulus: Spanned<u64>,
    /// The label that is written or compared with.
    pub target_label: Spanned<String>,
    /// What is written: `$1` or `${name}` is a group of `regex`.
    pub replacement: Spanned<String>,
    /// What is done.
    pub action: Action,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Writes `replacement` to `target_label` where the text matches.
    #[default]
    Replace,
    /// Drops series whose text does not match.
    Keep,
    /// Drops series whose text matches.
    Drop,
    /// Drops series whose text is not the value of `target_label`.
    KeepEqual,
    /// Drops series whose text is the value of `target_label`.
    DropEqual,
    /// Writes a hash of the text, modulo `modulus`.
    HashMod,
    /// Copies labels whose names match to what `replacement` makes of the names.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Writes the text in lower case.
    Lowercase,
    /// Writes the text in upper case.
    Uppercase,
}

impl Action {
    /// As it is written.
    fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }

    /// Whether it needs a label to write or compare with.
    fn has_target(self) -> bool {
        !matches!(self, Self::Keep | Self::Drop | Self::LabelMap | Self::LabelDrop | Self::LabelKeep)
    }
}

/// As Prometheus reads it: in any case.
impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const ALL: [Action; 11] = [
            Action::Replace,
            Action::Keep,
            Action::Drop,
            Action::KeepEqual,
            Action::DropEqual,
            Action::HashMod,
            Action::LabelMap,
            Action::LabelDrop,
            Action::LabelKeep,
            Action::Lowercase,
            Action::Uppercase,
        ];
        const NAMES: &[&str] = &[
            "replace",
            "keep",
            "drop",
            "keepequal",
            "dropequal",
            "hashmod",
            "labelmap",
            "labeldrop",
            "labelkeep",
            "lowercase",
            "uppercase",
        ];
        let text = String::deserialize(deserializer)?;
        let found = ALL.into_iter().find(|action| text.eq_ignore_ascii_case(action.name()));
        found.ok_or_else(|| D::Error::unknown_variant(&text, NAMES))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Default for Relabel {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: unset(DEFAULT_SEPARATOR.to_owned()),
            regex: unset(DEFAULT_REGEX.to_owned()),
            modulus: unset(0),
            target_label: unset(String::new()),
            replacement: unset(DEFAULT_REPLACEMENT.to_owned()),
            action: Action::Replace,
        }
    }
}

impl Relabel {
    /// Reports what Prometheus would refuse; `at` is the rule's table, which is at `span`.
    pub(super) fn check(&self, span: std::ops::Range<usize>, at: &mut Checker<'_>) {
        let action = self.action;
        if let Err(reason) = anchored(self.regex.get_ref()) {
            at.problem(self.regex.span(), "regex", format_args!("not a regular expression: {reason}"));
        }
        if action == Action::HashMod && *self.modulus.get_ref() == 0 {
            at.problem(span.clone(), "modulus", "hashmod needs one, above 0");
        }
        if action.has_target() && self.target_label.get_ref().is_empty() {
            at.problem(span.clone(), "target_label", format_args!("is missing, which {action} needs"));
        }
        if action == Action::LabelMap && self.replacement.get_ref().is_empty() {
            at.problem(self.replacement.span(), "replacement", "expected a label's name, not an empty one");
        }
        let defaults = Self::default();
        let foreign = |at: &mut Checker<'_>, keys: &[(&str, bool, std::ops::Range<usize>)]| {
            for (key, is_set, span) in keys {
                if *is_set {
                    at.problem(span.clone(), key, format_args!("has no meaning with {action}"));
                }
            }
        };
        let set = |value: &Spanned<String>, default: &Spanned<String>| value.get_ref() != default.get_ref();
        let separator = ("separator", set(&self.separator, &defaults.separator), self.separator.span());
        let regex = ("regex", set(&self.regex, &defaults.regex), self.regex.span());
        let modulus = ("modulus", *self.modulus.get_ref() != 0, self.modulus.span());
        let target = ("target_label", set(&self.target_label, &defaults.target_label), self.target_label.span());
        let replacement = ("replacement", set(&self.replacement, &defaults.replacement), self.replacement.span());
        match action {
            Action::Lowercase | Action::Uppercase => foreign(at, &[replacement]),
            Action::KeepEqual | Action::DropEqual => foreign(at, &[separator, regex, modulus, replacement]),
            Action::LabelDrop | Action::LabelKeep => {
                let source = ("source_labels", !self.source_labels.is_empty(), span);
                foreign(at, &[source, separator, modulus, target, replacement]);
            }
            _ => {}
        }
    }
}
