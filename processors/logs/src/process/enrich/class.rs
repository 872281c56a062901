//! The class of a log, by rules: those of the configuration, then the built-in ones.

use weir_mask::Class;

use super::condition::{Condition, Seen};
use crate::config::ClassRule;
use crate::process::parse::Parser;
use crate::process::value::Value;

/// The rules of a configuration, compiled.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    class: Class,
    condition: Condition,
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
        let rule =
            |rule: &ClassRule| Ok(Rule { class: *rule.class.get_ref(), condition: Condition::new(rule.conditions())? });
        rules.iter().map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// The class of a line.
    pub fn class(&self, line: &impl Seen) -> Class {
        let holds = |rule: &&Rule| rule.condition.holds(line);
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

/// The classes that lines of a parser can have where no rule of the configuration holds.
pub fn built_in_of(parser: Parser) -> &'static [Class] {
    match parser {
        Parser::Access => &[Class::Access],
        Parser::CiscoAsa => &[Class::Security],
        Parser::SyslogRfc5424 | Parser::SyslogRfc3164 => {
            &[Class::Security, Class::Audit, Class::Job, Class::App, Class::Infra]
        }
        _ => &[Class::Job, Class::App],
    }
}
