//! Logs: application and access lines of every layer, some with what should be masked.

use std::fmt::Write as _;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::catalog::{Layer, SERVICES};
use crate::incident::Incident;
use crate::mix::Dice;
use crate::resource::{scope, text};
use crate::traces::SpanRef;
use crate::world::{Life, World, millis};

/// The `log.record.uid` of a line: the seed and the line's number.
pub(crate) fn uid(seed: u64, line: u64) -> String {
    format!("{seed:016x}-{line:016x}")
}

/// The number of the line that has this `log.record.uid`.
pub(crate) fn line_number(seed: u64, uid_text: &str) -> Option<u64> {
    let (_, line) = uid_text.split_once('-')?;
    let line = u64::from_str_radix(line, 16).ok()?;
    (uid(seed, line) == uid_text).then_some(line)
}

/// What a record's lines have in common.
pub(crate) struct Lines<'a> {
    pub life: &'a Life,
    pub resource: Resource,
    /// Number of the first line.
    pub first: u64,
    pub count: u32,
    pub now_nanos: u64,
    /// Spans of this instance that lines may speak of.
    pub spans: Vec<SpanRef>,
}

/// A line: severity number, its text, body.
type Line = (i32, &'static str, String);

/// Makes a record of lines, each a microsecond after the one before.
pub(crate) fn request(world: &World, lines: Lines<'_>, dice: &mut Dice) -> ExportLogsServiceRequest {
    let layer = SERVICES.get(lines.life.service).map_or(Layer::Business, |service| service.layer);
    let struck = lines.life.ordinal.is_multiple_of(3);
    let trouble = world.trouble(layer, millis(lines.now_nanos)).filter(|_| struck);
    let records = (0..lines.count).map(|at| {
        let time_unix_nano = lines.now_nanos.saturating_add(u64::from(at) * 1_000);
        let (severity_number, severity_text, body) = line(layer, trouble, time_unix_nano, dice);
        let mut record = LogRecord {
            time_unix_nano,
            observed_time_unix_nano: time_unix_nano,
            severity_number,
            severity_text: severity_text.into(),
            body: Some(AnyValue { value: Some(any_value::Value::StringValue(body)) }),
            attributes: vec![text("log.record.uid", uid(world.seed, lines.first + u64::from(at)))],
            ..LogRecord::default()
        };
        let spoken_of = (!lines.spans.is_empty()).then(|| dice.below(u32::try_from(lines.spans.len()).unwrap_or(1)));
        if let Some(span) = spoken_of.and_then(|at| lines.spans.get(usize::try_from(at).ok()?)) {
            record.trace_id = span.trace_id.to_vec();
            record.span_id = span.span_id.to_vec();
            record.flags = 1;
        }
        record
    });
    let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records: records.collect(), ..ScopeLogs::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource: Some(lines.resource), scope_logs, ..ResourceLogs::default() }],
    }
}

fn line(layer: Layer, trouble: Option<Incident>, nanos: u64, dice: &mut Dice) -> Line {
    if let Some(incident) = trouble.filter(|_| dice.below(4) == 0) {
        return (17, "ERROR", format!("ERROR {incident}: {}", incident.help()));
    }
    if dice.below(16) == 0 {
        return personal(dice);
    }
    let access = matches!(layer, Layer::Delivery | Layer::Business | Layer::Analytics);
    if access && dice.below(2) == 0 {
        return access_line(nanos, dice);
    }
    let session = dice.below(100_000);
    let millis = 5 + dice.below(400);
    match layer {
        Layer::Wearable => {
            (5, "DEBUG", format!("step recognised session={session} confidence=0.{}", dice.below(90) + 10))
        }
        Layer::Delivery => (
            9,
            "INFO",
            format!("level=info msg=\"clip stored\" session={session} bytes={} took_ms={millis}", dice.roll() >> 40),
        ),
        Layer::Business => {
            (9, "INFO", format!("INFO session {session} updated response_time={millis}ms status_code=200"))
        }
        Layer::Data => (
            9,
            "INFO",
            format!(
                r#"{{"level":"info","msg":"job finished","job":"work-events","rows":{},"duration_ms":{millis}}}"#,
                dice.below(1_000_000)
            ),
        ),
        Layer::Analytics => {
            (13, "WARN", format!("[WARN] slow query for page work-analysis: {millis} ms, 作業分析 session {session}"))
        }
    }
}

/// Lines that speak of people and secrets, all of them made up.
fn personal(dice: &mut Dice) -> Line {
    let person = dice.pick(&["aiko.tanaka", "kenji.sato", "marta.kowalski", "j.smith", "yuki.mori"]);
    let mail = format!("{person}{}@example.com", dice.below(1_000));
    match dice.below(6) {
        0 => (9, "INFO", format!("INFO user {mail} signed in from {}", address(dice))),
        1 => (13, "WARN", format!("WARN upstream refused, Authorization: Bearer {}", token(dice, 40))),
        2 => (17, "ERROR", format!("ERROR login failed user={mail} password=Pw-{} status_code=401", token(dice, 10))),
        3 => (
            9,
            "INFO",
            format!("INFO token issued for {mail}: eyJhbGciOiJIUzI1NiJ9.eyJ{}.{}", token(dice, 30), token(dice, 43)),
        ),
        4 => (
            9,
            "INFO",
            format!("INFO 作業員 {mail} 電話 090-{:04}-{:04} 呼び出し", dice.below(10_000), dice.below(10_000)),
        ),
        _ => (
            9,
            "INFO",
            format!(
                r#"{{"level":"info","msg":"export","to":"{mail}","url":"https://files.example.com/r?id=7&access_token={}"}}"#,
                token(dice, 32)
            ),
        ),
    }
}

/// A line of the combined log format.
fn access_line(nanos: u64, dice: &mut Dice) -> Line {
    let request = dice.pick(&[
        "POST /v1/events",
        "GET /v1/sessions/8812",
        "PUT /v1/sessions/8812/steps",
        "GET /pages/work-analysis",
    ]);
    let status = dice.pick(&["200", "200", "200", "204", "304", "404"]);
    let agent = dice.pick(&["WorkApp/2.4 (Android 14)", "Mozilla/5.0 (X11; Linux x86_64)"]);
    let body = format!(
        "{} - - [{}] \"{request} HTTP/1.1\" {status} {} \"-\" \"{agent}\"",
        address(dice),
        access_time(nanos / 1_000_000_000),
        dice.below(50_000),
    );
    (9, "INFO", body)
}

/// An IPv4 address of the ranges for documentation (RFC 5737).
fn address(dice: &mut Dice) -> String {
    let network = dice.pick(&["192.0.2", "198.51.100", "203.0.113"]);
    format!("{network}.{}", 1 + dice.below(254))
}

/// Letters and digits as in a token.
fn token(dice: &mut Dice, length: usize) -> String {
    let mut token = String::with_capacity(length + 16);
    while token.len() < length {
        // Base 36 by hand would be longer, and hexadecimal does not look like a token.
        let letter = char::from_digit(dice.below(36), 36).unwrap_or('a');
        token.push(if dice.below(2) == 0 { letter.to_ascii_uppercase() } else { letter });
    }
    token
}

/// `21/Nov/2026:15:48:20 +0000`.
fn access_time(seconds: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // Days since 1 March of year 0, so that the leap day is a year's last.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    let name = usize::try_from(month).ok().and_then(|month| MONTHS.get(month)).copied().unwrap_or("Jan");
    let mut text = format!("{day:02}/{name}/{year}");
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    // Writing to a String cannot fail.
    let _written = write!(text, ":{hour:02}:{minute:02}:{second:02} +0000");
    text
}
