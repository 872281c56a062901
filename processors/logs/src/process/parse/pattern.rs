//! Regular expressions of the configuration, with named groups. The engine is linear in the line's length.

use super::Clock;
use crate::config::Pattern;
use crate::process::value::{Parsed, bare};

/// A pattern ready to be tried.
#[derive(Debug)]
pub struct Compiled {
    /// Its name in the configuration.
    pub name: String,
    expression: regex::Regex,
    /// The groups that have names, by number.
    groups: Vec<(usize, String)>,
}

impl Compiled {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is no regular expression, or too large as one.
    pub fn new(pattern: &Pattern) -> Result<Self, regex::Error> {
        let expression = compile(pattern.regex.get_ref())?;
        let names = expression.capture_names().enumerate();
        let groups = names.filter_map(|(at, name)| Some((at, name?.replace("__", ".")))).collect();
        Ok(Self { name: pattern.name.get_ref().clone(), expression, groups })
    }

    /// Reads a line that the expression matches.
    pub fn parse<'a>(&self, line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> bool {
        let Some(captures) = self.expression.captures(line) else { return false };
        for (at, name) in &self.groups {
            if let Some(group) = captures.get(*at).filter(|group| !group.as_str().is_empty()) {
                out.put(name.clone(), bare(group.as_str()));
            }
        }
        super::lift(out, clock);
        true
    }
}

/// Compiles an expression within bounds: 1 MiB of program.
///
/// # Errors
/// It is no regular expression, or too large as one.
pub fn compile(text: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(text).size_limit(1 << 20).build()
}
