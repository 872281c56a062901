//! Traces: one piece of filmed work on its way from the device to the analysis.
//!
//! A trace's IDs and its shape are a pure function of the seed and the trace's number; the number can be
//! read back from the ID, so that what was made is kept as a set of numbers.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::catalog::{self, SERVICES};
use crate::mix::{Dice, hash, mix};
use crate::resource::{number, scope, text};
use crate::world::{World, millis};

/// No trace has more spans.
pub(crate) const SPANS_MAX: u64 = 16;

/// Odd, so that multiplying by it can be undone.
const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;
const GATHER: u64 = inverse(SCATTER);

/// The inverse of an odd number modulo 2^64, by Newton's method: each round doubles the correct bits.
const fn inverse(odd: u64) -> u64 {
    let mut guess = odd;
    let mut round = 0;
    while round < 5 {
        guess = guess.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(guess)));
        round += 1;
    }
    guess
}

/// A span of every trace.
struct Plan {
    service: usize,
    parent: Option<usize>,
    name: &'static str,
    kind: SpanKind,
    /// Usual duration of its own work, in microseconds.
    work_us: u32,
}

const fn plan(service: usize, parent: Option<usize>, name: &'static str, kind: SpanKind, work_us: u32) -> Plan {
    Plan { service, parent, name, kind, work_us }
}

/// A parent stands before its children.
static PLANS: [Plan; 12] = [
    plan(catalog::HEADSET, None, "POST /v1/clips", SpanKind::Client, 40_000),
    plan(catalog::GATEWAY, Some(0), "POST /v1/clips", SpanKind::Server, 15_000),
    plan(catalog::GATEWAY, Some(1), "PUT /v1/recordings/{id}", SpanKind::Client, 4_000),
    plan(catalog::RECORDER, Some(2), "PUT /v1/recordings/{id}", SpanKind::Server, 60_000),
    plan(catalog::GATEWAY, Some(1), "POST /v1/events", SpanKind::Client, 3_000),
    plan(catalog::SESSION_API, Some(4), "POST /v1/events", SpanKind::Server, 12_000),
    plan(catalog::SESSION_API, Some(5), "INSERT work_events", SpanKind::Client, 6_000),
    plan(catalog::EVENT_BUS, Some(5), "send work-events", SpanKind::Producer, 2_000),
    plan(catalog::ETL, Some(7), "process work-events", SpanKind::Consumer, 80_000),
    plan(catalog::ETL, Some(8), "POST /v1/refresh", SpanKind::Client, 3_000),
    plan(catalog::PORTAL, Some(9), "POST /v1/refresh", SpanKind::Server, 30_000),
    plan(catalog::REPORTS, Some(7), "process work-events", SpanKind::Consumer, 50_000),
];

/// A quarter of the traces end here, before the event is sent.
const SHORT: usize = 7;

/// How many spans a trace has.
fn span_count(seed: u64, trace: u64) -> usize {
    if hash(&[seed, trace, 2]).is_multiple_of(4) { SHORT } else { PLANS.len() }
}

/// The trace's ID: its number, scattered, then random bits (which samplers look at).
pub(crate) fn trace_id(seed: u64, trace: u64) -> [u8; 16] {
    let high = trace.wrapping_mul(SCATTER) ^ mix(seed);
    let both = u128::from(high) << 64 | u128::from(hash(&[seed, trace, 3]));
    both.to_be_bytes()
}

/// The number of the trace that has this ID.
fn trace_number(seed: u64, id: &[u8]) -> Option<u64> {
    let high: [u8; 8] = id.first_chunk().copied()?;
    let trace = (u64::from_be_bytes(high) ^ mix(seed)).wrapping_mul(GATHER);
    (trace_id(seed, trace) == id).then_some(trace)
}

fn span_id(seed: u64, trace: u64, span: usize) -> [u8; 8] {
    // An ID of zeros would be none; the lowest bit costs nothing.
    (hash(&[seed, trace, 4, u64::try_from(span).unwrap_or(0)]) | 1).to_be_bytes()
}

/// The numbers of a trace's spans, as [`span_number`] gives them.
pub(crate) fn span_numbers(seed: u64, trace: u64) -> impl Iterator<Item = u64> {
    let count = u64::try_from(span_count(seed, trace)).unwrap_or(0);
    (0..count).map(move |span| trace.saturating_mul(SPANS_MAX) + span)
}

/// Which span has these IDs, if any could.
pub(crate) fn span_number(seed: u64, trace: &[u8], span: &[u8]) -> Option<u64> {
    let trace = trace_number(seed, trace)?;
    let at = (0..span_count(seed, trace)).find(|at| span_id(seed, trace, *at) == span)?;
    trace.checked_mul(SPANS_MAX)?.checked_add(u64::try_from(at).ok()?)
}

/// A span that logs may speak of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanRef {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
}

