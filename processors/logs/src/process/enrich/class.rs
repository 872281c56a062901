//! The class of a log, by rules: those of the configuration, then the built-in ones.

use regex::Regex;
use weir_mask::Class;

use crate::config::ClassRule;
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

/// The rules of a configuration, compiled.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    class: Class,
    parser: Option<Parser>,
    service: Option<Regex>,
    attribute: Option<(String, Option<Regex>)>,
    body: Option<Regex>,
}

/// Syslog's facilities that are about who came in: auth, authpriv; and audit.
const SECURITY_FACILITIES: [i64; 2] = [4, 10];
const AUDIT_FACILITY: i64 = 13;
const CRON_FACILITY: i64 = 9;
/// From here on, facilities are the site's own, for its applications: local0 to local7. User (1) is an application's too.
const LOCAL_FACILITY: i64 = 16;
const USER_FACILITY: i64 = 1;

impl Rules {
    /// Compiles rules.
    ///
    /// # Errors
    /// One has an expression that is none.
    pub fn new(rules: &[ClassRule]) -> Result<Self, regex::Error> {
        let compile = |text: &Option<weir_config::Spanned<String>>| {
            text.as_ref().map(|text| pattern::compile(text.get_ref())).transpose()
        };
        let rule = |rule: &ClassRule| {
            let value = compile(&rule.value)?;
            Ok(Rule {
                class: *rule.class.get_ref(),
                parser: rule.parser.as_ref().map(|parser| *parser.get_ref()),
                service: compile(&rule.service)?,
                attribute: rule.attribute.as_ref().map(|name| (name.get_ref().clone(), value)),
                body: compile(&rule.body)?,
            })
        };
        rules.iter().map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// The class of a line.
    pub fn class(&self, line: &impl Seen) -> Class {
        let holds = |rule: &&Rule| {
            rule.parser.is_none_or(|parser| parser == line.parser())
                && rule
                    .service
                    .as_ref()
                    .is_none_or(|service| line.attribute("service.name", &mut |text| service.is_match(text)))
                && rule.attribute.as_ref().is_none_or(|(name, value)| {
                    line.attribute(name, &mut |text| value.as_ref().is_none_or(|value| value.is_match(text)))
                })
                && rule.body.as_ref().is_none_or(|body| line.body().is_some_and(|text| body.is_match(text)))
        };
        self.0.iter().find(holds).map_or_else(|| built_in(line), |rule| rule.class)
    }
}

/// What a line is where no rule of the configuration holds.
fn built_in(line: &impl Seen) -> Class {
    let any = &mut |_: &str| true;
    match line.parser() {
        Parser::Access => Class::Access,
        Parser::CiscoAsa => Class::Security,
        Parser::SyslogRfc5424 | Parser::SyslogRfc3164 => match line.parsed("syslog.facility") {
            Some(Value::Int(facility)) if SECURITY_FACILITIES.contains(facility) => Class::Security,
            Some(Value::Int(AUDIT_FACILITY)) => Class::Audit,
            Some(Value::Int(CRON_FACILITY)) => Class::Job,
            Some(Value::Int(facility)) if *facility >= LOCAL_FACILITY || *facility == USER_FACILITY => Class::App,
            Some(_) => Class::Infra,
            None => match line.parsed("syslog.appname").and_then(Value::as_text) {
                Some("sshd" | "sudo" | "su" | "login" | "passwd" | "useradd" | "userdel" | "usermod" | "groupadd") => {
                    Class::Security
                }
                Some("CRON" | "cron" | "crond" | "anacron") => Class::Job,
                Some("auditd" | "audit") => Class::Audit,
                _ => Class::Infra,
            },
        },
        _ if line.attribute("k8s.job.name", any) || line.attribute("k8s.cronjob.name", any) => Class::Job,
        _ => Class::App,
    }
}
