//! Logs: `opentelemetry/proto/logs/v1/logs.proto`.

use crate::common::{AnyValue, Attributes, envelope, request};
use crate::error::Error;
use crate::repeated::{Message, Repeated, singular};
use crate::wire::{I32, I64, LEN, Reader, VARINT};

request! {
    /// `ExportLogsServiceRequest` or `LogsData`.
    LogsRequest(Logs) { resource_logs: ResourceLogs }
}

impl LogsRequest<'_> {
    /// Reads all of it, down to the last value.
    ///
    /// # Errors
    /// The first error, with its place in the payload.
    pub fn check(&self) -> Result<(), Error> {
        for logs in self.resource_logs() {
            let logs = logs?;
            attributes(logs.resource.attributes)?;
            for logs in logs.scope_logs() {
                let logs = logs?;
                attributes(logs.scope.attributes)?;
                for record in logs.log_records() {
                    let record = record?;
                    value(record.body)?;
                    attributes(record.attributes)?;
                }
            }
        }
        Ok(())
    }
}

fn attributes(attributes: Attributes<'_>) -> Result<(), Error> {
    attributes.iter().try_for_each(|attribute| value(attribute?.1))
}

/// Values nest no deeper than [`MAX_DEPTH`](crate::MAX_DEPTH), which their reader sees to.
fn value(of: AnyValue<'_>) -> Result<(), Error> {
    match of {
        AnyValue::Array(values) => values.iter().try_for_each(|item| value(item?)),
        AnyValue::KvList(values) => attributes(values),
        _ => Ok(()),
    }
}

envelope! {
    /// The log records of one resource.
    ResourceLogs { resource: Resource, scope_logs: ScopeLogs }
}

envelope! {
    /// The log records of one instrumentation scope.
    ScopeLogs { scope: Scope, log_records: LogRecord }
}

/// One log record.
#[derive(Clone, Copy)]
pub struct LogRecord<'a> {
    /// When it happened, in nanoseconds since 1970; 0 if unknown.
    pub time_unix_nano: u64,
    /// When it was seen, in nanoseconds since 1970.
    pub observed_time_unix_nano: u64,
    /// The number of its severity, 1 to 24; 0 if unknown.
    pub severity_number: i32,
    /// Its severity as the source calls it.
    pub severity_text: &'a str,
    /// What it says.
    pub body: AnyValue<'a>,
    /// What describes it.
    pub attributes: Attributes<'a>,
    /// How many attributes were dropped at the source.
    pub dropped_attributes_count: u32,
    /// Bits 0 to 7: W3C trace flags.
    pub flags: u32,
    /// The trace it belongs to; 16 bytes or none.
    pub trace_id: &'a [u8],
    /// The span it belongs to; 8 bytes or none.
    pub span_id: &'a [u8],
    /// What kind of event it is; empty if it is none.
    pub event_name: &'a str,
    /// The message's own bytes, for passing it on.
    pub raw: &'a [u8],
}

impl<'a> Message<'a> for LogRecord<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut body = None;
        let mut record = Self {
            time_unix_nano: 0,
            observed_time_unix_nano: 0,
            severity_number: 0,
            severity_text: "",
            body: AnyValue::Empty,
            attributes: Repeated::new(&r, 6),
            dropped_attributes_count: 0,
            flags: 0,
            trace_id: &[],
            span_id: &[],
            event_name: "",
            raw: r.rest(),
        };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, I64) => record.time_unix_nano = r.fixed64()?,
                (2, VARINT) => record.severity_number = r.varint_i32()?,
                (3, LEN) => record.severity_text = r.string()?,
                (5, LEN) => singular(&mut body, &mut r, f)?,
                (6, LEN) => record.attributes.push(&mut r, f)?,
                (7, VARINT) => record.dropped_attributes_count = r.varint_u32()?,
                (8, I32) => record.flags = r.fixed32()?,
                (9, LEN) => record.trace_id = r.bytes()?,
                (10, LEN) => record.span_id = r.bytes()?,
                (11, I64) => record.observed_time_unix_nano = r.fixed64()?,
                (12, LEN) => record.event_name = r.string()?,
                (1..=3 | 5..=12, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        record.body = body.unwrap_or(AnyValue::Empty);
        Ok(record)
    }
}
