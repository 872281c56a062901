//! Traces: `opentelemetry/proto/trace/v1/trace.proto`.

use crate::common::{Attributes, envelope, request};
use crate::error::Error;
use crate::repeated::{Message, Repeated, or_empty, singular};
use crate::wire::{I32, I64, LEN, Reader, VARINT};

request! {
    /// `ExportTraceServiceRequest` or `TracesData`.
    TracesRequest(Traces) { resource_spans: ResourceSpans }
}

envelope! {
    /// The spans of one resource.
    ResourceSpans { resource: Resource, scope_spans: ScopeSpans }
}

envelope! {
    /// The spans of one instrumentation scope.
    ScopeSpans { scope: Scope, spans: Span }
}

/// One operation within a trace.
#[derive(Clone, Copy)]
pub struct Span<'a> {
    /// The trace it belongs to; 16 bytes if valid.
    pub trace_id: &'a [u8],
    /// Its identity within the trace; 8 bytes if valid.
    pub span_id: &'a [u8],
    /// What vendors carry along, as in the W3C header.
    pub trace_state: &'a str,
    /// The span it was started by; empty for a root.
    pub parent_span_id: &'a [u8],
    /// Bits 0 to 7: W3C trace flags; 8 and 9: whether the parent is remote.
    pub flags: u32,
    /// Its name.
    pub name: &'a str,
    /// The number of its `SpanKind`.
    pub kind: i32,
    /// When it began, in nanoseconds since 1970.
    pub start_time_unix_nano: u64,
    /// When it ended, in nanoseconds since 1970.
    pub end_time_unix_nano: u64,
    /// What describes it.
    pub attributes: Attributes<'a>,
    /// How many attributes were dropped at the source.
    pub dropped_attributes_count: u32,
    /// What happened meanwhile.
    pub events: Repeated<'a, Event<'a>>,
    /// How many events were dropped at the source.
    pub dropped_events_count: u32,
    /// Other spans it has to do with.
    pub links: Repeated<'a, Link<'a>>,
    /// How many links were dropped at the source.
    pub dropped_links_count: u32,
    /// How it ended; unset if absent.
    pub status: SpanStatus<'a>,
    /// The message's own bytes, for passing it on.
    pub raw: &'a [u8],
}

impl<'a> Message<'a> for Span<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut status = None;
        let mut span = Self {
            trace_id: &[],
            span_id: &[],
            trace_state: "",
            parent_span_id: &[],
            flags: 0,
            name: "",
            kind: 0,
            start_time_unix_nano: 0,
            end_time_unix_nano: 0,
            attributes: Repeated::new(&r, 9),
            dropped_attributes_count: 0,
            events: Repeated::new(&r, 11),
            dropped_events_count: 0,
            links: Repeated::new(&r, 13),
            dropped_links_count: 0,
            status: SpanStatus { message: "", code: 0 },
            raw: r.rest(),
        };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, LEN) => span.trace_id = r.bytes()?,
                (2, LEN) => span.span_id = r.bytes()?,
                (3, LEN) => span.trace_state = r.string()?,
                (4, LEN) => span.parent_span_id = r.bytes()?,
                (5, LEN) => span.name = r.string()?,
                (6, VARINT) => span.kind = r.varint_i32()?,
                (7, I64) => span.start_time_unix_nano = r.fixed64()?,
                (8, I64) => span.end_time_unix_nano = r.fixed64()?,
                (9, LEN) => span.attributes.push(&mut r, f)?,
                (10, VARINT) => span.dropped_attributes_count = r.varint_u32()?,
                (11, LEN) => span.events.push(&mut r, f)?,
                (12, VARINT) => span.dropped_events_count = r.varint_u32()?,
                (13, LEN) => span.links.push(&mut r, f)?,
                (14, VARINT) => span.dropped_links_count = r.varint_u32()?,
                (15, LEN) => singular(&mut status, &mut r, f)?,
                (16, I32) => span.flags = r.fixed32()?,
                (1..=16, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        span.status = or_empty(status, &r)?;
        Ok(span)
    }
}

/// Something that happened during a span.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// When, in nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// Its name.
    pub name: &'a str,
    /// What describes it.
    pub attributes: Attributes<'a>,
    /// How many attributes were dropped at the source.
    pub dropped_attributes_count: u32,
}

impl<'a> Message<'a> for Event<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut event =
            Self { time_unix_nano: 0, name: "", attributes: Repeated::new(&r, 3), dropped_attributes_count: 0 };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, I64) => event.time_unix_nano = r.fixed64()?,
                (2, LEN) => event.name = r.string()?,
                (3, LEN) => event.attributes.push(&mut r, f)?,
                (4, VARINT) => event.dropped_attributes_count = r.varint_u32()?,
                (1..=4, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(event)
    }
}

/// A span that another one has to do with.
#[derive(Clone, Copy)]
pub struct Link<'a> {
    /// Its trace; 16 bytes if valid.
    pub trace_id: &'a [u8],
    /// Its identity within that trace; 8 bytes if valid.
    pub span_id: &'a [u8],
    /// What vendors carry along, as in the W3C header.
    pub trace_state: &'a str,
    /// What describes the relation.
    pub attributes: Attributes<'a>,
    /// How many attributes were dropped at the source.
    pub dropped_attributes_count: u32,
    /// Bits 0 to 7: W3C trace flags; 8 and 9: whether the linked span is remote.
    pub flags: u32,
}

impl<'a> Message<'a> for Link<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut link = Self {
            trace_id: &[],
            span_id: &[],
            trace_state: "",
            attributes: Repeated::new(&r, 4),
            dropped_attributes_count: 0,
            flags: 0,
        };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, LEN) => link.trace_id = r.bytes()?,
                (2, LEN) => link.span_id = r.bytes()?,
                (3, LEN) => link.trace_state = r.string()?,
                (4, LEN) => link.attributes.push(&mut r, f)?,
                (5, VARINT) => link.dropped_attributes_count = r.varint_u32()?,
                (6, I32) => link.flags = r.fixed32()?,
                (1..=6, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(link)
    }
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanStatus<'a> {
    /// What went wrong, for people.
    pub message: &'a str,
    /// The number of the `StatusCode`: 0 unset, 1 ok, 2 error.
    pub code: i32,
}

impl<'a> Message<'a> for SpanStatus<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut status = Self { message: "", code: 0 };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (2, LEN) => status.message = r.string()?,
                (3, VARINT) => status.code = r.varint_i32()?,
                (2 | 3, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(status)
    }
}
