//! One TOML document and the variables that override it, read so that every problem is found.
//!
//! serde stops at the first error. So a document is read again and again: each error names a span, the key or value
//! there is reported and taken out, and its default stands in for it, until the rest can be read. Every round takes
//! something out, so there are at most as many rounds as the document has keys.

use std::io;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use crate::checker::{Problem, Problems, Report, Source};
use crate::{Spanned, message};

use tree::{Step, after, find, insert, joined, remove, shown, visit};

mod tree;

/// Turns a reference into its value.
pub type Resolve<'a> = &'a dyn Fn(Reference<'_>) -> io::Result<String>;

/// What a whole value may stand for: `${env:NAME}` or `${file:PATH}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference<'a> {
    /// The value of an environment variable.
    Env(&'a str),
    /// The content of a file.
    File(&'a str),
}

/// A parsed document, to be [read](Document::read) into a configuration.
#[derive(Debug)]
pub struct Document<'t> {
    report: Report,
    root: Spanned<DeValue<'t>>,
    overrides: Vec<Override>,
    /// The texts of `overrides`.
    texts: Vec<String>,
}

/// One variable that sets one value.
#[derive(Debug)]
struct Override {
    path: Vec<String>,
    /// How the text is read now; none when every way failed.
    form: Option<Form>,
    /// The path and the message that the form before it got.
    earlier: Option<(String, String)>,
}

/// A variable is text; only serde knows what its key takes, so the forms are tried in this order.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// The text itself.
    Text,
    /// A TOML value: a number, a boolean, a list in brackets.
    Literal,
    /// A list of strings, separated by commas.
    List,
}

impl<'t> Document<'t> {
    /// Parses `text`, which is called `file` in messages.
    ///
    /// # Errors
    /// Every fault of the syntax, each with its position.
    pub fn parse(file: &str, text: &'t str) -> Result<Self, Problems> {
        let source = Source { file: file.to_owned(), text: text.to_owned(), variables: Vec::new() };
        let (table, errors) = DeTable::parse_recoverable(text);
        let problems = errors.iter().map(|error| Problem {
            place: source.place(&error.span().unwrap_or_default()),
            path: String::new(),
            message: error.message().to_owned(),
        });
        if let Some(problems) = Problems::new(problems.collect()) {
            return Err(problems);
        }
        let root = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
        Ok(Self { report: Report::new(source), root, overrides: Vec::new(), texts: Vec::new() })
    }

    /// Lets the environment variable `variable` set the value at `path`, whatever the file says.
    ///
    /// A key of the file that is spelled like a step of `path`, but for case and punctuation, is that step.
    pub fn set(&mut self, variable: &str, path: Vec<String>, text: &str) {
        self.report.source.variables.push(variable.to_owned());
        self.overrides.push(Override { path, form: Some(Form::Text), earlier: None });
        self.texts.push(text.to_owned());
    }

    /// Reads the document; what could not be read is left at its default, and reported.
    ///
    /// `resolve` turns references into values. The report is to be continued with the checks of what was read.
    pub fn read<T: DeserializeOwned + Default>(mut self, resolve: Resolve<'_>) -> (T, Report) {
        self.resolve_file(resolve);
        self.resolve_overrides(resolve);
        let texts = std::mem::take(&mut self.texts);
        loop {
            let merged = self.merged(&texts);
            let DeValue::Table(table) = merged.get_ref() else { return (T::default(), self.report) };
            let table = Spanned::new(merged.span(), table.clone());
            match T::deserialize(toml::de::Deserializer::from(table)) {
                Ok(value) => return (value, self.report),
                Err(error) if self.take_out(&merged, &texts, &error) => {}
                Err(_) => return (T::default(), self.report),
            }
        }
    }

