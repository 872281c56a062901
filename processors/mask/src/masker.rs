//! What is done with a text: which rule its field has, what is found in it, and what is written instead.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::config::Config;
use crate::document;
use crate::key::{Key, KeyError};
use crate::name::{self, Name};
use crate::scan::{self, Hit, Wanted};
use crate::view::View;
use crate::write;
use crate::{Action, Class, Detector};

/// Masks texts; immutable, to be shared.
#[derive(Debug, Clone)]
pub struct Masker {
    /// By class and detector; what needs a key is `Redact` without one.
    pub(crate) actions: [[Action; Detector::ALL.len()]; Class::ALL.len()],
    wanted: [Wanted; Class::ALL.len()],
    /// By lower-case name.
    fields: BTreeMap<String, Action>,
    pub(crate) key: Option<Key>,
}

/// What a field's name says of its values. Those below a list or a map have the field of the outermost attribute
/// whose name says something ([`Field::says_something`]), else that of their own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field(Rule);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Nothing: the detectors look for themselves.
    Scan,
    /// The configuration has a rule for the whole value.
    Whole(Action),
    /// The name is that of a secret.
    Named(Name),
}

/// What became of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was found that is not kept; nothing was written.
    Same,
    /// The masked text was written.
    Changed,
    /// The whole value goes, as a rule of its field says: leave the attribute out. Nothing was written.
    Dropped,
}

/// How often each detector masked something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts([u64; Detector::ALL.len()]);

/// One place of a text where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What found it.
    pub detector: Detector,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// What is done with it; never `hash` or `pseudonymise` without a key.
    pub action: Action,
}

// === impl Masker ===

impl Masker {
    /// Prepares what `config` says; the last of its keys is the one that is used.
    ///
    /// # Errors
    /// A key that [`Config::check`] reports.
    pub fn new(config: &Config) -> Result<Self, KeyError> {
        let keys: Result<Vec<_>, _> = config.keys.iter().map(Key::new).collect();
        let key = keys?.pop();
        let without = |action| match action {
            Action::Hash | Action::Pseudonymise if key.is_none() => Action::Redact,
            action => action,
        };
        let actions = Class::ALL.map(|class| {
            let mut actions = [Action::Keep; Detector::ALL.len()];
            for detector in Detector::ALL {
                if let Some(action) = actions.get_mut(detector.index()) {
                    *action = without(config.action(class, detector));
                }
            }
            actions
        });
        let fields = config.fields.iter();
        let fields = fields.map(|(name, action)| (name.get_ref().to_ascii_lowercase(), without(*action.get_ref())));
        Ok(Self { wanted: actions.each_ref().map(Wanted::new), actions, fields: fields.collect(), key })
    }

    /// What the name of an attribute says of its values; worth remembering where names repeat.
    pub fn field(&self, name: &str) -> Field {
        if let Some(action) = self.configured(name) {
            return Field(Rule::Whole(action));
        }
        Field(name::of(name.as_bytes()).map_or(Rule::Scan, Rule::Named))
    }

    /// Masks `text`, which stands in `field` of a log of `class`, and appends the result to `out` if it differs.
    ///
    /// A number is to be given as its decimal text, and becomes a string where something is masked.
    pub fn text(&self, class: Class, field: Field, text: &str, out: &mut String, counts: &mut Counts) -> Outcome {
        let found = self.find(class, field, text);
        if found.iter().all(|hit| hit.action == Action::Keep) {
            return Outcome::Same;
        }
        for hit in found.iter().filter(|hit| hit.action != Action::Keep) {
            counts.add(hit.detector);
        }
        if field.0 == Rule::Whole(Action::Drop) {
            return Outcome::Dropped;
        }
        let start = out.len();
        write::masked(text, &found, self.key.as_ref(), out);
        if document::is_document(text) && !out.get(start..).is_some_and(document::is_document) {
            out.truncate(start);
            document::masked(self, class, text, out);
        }
        Outcome::Changed
    }

    /// Masks a string or a number of a document by itself; whether anything was.
    pub(crate) fn masked_alone(&self, class: Class, field: Field, text: &str, out: &mut String) -> bool {
        let found = self.find(class, field, text);
        let any = found.iter().any(|hit| hit.action != Action::Keep);
        if any {
            write::masked(text, &found, self.key.as_ref(), out);
        }
        any
    }

    /// What is found in `text`, from left to right, without overlaps; for a person who tries rules.
    pub fn explain(&self, class: Class, field: Field, text: &str) -> Vec<Found> {
        self.find(class, field, text)
    }

