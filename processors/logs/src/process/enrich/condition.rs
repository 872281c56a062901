//! What a line has to be for a rule to hold.

use regex::Regex;
use weir_config::Spanned;

use crate::config::Conditions;
use crate::process::parse::{Parser, pattern};
use crate::process::value::Value;

/// What a rule sees of a line.
pub trait Seen {
    /// The parser that took it.
    fn parser(&self) -> Parser;
    /// Its body, if that is text.
    fn body(&self) -> Option<&str>;
    /// Calls `with` with the text of an attribute of the line or its resource; false where there is none.
    fn attribute(&self, name: &str, with: &mut dyn FnMut(&str) -> bool) -> bool;
    /// A value that a parser read out of it.
    fn parsed(&self, name: &str) -> Option<&Value<'_>>;
}

/// The conditions of a rule, compiled.
#[derive(Debug, Default)]
pub struct Condition {
    parser: Option<Parser>,
    service: Option<Regex>,
    attribute: Option<(String, Option<Regex>)>,
    body: Option<Regex>,
}

impl Condition {
    /// Compiles conditions.
    ///
    /// # Errors
    /// One has an expression that is none.
    pub fn new(conditions: Conditions<'_>) -> Result<Self, regex::Error> {
        let compile = |text: Option<&Spanned<String>>| text.map(|text| pattern::compile(text.get_ref())).transpose();
        let value = compile(conditions.value)?;
        Ok(Self {
            parser: conditions.parser.map(|parser| *parser.get_ref()),
            service: compile(conditions.service)?,
            attribute: conditions.attribute.map(|name| (name.get_ref().clone(), value)),
            body: compile(conditions.body)?,
        })
    }

    /// Whether all of them hold.
    pub fn holds(&self, line: &impl Seen) -> bool {
        self.parser.is_none_or(|parser| parser == line.parser())
            && self
                .service
                .as_ref()
                .is_none_or(|service| line.attribute("service.name", &mut |text| service.is_match(text)))
            && self.attribute.as_ref().is_none_or(|(name, value)| {
                line.attribute(name, &mut |text| value.as_ref().is_none_or(|value| value.is_match(text)))
            })
            && self.body.as_ref().is_none_or(|body| line.body().is_some_and(|text| body.is_match(text)))
    }
}
