//! The rules that measure without being written.

use weir_config::unset;
use weir_mask::Class;

use super::MeasureRule;
use crate::process::enrich::severity::Level;

/// Lines that tell of a login that failed: sshd, PAM and login, Windows' event 4625, Cisco ASA, applications.
const FAILED_LOGINS: &str = concat!(
    "[Ff]ailed (?:password|publickey|keyboard-interactive|login|logon)|[Aa]uthentication (?:failure|failed)",
    "|[Ll]ogin (?:has )?failed|[Ll]ogon failure|FAILED LOGIN|<EventID[^>]*>4625<|%ASA-6-(?:113005|605004|611102)",
);

/// Lines that tell of somebody who takes or is given rights: sudo and su, accounts and groups, Windows' events of
/// rights, of new accounts and of members of groups.
const PRIVILEGE_CHANGES: &str = concat!(
    r"\bsudo(?:\[\d+\])?: .*COMMAND=|\bsu(?:\[\d+\])?: .*(?:session opened|\bto root\b|\(to )",
    r"|\b(?:useradd|usermod|groupadd|gpasswd)(?:\[\d+\])?: |<EventID[^>]*>(?:4672|4720|4728|4732|4756)<",
    "|%ASA-5-(?:502101|502103)",
);

/// Lines that tell of a configuration that was changed: Cisco IOS and ASA, Windows' events of policies, audit rules.
const CONFIG_CHANGES: &str = concat!(
    "%SYS-5-CONFIG_I|%ASA-5-(?:111008|111010)|<EventID[^>]*>(?:1102|4719|4739|5136)<|type=CONFIG_CHANGE",
    "|[Cc]onfiguration (?:was |has been )?(?:changed|modified|committed)|UI_COMMIT",
);

/// Lines that tell of a request that a web application firewall blocked: ModSecurity and Coraza, AWS, F5, Cloudflare.
const WAF_BLOCKS: &str = concat!(
    "ModSecurity: Access denied|Coraza: Access denied",
    r#"|"terminatingRuleId".*"action":\s?"BLOCK"|"action":\s?"BLOCK".*"terminatingRuleId""#,
    r#"|request_status="blocked"|"SecurityAction":\s?"block"|\bWAF\b.*\b(?:BLOCK|block|denied)"#,
);

/// What a log of somebody's rights or of a device's configuration may be.
const OF_SYSTEMS: [Class; 3] = [Class::Security, Class::Audit, Class::Infra];

/// The ready-made rules.
pub(super) fn rules() -> Vec<MeasureRule> {
    let labels = |names: &[&str]| unset(names.iter().map(|name| (*name).to_owned()).collect());
    let by_service = |rule: MeasureRule| MeasureRule { labels: labels(&["service.name"]), ..rule };
    let told = |rule: MeasureRule, body: &str| MeasureRule { body: Some(unset(body.to_owned())), ..by_service(rule) };
    let of_systems = |rule: MeasureRule| MeasureRule { class: unset(OF_SYSTEMS.to_vec()), ..rule };
    vec![
        MeasureRule {
            labels: labels(&["service.name", "weir.class", "severity"]),
            ..MeasureRule::named("log.lines", "Lines, by service, class and severity")
        },
        by_service(MeasureRule {
            severity: Some(unset(Level::Error)),
            ..MeasureRule::named("log.errors", "Lines that are errors or worse, by service")
        }),
        by_service(MeasureRule {
            unit: Some("s".to_owned()),
            observe: Some(unset("weir.response_time_seconds".to_owned())),
            ..MeasureRule::named("log.response_time", "Response times that lines tell, by service")
        }),
        told(MeasureRule::named("log.failed_logins", "Lines that tell of a failed login, by service"), FAILED_LOGINS),
        of_systems(told(
            MeasureRule::named("log.privilege_changes", "Lines that tell of rights taken or given, by service"),
            PRIVILEGE_CHANGES,
        )),
        of_systems(told(
            MeasureRule::named("log.config_changes", "Lines that tell of a changed configuration, by service"),
            CONFIG_CHANGES,
        )),
        told(
            MeasureRule::named("log.waf_blocks", "Lines that tell of a request that was blocked, by service"),
            WAF_BLOCKS,
        ),
    ]
}