    fn find(&self, class: Class, field: Field, text: &str) -> Vec<Found> {
        let Some((actions, wanted)) = self.actions.get(class as usize).zip(self.wanted.get(class as usize)) else {
            return Vec::new();
        };
        let action = |detector: Detector| actions.get(detector.index()).copied().unwrap_or(Action::Redact);
        let mut hits = Vec::new();
        let view = match field.0 {
            Rule::Whole(_) if text.is_empty() => return Vec::new(),
            Rule::Whole(action) => {
                return vec![Found { detector: Detector::Field, span: 0..text.len(), action }];
            }
            Rule::Named(name) if action(name.detector()) != Action::Keep => {
                let view = View::new(text.as_bytes());
                name::value(name, view.bytes(), 0..view.bytes().len(), &mut hits);
                Some(view)
            }
            Rule::Scan | Rule::Named(_) => scan::scan(text.as_bytes(), *wanted, &mut hits),
        };
        if hits.is_empty() {
            return Vec::new();
        }
        let span = |hit: &Hit| view.as_ref().map_or(hit.span.clone(), |view| view.original(&hit.span));
        let found =
            hits.iter().map(|hit| Found { detector: hit.detector, span: span(hit), action: action(hit.detector) });
        merged(found.collect())
    }

    /// The action for the field's name or its last parts.
    fn configured(&self, name: &str) -> Option<Action> {
        if self.fields.is_empty() {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let ends = std::iter::once(0).chain(name.match_indices('.').map(|(dot, _)| dot + 1));
        ends.filter_map(|start| self.fields.get(name.get(start..)?)).next().copied()
    }
}

/// Sorts what was found, and makes one of what overlaps: what is to be masked covers what is kept, unless all of it
/// is within what is kept and no secret; the longer one gives its name to both.
fn merged(mut found: Vec<Found>) -> Vec<Found> {
    if found.len() == 1 {
        return found;
    }
    let keeps = |found: &Found| found.action == Action::Keep;
    let within = |inner: &Found, outer: &Found| {
        outer.span.start <= inner.span.start && inner.span.end <= outer.span.end && outer.span.len() > inner.span.len()
    };
    if found.iter().any(keeps) {
        found.sort_by_key(|each| (each.span.start, std::cmp::Reverse(each.span.end)));
        let mut kept: Option<Found> = None;
        found.retain(|each| {
            let covered = kept.as_ref().is_some_and(|kept| within(each, kept)) && !each.detector.is_secret();
            if keeps(each) && kept.as_ref().is_none_or(|kept| kept.span.end < each.span.end) {
                kept = Some(each.clone());
            }
            !covered
        });
    }
    // What is kept comes last among what begins at one place, and gives way.
    found.sort_by_key(|each| (each.span.start, keeps(each), std::cmp::Reverse(each.span.end), each.detector));
    let mut merged: Vec<Found> = Vec::with_capacity(found.len());
    for each in found {
        match merged.last_mut() {
            Some(last) if each.span.start < last.span.end => {
                if keeps(&each) {
                    continue;
                }
                if keeps(last) {
                    *last = each;
                    continue;
                }
                if each.span.len() > last.span.len() {
                    (last.detector, last.action) = (each.detector, each.action);
                }
                last.span.end = last.span.end.max(each.span.end);
            }
            _ => merged.push(each),
        }
    }
    merged
}

// === impl Field ===

impl Field {
    /// A text without a name: a body, or what is in no attribute.
    pub const BODY: Self = Self(Rule::Scan);

    /// Whether the name says something of the values, whatever is in them.
    pub fn says_something(self) -> bool {
        self.0 != Rule::Scan
    }
}

// === impl Counts ===

impl Counts {
    /// Each detector that masked something, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Detector, u64)> + '_ {
        let all = Detector::ALL.into_iter();
        all.filter_map(|detector| Some((detector, *self.0.get(detector.index())?))).filter(|(_, count)| *count > 0)
    }

    /// Adds what others counted.
    pub fn merge(&mut self, others: &Self) {
        self.0.iter_mut().zip(others.0).for_each(|(count, more)| *count += more);
    }

    fn add(&mut self, detector: Detector) {
        if let Some(count) = self.0.get_mut(detector.index()) {
            *count += 1;
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self([0; Detector::ALL.len()])
    }
}

#[cfg(test)]
mod tests;
