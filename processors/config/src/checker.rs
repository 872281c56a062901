//! Where a problem is, and all of them together.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use serde::Serialize;

use crate::Spanned;

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// In the file, at no place of it: a value that it leaves out.
    File {
        /// The file's name.
        file: String,
    },
    /// At a line and a column of the file, both from 1; columns count characters.
    Position {
        /// The file's name.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// In an environment variable.
    Variable {
        /// The variable's name.
        variable: String,
    },
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Which key, with its tables: `worker.metrics.remote_write.linger`; empty for a fault of the syntax.
    pub path: String,
    /// What was expected; never the value, unless it is a number, a duration or a size.
    pub message: String,
}

/// Everything that is wrong, one a line, by position; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// Collects problems of one document.
#[derive(Debug)]
pub struct Report {
    pub(crate) source: Source,
    problems: Vec<Problem>,
    /// Paths whose values could not be read and are defaults now: not worth a second problem.
    unread: BTreeSet<String>,
}

/// Checks one table of a document; made by [`Report::at`].
#[derive(Debug)]
pub struct Checker<'a> {
    report: &'a mut Report,
    path: String,
}

/// The text that spans point into: the file, then, past its end, one position for each overriding variable.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) variables: Vec<String>,
}

/// A key as it is written in TOML: quoted unless it is bare.
pub fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { format!("\"{}\"", key.escape_default()) }
}

// === impl Source ===

impl Source {
    /// The span that stands for the variable of this index: its start does, and the ends after it are free to tell
    /// the keys and values apart that come from one variable.
    pub(crate) fn variable_span(&self, index: usize) -> Range<usize> {
        let start = self.text.len() + 1 + index;
        start..start + 1
    }

    /// The index of the variable that `span` stands for.
    pub(crate) fn variable_of(&self, span: &Range<usize>) -> Option<usize> {
        let index = span.start.checked_sub(self.text.len() + 1)?;
        (index < self.variables.len()).then_some(index)
    }

    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        if let Some(variable) = self.variable_of(span).and_then(|index| self.variables.get(index)) {
            return Place::Variable { variable: variable.clone() };
        }
        let file = self.file.clone();
        match self.text.get(..span.start) {
            Some(before) if *span != (0..0) => {
                let line_start = before.rfind('\n').map_or(0, |end| end + 1);
                let line = before.matches('\n').count() + 1;
                let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
                Place::Position { file, line, column }
            }
            _ => Place::File { file },
        }
    }
}

// === impl Report ===

impl Report {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, problems: Vec::new(), unread: BTreeSet::new() }
    }

    /// Begins to check the table at `path`, empty for the document itself.
    pub fn at(&mut self, path: impl Into<String>) -> Checker<'_> {
        Checker { report: self, path: path.into() }
    }

    /// Ends the report.
    ///
    /// # Errors
    /// Every problem that was found, sorted by position; those of variables come last.
    pub fn finish(self) -> Result<(), Problems> {
        Problems::new(self.problems).map_or(Ok(()), Err)
    }

    /// Records a value that could not be read.
    pub(crate) fn unread(&mut self, span: &Range<usize>, path: String, message: String) {
        self.unread.insert(path.clone());
        self.push(span, path, message);
    }

    pub(crate) fn push(&mut self, span: &Range<usize>, path: String, message: String) {
        self.problems.push(Problem { place: self.source.place(span), path, message });
    }

    fn is_unread(&self, path: &str) -> bool {
        self.unread.iter().any(|unread| {
            path.strip_prefix(unread.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

// === impl Checker ===

impl Checker<'_> {
    /// Checks a table below this one; `path` is written as in TOML (see [`quoted`]).
    pub fn under(&mut self, path: &str) -> Checker<'_> {
        let path = self.path(path);
        Checker { report: self.report, path }
    }

    /// Reports `message` about `path` below this table, at `span`.
    ///
    /// Left out where the value could not be read, which is a problem already.
    pub fn problem(&mut self, span: Range<usize>, path: &str, message: impl fmt::Display) {
        let path = self.path(path);
        if !self.report.is_unread(&path) {
            self.report.push(&span, path, message.to_string());
        }
    }

    /// Reports a value outside `range`, and the range.
    pub fn within<T: PartialOrd + fmt::Display>(&mut self, value: &Spanned<T>, path: &str, range: RangeInclusive<T>) {
        if !range.contains(value.get_ref()) {
            let message = format!("{} is outside {}..={}", value.get_ref(), range.start(), range.end());
            self.problem(value.span(), path, message);
        }
    }

    /// Reports what is not an `http` or `https` URL with a host, or has credentials in it, which would be shown.
    pub fn url(&mut self, value: &Spanned<String>, path: &str) {
        let message = match url::Url::parse(value.get_ref()) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                "expected a URL that starts with http:// or https://"
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "a URL is shown in logs and tables: it must not hold a user name or password"
            }
            Ok(_) => return,
            Err(_) => "expected a URL such as http://127.0.0.1:9090/path",
        };
        self.problem(value.span(), path, message);
    }

    fn path(&self, below: &str) -> String {
        match (self.path.as_str(), below) {
            ("", path) | (path, "") => path.to_owned(),
            (path, below) => format!("{path}.{below}"),
        }
    }
}

// === impl Problems ===

impl Problems {
    /// Sorts and keeps one of each; none if there is no problem.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort();
        problems.dedup();
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// The problems, by position.
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { file } => write!(f, "{file}: ")?,
            Place::Position { file, line, column } => write!(f, "{file}:{line}:{column}: ")?,
            Place::Variable { variable } => write!(f, "{variable}: ")?,
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}