    /// The file with every override in place.
    fn merged<'a>(&mut self, texts: &'a [String]) -> Spanned<DeValue<'a>>
    where
        't: 'a,
    {
        let mut root: Spanned<DeValue<'a>> = self.root.clone();
        for (index, (each, text)) in self.overrides.iter_mut().zip(texts).enumerate() {
            let span = self.report.source.variable_span(index);
            let leaf = after(&span, 2 * each.path.len());
            let Some(value) = each.form.and_then(|form| form.read(text, &leaf)) else { continue };
            if let Err(message) = insert(&mut root, &each.path, value, &span) {
                each.form = None;
                self.report.unread(&span, joined(&each.path), message);
            }
        }
        root
    }

    /// Reports what `error` is about and takes it out; false if there is nothing to take out.
    fn take_out(&mut self, merged: &Spanned<DeValue<'_>>, texts: &[String], error: &toml::de::Error) -> bool {
        let span = error.span().unwrap_or_default();
        let steps = find(merged, &span);
        let path = shown(&steps);
        let key = steps.iter().rev().find_map(Step::key).unwrap_or_default();
        let message = message::plain(error.message(), key);
        let variable = self.report.source.variable_of(&span);
        let overriding = variable.and_then(|index| Some((self.overrides.get_mut(index)?, texts.get(index)?)));
        let Some((each, text)) = overriding else {
            self.report.unread(&span, path, message);
            return remove(&mut self.root, &steps);
        };
        // Every text is a list, so what a list is told says the least.
        let (path, message) = match (each.form, each.earlier.take()) {
            (Some(Form::List), Some(earlier)) => earlier,
            _ => (path, message),
        };
        each.form = match each.form {
            Some(Form::Text) if Form::Literal.read(text, &span).is_some() => Some(Form::Literal),
            Some(Form::Text | Form::Literal) => Some(Form::List),
            Some(Form::List) | None => None,
        };
        if each.form.is_some() {
            each.earlier = Some((path, message));
        } else {
            self.report.unread(&span, path, message);
        }
        true
    }

    fn resolve_file(&mut self, resolve: Resolve<'_>) {
        let mut failed = Vec::new();
        visit(&mut self.root, &mut Vec::new(), &mut |value, steps| {
            let span = value.span();
            if let DeValue::String(text) = value.get_mut() {
                match resolved(text, resolve) {
                    Ok(None) => {}
                    Ok(Some(secret)) => *text = secret.into(),
                    Err(message) => failed.push((steps.to_vec(), span, message)),
                }
            }
        });
        // From the back, so that the indices of a list stay true.
        for (steps, span, message) in failed.into_iter().rev() {
            self.report.unread(&span, shown(&steps), message);
            remove(&mut self.root, &steps);
        }
    }

    fn resolve_overrides(&mut self, resolve: Resolve<'_>) {
        for (index, (each, text)) in self.overrides.iter_mut().zip(&mut self.texts).enumerate() {
            match resolved(text, resolve) {
                Ok(None) => {}
                Ok(Some(secret)) => *text = secret,
                Err(message) => {
                    each.form = None;
                    let span = self.report.source.variable_span(index);
                    self.report.unread(&span, joined(&each.path), message);
                }
            }
        }
    }
}

// === impl Form ===

impl Form {
    /// The value in this form, if the text has it; its elements come after `span`.
    fn read<'a>(self, text: &'a str, span: &Range<usize>) -> Option<DeValue<'a>> {
        let element = |(index, item)| Spanned::new(after(span, index + 1), item);
        match self {
            Self::Text => Some(DeValue::String(text.into())),
            Self::Literal => match DeValue::parse(text).ok()?.into_inner() {
                DeValue::Table(_) => None,
                DeValue::Array(list) => {
                    let flat = |item: &Spanned<DeValue<'_>>| !item.get_ref().is_array() && !item.get_ref().is_table();
                    let items = list.iter().all(flat).then_some(list)?.into_iter().map(Spanned::into_inner);
                    Some(DeValue::Array(items.enumerate().map(element).collect()))
                }
                scalar => Some(scalar),
            },
            Self::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                let items = items.map(|item| DeValue::String(item.into()));
                Some(DeValue::Array(items.enumerate().map(element).collect()))
            }
        }
    }
}

/// What `text` refers to; none if it is no reference.
fn resolved(text: &str, resolve: Resolve<'_>) -> Result<Option<String>, String> {
    let Some(inner) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        return if text.contains("${env:") || text.contains("${file:") {
            Err("a reference must be the whole value".to_owned())
        } else {
            Ok(None)
        };
    };
    let reference = match inner.split_once(':') {
        Some(("env", name)) => Reference::Env(name),
        Some(("file", path)) => Reference::File(path),
        // A group of a regular expression, such as a rule for labels has.
        None if !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit()) => return Ok(None),
        _ => return Err("expected ${env:NAME} or ${file:PATH}".to_owned()),
    };
    resolve(reference).map(Some).map_err(|error| format!("could not read ${{{inner}}}: {error}"))
}

#[cfg(test)]
mod tests;
