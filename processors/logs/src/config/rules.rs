//! `[[worker.NAME.enrich.class]]`: which lines are of which class.

use serde::Deserialize;
use weir_config::{Checker, Spanned};
use weir_mask::Class;

use super::{Config, ParserKind, not_an_expression};
use crate::process::parse::{Parser, pattern};

/// Says the class of lines for which all its conditions hold; the first such rule counts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    /// The class.
    pub class: Spanned<Class>,
    /// The parser that took the line.
    pub parser: Option<Spanned<Parser>>,
    /// A regular expression that `service.name` matches.
    pub service: Option<Spanned<String>>,
    /// The name of an attribute that the line or its resource has.
    pub attribute: Option<Spanned<String>>,
    /// A regular expression that this attribute's value matches.
    pub value: Option<Spanned<String>>,
    /// A regular expression that the body matches.
    pub body: Option<Spanned<String>>,
}

/// What a line has to be for a rule to hold: all that is there must be so.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'c> {
    /// The parser that took it.
    pub parser: Option<&'c Spanned<Parser>>,
    /// An expression that `service.name` matches.
    pub service: Option<&'c Spanned<String>>,
    /// An attribute that it or its resource has.
    pub attribute: Option<&'c Spanned<String>>,
    /// An expression that this attribute matches.
    pub value: Option<&'c Spanned<String>>,
    /// An expression that the body matches.
    pub body: Option<&'c Spanned<String>>,
}

impl Conditions<'_> {
    /// What they say, for comparison: the name of the key, and its value.
    pub(super) fn said(&self) -> Vec<(&'static str, String)> {
        let texts =
            [("service", self.service), ("attribute", self.attribute), ("value", self.value), ("body", self.body)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?.get_ref().clone())));
        let parser = self.parser.map(|parser| ("parser", parser.get_ref().as_str().to_owned()));
        texts.chain(parser).collect()
    }

    /// Reports expressions that are none, and conditions that can never hold.
    pub(super) fn check(&self, path: &str, config: &Config, at: &mut Checker<'_>) {
        for (name, text) in [("service", self.service), ("value", self.value), ("body", self.body)] {
            if let Some(text) = text
                && let Err(error) = pattern::compile(text.get_ref())
            {
                not_an_expression(text, &format!("{path}.{name}"), &error, at);
            }
        }
        if let (Some(value), None) = (self.value, self.attribute) {
            at.problem(value.span(), &format!("{path}.value"), "says of no attribute: add attribute = \"...\"");
        }
        if let Some(parser) = self.parser
            && !can_take(*parser.get_ref(), config)
        {
            let message = "can never hold: no parser that is configured takes a line as that";
            at.problem(parser.span(), &format!("{path}.parser"), message);
        }
    }
}

impl ClassRule {
    /// What has to be so.
    pub fn conditions(&self) -> Conditions<'_> {
        Conditions {
            parser: self.parser.as_ref(),
            service: self.service.as_ref(),
            attribute: self.attribute.as_ref(),
            value: self.value.as_ref(),
            body: self.body.as_ref(),
        }
    }
}

/// Reports rules that can never hold, and those that contradict one before them.
pub(super) fn check(rules: &[ClassRule], config: &Config, at: &mut Checker<'_>) {
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("class[{index}]");
        rule.conditions().check(&path, config, at);
        let conditions = rule.conditions().said();
        let earlier = rules.iter().take(index).enumerate();
        let covered = earlier
            .map(|(at, earlier)| (at, earlier, earlier.conditions().said()))
            .find(|(_, _, earlier)| earlier.iter().all(|condition| conditions.contains(condition)));
        if let Some((before, earlier, wider)) = covered {
            let message = if earlier.class.get_ref() == rule.class.get_ref() {
                format!("adds nothing: class[{before}] holds wherever this one does, and says the same")
            } else if wider.len() == conditions.len() {
                format!(
                    "contradicts class[{before}], which has the same conditions and says {}",
                    earlier.class.get_ref().name()
                )
            } else {
                format!("can never hold: class[{before}] holds wherever this one does, and comes first")
            };
            at.problem(rule.class.span(), &path, message);
        }
    }
}

/// Whether a line can be taken by that parser.
fn can_take(parser: Parser, config: &Config) -> bool {
    let order = config.parsers.get_ref();
    let tried = |kind| order.is_empty() || order.contains(&kind);
    match parser {
        Parser::None => true,
        Parser::Pattern => !config.pattern.is_empty() && tried(ParserKind::Pattern),
        Parser::Delimited => !config.delimited.is_empty() && tried(ParserKind::Delimited),
        Parser::Json => tried(ParserKind::Json),
        Parser::Xml => tried(ParserKind::Xml),
        Parser::SyslogRfc5424 | Parser::SyslogRfc3164 => tried(ParserKind::Syslog),
        // A firewall's line is syslog, too.
        Parser::CiscoAsa => tried(ParserKind::CiscoAsa) || tried(ParserKind::Syslog),
        Parser::Access => tried(ParserKind::Access),
        Parser::Logfmt => tried(ParserKind::Logfmt),
        Parser::Bracketed => tried(ParserKind::Bracketed),
        Parser::App => tried(ParserKind::App),
    }
}
