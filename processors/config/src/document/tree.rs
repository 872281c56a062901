//! Walks a parsed document: finds, puts in and takes out values.

use std::ops::Range;

use toml::de::{DeArray, DeTable, DeValue};

use crate::Spanned;
use crate::checker::quoted;

/// One step from a table or list to what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

// === impl Step ===

impl Step {
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Index(_) => None,
        }
    }
}

/// The span that is `count` after `span`, from the same start.
pub(super) fn after(span: &Range<usize>, count: usize) -> Range<usize> {
    span.start..span.end + count
}

/// Puts `leaf` at `path`, making the tables and lists that lead there, each key and value with the next span.
pub(super) fn insert<'a>(
    place: &mut Spanned<DeValue<'a>>,
    path: &[String],
    leaf: DeValue<'a>,
    span: &Range<usize>,
) -> Result<(), String> {
    let Some((step, rest)) = path.split_first() else {
        *place = Spanned::new(span.clone(), leaf);
        return Ok(());
    };
    let is_index = |step: &String| step.parse::<usize>().is_ok();
    let made = || match rest.first() {
        Some(next) if is_index(next) => Spanned::new(after(span, 2), DeValue::Array(DeArray::default())),
        _ => Spanned::new(after(span, 2), DeValue::Table(DeTable::new())),
    };
    let next = match place.get_mut() {
        DeValue::Table(table) => {
            let known = table.keys().find(|key| spelled(key.get_ref()) == spelled(step)).cloned();
            let key = known.unwrap_or_else(|| Spanned::new(after(span, 1), step.clone().into()));
            table.entry(key).or_insert_with(made)
        }
        DeValue::Array(list) => {
            let index: usize = step.parse().map_err(|_| format!("{step} is not an index of a list"))?;
            if index == list.len() {
                list.push(made());
            }
            let length = list.len();
            list.get_mut(index).ok_or_else(|| format!("index {index} is past the end of {length} elements"))?
        }
        _ => return Err(format!("nothing is below this key: {step}")),
    };
    insert(next, rest, leaf, &after(span, 2))
}

/// A key as a variable's name can spell it.
fn spelled(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// The innermost key, value or element at `span`; what contains it where none is exactly there.
pub(super) fn find(root: &Spanned<DeValue<'_>>, span: &Range<usize>) -> Vec<Step> {
    /// How well a place fits: exactly as a key, exactly as a value, around the span.
    #[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
    enum Fit {
        Around,
        Value,
        Key,
    }
    fn search(
        value: &Spanned<DeValue<'_>>,
        span: &Range<usize>,
        steps: &mut Vec<Step>,
        best: &mut Option<(Fit, Vec<Step>)>,
    ) {
        let mut offer = |fit: Fit, steps: &[Step]| {
            if best.as_ref().is_none_or(|(known, _)| fit >= *known) {
                *best = Some((fit, steps.to_vec()));
            }
        };
        if value.span() == *span {
            offer(Fit::Value, steps);
        } else if value.span().start <= span.start && span.end <= value.span().end {
            offer(Fit::Around, steps);
        }
        match value.get_ref() {
            DeValue::Table(table) => {
                for (key, value) in table {
                    steps.push(Step::Key(key.get_ref().to_string()));
                    if key.span() == *span {
                        *best = Some((Fit::Key, steps.clone()));
                    }
                    search(value, span, steps, best);
                    steps.pop();
                }
            }
            DeValue::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    steps.push(Step::Index(index));
                    search(value, span, steps, best);
                    steps.pop();
                }
            }
            _ => {}
        }
    }
    let mut best = None;
    search(root, span, &mut Vec::new(), &mut best);
    best.map(|(_, steps)| steps).unwrap_or_default()
}

/// Takes out what is at `steps`; false if nothing is.
pub(super) fn remove(root: &mut Spanned<DeValue<'_>>, steps: &[Step]) -> bool {
    let Some((last, parents)) = steps.split_last() else { return false };
    let mut place = root.get_mut();
    for step in parents {
        let next = match (place, step) {
            (DeValue::Table(table), Step::Key(key)) => table.get_mut(key.as_str()),
            (DeValue::Array(list), Step::Index(index)) => list.get_mut(*index),
            _ => None,
        };
        let Some(next) = next else { return false };
        place = next.get_mut();
    }
    match (place, last) {
        (DeValue::Table(table), Step::Key(key)) => table.remove(key.as_str()).is_some(),
        (DeValue::Array(list), Step::Index(index)) if *index < list.len() => {
            *list = list.iter().enumerate().filter(|(at, _)| at != index).map(|(_, item)| item.clone()).collect();
            true
        }
        _ => false,
    }
}

/// Calls `seen` with every value and the steps to it.
pub(super) fn visit<'t>(
    value: &mut Spanned<DeValue<'t>>,
    steps: &mut Vec<Step>,
    seen: &mut dyn FnMut(&mut Spanned<DeValue<'t>>, &[Step]),
) {
    seen(value, steps);
    match value.get_mut() {
        DeValue::Table(table) => {
            for (key, value) in table.iter_mut() {
                steps.push(Step::Key(key.get_ref().to_string()));
                visit(value, steps, seen);
                steps.pop();
            }
        }
        DeValue::Array(list) => {
            for (index, value) in list.iter_mut().enumerate() {
                steps.push(Step::Index(index));
                visit(value, steps, seen);
                steps.pop();
            }
        }
        _ => {}
    }
}

/// The path of `steps`, as in TOML.
pub(super) fn shown(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&quoted(key));
            }
        }
    }
    path
}

pub(super) fn joined(path: &[String]) -> String {
    path.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(".")
}