/// A trace, with who took part: indexes into the instances that were offered, and their spans.
pub(crate) struct Trace {
    pub request: ExportTraceServiceRequest,
    pub spans: u32,
    pub mentions: Vec<(usize, SpanRef)>,
}

/// Start and duration of a span in microseconds, and whether it failed.
#[derive(Clone, Copy, Default)]
struct Course {
    start_us: u64,
    duration_us: u64,
    failed: bool,
}

/// Makes a trace that ends at `now_nanos`. `instances` has one resource for each service, in their order.
pub(crate) fn trace(world: &World, number: u64, now_nanos: u64, instances: &[Resource]) -> Trace {
    let seed = world.seed;
    let courses = courses(world, number, now_nanos);
    let total_us = courses.iter().map(|course| course.start_us + course.duration_us).max().unwrap_or(0);
    let begin = now_nanos.saturating_sub(total_us * 1_000);
    let trace_id = trace_id(seed, number);
    let mut by_service: Vec<Vec<Span>> = SERVICES.iter().map(|_| Vec::new()).collect();
    let mut mentions = Vec::new();
    for ((at, plan), course) in PLANS.iter().enumerate().zip(&courses) {
        let span_id = span_id(seed, number, at);
        mentions.push((plan.service, SpanRef { trace_id, span_id }));
        let start = begin + course.start_us * 1_000;
        let mut span = Span {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            parent_span_id: plan.parent.map(|parent| self::span_id(seed, number, parent).to_vec()).unwrap_or_default(),
            // W3C: sampled.
            flags: 1,
            name: plan.name.into(),
            kind: plan.kind.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: start + course.duration_us * 1_000,
            ..Span::default()
        };
        describe(&mut span, plan, course.failed);
        if let Some(spans) = by_service.get_mut(plan.service) {
            spans.push(span);
        }
    }
    let resource_spans = by_service.into_iter().zip(instances).filter(|(spans, _)| !spans.is_empty());
    let resource_spans = resource_spans.map(|(spans, resource)| ResourceSpans {
        resource: Some(resource.clone()),
        scope_spans: vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    });
    Trace {
        request: ExportTraceServiceRequest { resource_spans: resource_spans.collect() },
        spans: u32::try_from(courses.len()).unwrap_or(u32::MAX),
        mentions,
    }
}

/// How each span went. A call fails with what it called, up to where the message was sent.
fn courses(world: &World, number: u64, now_nanos: u64) -> Vec<Course> {
    let mut dice = Dice::new(hash(&[world.seed, number, 5]));
    let count = span_count(world.seed, number);
    let now_ms = millis(now_nanos);
    let mut courses: Vec<Course> = Vec::with_capacity(count);
    for plan in PLANS.iter().take(count) {
        let layer = SERVICES.get(plan.service).map(|service| service.layer);
        let trouble = layer.is_some_and(|layer| world.trouble(layer, now_ms).is_some());
        // In trouble, half of the spans fail and all of them are slow, above 3 s with their parents.
        let (failures, slowdown_us) = if trouble { (512, 3_200_000) } else { (2, 0) };
        let usual = plan.work_us / 2 + dice.below(plan.work_us);
        let parent = plan.parent.and_then(|parent| courses.get(parent)).copied().unwrap_or_default();
        courses.push(Course {
            start_us: parent.start_us + u64::from(usual / 4),
            duration_us: u64::from(usual) + slowdown_us,
            failed: dice.below(1024) < failures,
        });
    }
    for (at, plan) in PLANS.iter().enumerate().take(count).rev() {
        let child = courses.get(at).copied().unwrap_or_default();
        let parent = plan.parent.and_then(|parent| courses.get_mut(parent));
        if let Some(parent) = parent.filter(|_| plan.kind != SpanKind::Consumer) {
            let needed_us = child.start_us + child.duration_us + 500 - parent.start_us;
            parent.duration_us = parent.duration_us.max(needed_us);
            parent.failed |= child.failed && plan.kind != SpanKind::Producer;
        }
    }
    courses
}

/// Attributes by kind, and the status.
fn describe(span: &mut Span, plan: &Plan, failed: bool) {
    let code = if failed { 503 } else { 200 };
    let method_and_route = plan.name.split_once(' ').filter(|(_, route)| route.starts_with('/'));
    if let Some((method, route)) = method_and_route {
        span.attributes.push(text("http.request.method", method));
        span.attributes.push(text("http.route", route));
        span.attributes.push(number("http.response.status_code", code));
    } else if plan.kind == SpanKind::Client {
        span.attributes.push(text("db.system.name", "postgresql"));
        span.attributes.push(text("db.collection.name", "work_events"));
    } else {
        span.attributes.push(text("messaging.system", "kafka"));
        span.attributes.push(text("messaging.destination.name", "work-events"));
    }
    if failed {
        span.attributes.push(text("error.type", "unavailable"));
        span.status = Some(Status { message: "unavailable".into(), code: StatusCode::Error.into() });
    }
}
