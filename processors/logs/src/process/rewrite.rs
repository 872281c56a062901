//! A request, written anew: what does not change is copied as bytes, unknown fields too.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use weir_mask::{Class, Counts, Field as Named, Masker, Outcome};
use weir_otlp::{AnyValue, Error, Field, Fields, LogRecord, ResourceLogs, Writer, view};

use super::enrich::agent::{self, Agent};
use super::enrich::class::Rules;
use super::enrich::tables::{Table, Tables};
use super::enrich::trace::Finder;
use super::line::{Decided, Line, Own};
use super::mask::{self, Masking, Max};
use super::measure::{self, Measures};
use super::parse::{Clock, Parser, Parsers};
use super::resource::Resource;
use super::value::{Parsed, Value};
use super::volume::{self, Known, Repeat, Seconds};
use crate::config::{Config, KEPT};
use crate::instruments::Batched;

/// The attributes that are written here; those of these names that a record comes with are left out.
const OURS: [&str; 7] =
    ["weir.parser", "weir.pattern", "weir.class", "weir.origin", "weir.missing", "weir.repeated", "weir.truncated"];

/// The field of a message's attributes: of a resource, a scope and a record.
const RESOURCE_ATTRIBUTES: u32 = 1;
const SCOPE_ATTRIBUTES: u32 = 3;
const RECORD_ATTRIBUTES: u32 = 6;

/// What all lines of a worker are enriched with; the same for all partitions.
#[derive(Debug)]
pub struct Rulebook {
    pub config: Config,
    pub parsers: Parsers,
    pub rules: Rules,
    pub masker: Masker,
    pub finder: Finder,
    pub measure: measure::Rules,
}

/// Where a request is from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'o> {
    pub topic: &'o str,
    pub partition: i32,
    pub offset: i64,
    /// The time that Kafka has for it, in nanoseconds since 1970; 0 if none.
    pub time_nanos: u64,
}

/// Which lines of a request are written, and how.
#[derive(Debug, Clone)]
pub struct Part {
    /// Their indexes in the request.
    pub lines: Range<u32>,
    /// Whether what was read out of them is written; where they cannot be larger, it is not.
    pub parsed: bool,
}

/// Writes requests anew. Its buffers are used again for each.
pub struct Rewriter {
    pub book: Arc<Rulebook>,
    /// What was counted since it was last told.
    pub counted: Batched,
    /// What the lines of the partition were counted to.
    pub measures: Measures,
    /// How many lines have left in the second at hand.
    pub seconds: Seconds,
    masked: String,
    body: String,
    origin: String,
    cut: Vec<String>,
}

/// One request being written.
struct Request<'r, 'a> {
    book: &'r Rulebook,
    tables: &'r Tables,
    at: Origin<'r>,
    part: &'r Part,
    counted: &'r mut Batched,
    measures: &'r mut Measures,
    seconds: &'r mut Seconds,
    /// What was cut of the line at hand: its body, and names of attributes.
    cut: &'r mut Vec<String>,
    /// How the lines of the scope at hand stand to each other, where that is asked for, from this index on.
    repeats: (u32, Vec<Repeat>),
    masked: &'r mut String,
    /// The body of the line at hand, masked, where that changed it.
    body: &'r mut String,
    origin: &'r mut String,
    /// The origin's length without the index.
    origin_bytes: usize,
    /// How many lines were met.
    met: u32,
    /// Used again for each line.
    own: Vec<Own<'a>>,
    parsed: Parsed<'a>,
    added: Vec<(&'static str, Value<'static>)>,
}

impl Rewriter {
    pub fn new(book: Arc<Rulebook>, measures: Measures) -> Self {
        let (counted, seconds) = (Batched::default(), Seconds::default());
        let (masked, body, origin, cut) = (String::new(), String::new(), String::new(), Vec::new());
        Self { book, counted, measures, seconds, masked, body, origin, cut }
    }

    /// Forgets what was counted since `before`: what was written does not leave.
    pub fn take_back(&mut self, before: (Batched, Seconds)) {
        self.measures.take_back();
        (self.counted, self.seconds) = before;
    }

    /// Writes a part of a request to `w`; how many lines the whole request has.
    ///
    /// # Errors
    /// The request is malformed, which `LogsRequest::check` tells before, with the place.
    pub fn request(
        &mut self,
        payload: &[u8],
        at: Origin<'_>,
        part: &Part,
        tables: &Tables,
        w: &mut Writer,
    ) -> Result<u32, Error> {
        self.origin.clear();
        // Writing to a string cannot fail.
        let _written = write!(self.origin, "{}/{}/{}/", at.topic, at.partition, at.offset);
        let mut request = Request {
            book: &self.book,
            tables,
            at,
            part,
            counted: &mut self.counted,
            measures: &mut self.measures,
            seconds: &mut self.seconds,
            cut: &mut self.cut,
            repeats: (0, Vec::new()),
            masked: &mut self.masked,
            body: &mut self.body,
            origin_bytes: self.origin.len(),
            origin: &mut self.origin,
            met: 0,
            own: Vec::new(),
            parsed: Parsed::default(),
            added: Vec::new(),
        };
        for field in Fields::new(payload) {
            match field? {
                Field { number: 1, value: Some(message), .. } => request.resource_logs(message, w)?,
                field => w.raw(field.raw),
            }
        }
        Ok(request.met)
    }
}

/// Keeps what `write` wrote as field `number`, unless it says that there is nothing in it.
fn kept(w: &mut Writer, number: u32, write: impl FnOnce(&mut Writer) -> Result<bool, Error>) -> Result<bool, Error> {
    let start = w.len();
    let kept = w.message(number, write)?;
    if !kept {
        w.truncate(start);
    }
    Ok(kept)
}

impl<'a> Request<'_, 'a> {
    /// Masks, and cuts no text.
    fn masking(&mut self, class: Class) -> Masking<'_> {
        let counts = &mut self.counted.masked;
        let (masker, buffer, cut) = (&self.book.masker, &mut *self.masked, &mut *self.cut);
        Masking { masker, class, counts, buffer, body: None, max: Max::NONE, cut }
    }

    /// Masks, and cuts the texts of a line that are too long.
    fn masking_line(&mut self, class: Class) -> Masking<'_> {
        let max = Max::new(&self.book.config.volume, class);
        Masking { max, ..self.masking(class) }
    }

    fn resource_logs(&mut self, message: &'a [u8], w: &mut Writer) -> Result<(), Error> {
        let logs: ResourceLogs<'_> = view(message)?;
        let resource = Resource::new(&logs.resource, &self.book.config, self.tables)?;
        let (first, whole) = (self.met, self.part.lines.start == 0);
        let wrote = kept(w, 1, |w| {
            w.message(1, |w| self.resource(&resource, logs.resource.raw, w))?;
            let mut any = false;
            for field in Fields::new(message) {
                match field? {
                    Field { number: 1, .. } => {}
                    Field { number: 2, value: Some(scope), .. } => any |= self.scope_logs(scope, &resource, w)?,
                    field => w.raw(field.raw),
                }
            }
            // A resource without lines belongs to the part that the request begins in.
            Ok(any || (whole && self.met == first))
        })?;
        if wrote {
            resource.missing.iter().for_each(|place| self.counted.missing(*place));
        }
        Ok(())
    }

    /// A resource has lines of any class, and is masked as the strictest.
    fn resource(&mut self, resource: &Resource<'a>, raw: &'a [u8], w: &mut Writer) -> Result<(), Error> {
        let book = self.book;
        let mut masking = self.masking(Class::App);
        attributes(&mut masking, RESOURCE_ATTRIBUTES, raw, w)?;
        for (name, text) in resource.added() {
            masking.made(w, RESOURCE_ATTRIBUTES, name, &text.into());
        }
        if !resource.missing.is_empty() {
            let required = book.config.required.get_ref();
            let names = resource.missing.iter().filter_map(|place| required.get(*place));
            let names = names.map(|name| Value::from(name.as_str())).collect();
            masking.made(w, RESOURCE_ATTRIBUTES, "weir.missing", &Value::List(names));
        }
        Ok(())
    }

    fn scope_logs(&mut self, message: &'a [u8], resource: &Resource<'a>, w: &mut Writer) -> Result<bool, Error> {
        let first = self.met;
        let whole = self.part.lines.start == 0;
        if self.book.config.volume.repeated {
            self.repeats = (first, volume::repeats(message)?);
        }
        kept(w, 2, |w| {
            let mut any = false;
            for field in Fields::new(message) {
                match field? {
                    Field { number: 1, value: Some(scope), .. } => {
                        w.message(1, |w| attributes(&mut self.masking(Class::App), SCOPE_ATTRIBUTES, scope, w))?
                    }
                    Field { number: 2, value: Some(record), .. } => {
                        let index = self.met;
                        self.met += 1;
                        if self.part.lines.contains(&index) {
                            any |= kept(w, 2, |w| self.record(record, index, resource, w))?;
                        }
                    }
                    field => w.raw(field.raw),
                }
            }
            Ok(any || (whole && self.met == first))
        })
    }

    /// Writes a line; false where it is dropped.
    fn record(
        &mut self,
        message: &'a [u8],
        index: u32,
        resource: &Resource<'a>,
        w: &mut Writer,
    ) -> Result<bool, Error> {
        let record: LogRecord<'a> = view(message)?;
        self.own.clear();
        for field in Fields::new(message) {
            if let Field { number: RECORD_ATTRIBUTES, value: Some(value), raw } = field? {
                let (key, value) = view(value)?;
                self.own.push(Own { key, value, raw });
            }
        }
        self.origin.truncate(self.origin_bytes);
        // Writing to a string cannot fail.
        let _written = write!(self.origin, "{index}");
        let (first, repeats) = &self.repeats;
        let repeat =
            repeats.get(usize::try_from(index - first).unwrap_or(usize::MAX)).copied().unwrap_or(Repeat::First(0));
        let borrowed = match record.body {
            AnyValue::String(text) => Some(text),
            AnyValue::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Some(text),
                // What is left of it as text is read, and lives no longer than the line.
                Err(_) => {
                    let text = String::from_utf8_lossy(bytes);
                    return self.line(message, &record, Some(&text), resource, (&mut Parsed::default(), repeat), w);
                }
            },
            _ => None,
        };
        let mut parsed = std::mem::take(&mut self.parsed);
        let written = self.line(message, &record, borrowed, resource, (&mut parsed, repeat), w);
        self.parsed = parsed;
        written
    }

    fn line<'t>(
        &mut self,
        message: &'a [u8],
        record: &LogRecord<'a>,
        body: Option<&'t str>,
        resource: &Resource<'a>,
        (parsed, repeat): (&mut Parsed<'t>, Repeat),
        w: &mut Writer,
    ) -> Result<bool, Error> {
        let book = self.book;
        parsed.clear();
        let (parser, rule) = match body {
            Some(text) => book.parsers.parse(text, self.clock(record), parsed),
            None => (Parser::None, ""),
        };
        let own = std::mem::take(&mut self.own);
        let line = Line { record, body, own: &own, resource, parser, rule, parsed };
        let class = book.rules.class(&line);
        let mut masked = (Outcome::Same, Counts::default());
        self.body.clear();
        if let Some(text) = body {
            masked.0 = book.masker.text(class, Named::BODY, text, self.body, &mut masked.1);
            if masked.0 == Outcome::Changed {
                mask::hide(parsed, text, self.body, &book.masker, class);
            }
        }
        let line = Line { record, body, own: &own, resource, parser, rule, parsed };
        self.measures.line(&book.measure, &line, class, &book.masker);
        let severity = line.severity_number();
        let line = if self.part.parsed {
            line
        } else {
            // With what was read out of it it was too large; what it is stays.
            parsed.clear();
            Line { record, body, own: &own, resource, parser: Parser::None, rule: "", parsed }
        };
        let decided = Decided {
            class,
            trace: line.trace(&book.finder),
            time_nanos: line.parsed.time_nanos.filter(|_| record.time_unix_nano == 0),
        };
        self.counted.line(line.parser, class);
        let second = (self.at.time_nanos > 0).then_some(self.at.time_nanos / 1_000_000_000);
        let known = Known { class, severity, origin: self.origin, second, repeat };
        if let Some(why) = volume::drops(&book.config.volume, known, self.seconds) {
            self.counted.dropped(why, class);
            self.own = own;
            return Ok(false);
        }
        self.cut.clear();
        self.look_up(&line);
        self.fields(message, &line, decided, body.map(|_| masked), w)?;
        self.add(&line, class, repeat, w);
        self.own = own;
        Ok(true)
    }

    fn clock(&self, record: &LogRecord<'_>) -> Clock {
        let times = [record.time_unix_nano, record.observed_time_unix_nano, self.at.time_nanos];
        Clock {
            reference_nanos: times.into_iter().find(|time| *time > 0).unwrap_or_default(),
            utc_offset_seconds: self.book.config.utc_offset.seconds,
        }
    }

    /// What addresses and user agents say; what other attributes are looked up by is found while they are written.
    fn look_up(&mut self, line: &Line<'_, '_, '_>) {
        self.added.clear();
        let config = &self.book.config;
        let databases = self.tables.iter().skip(config.lookup.len()).flatten();
        let mut databases = databases.filter_map(|table| if let Table::Geo(geo) = &**table { Some(geo) } else { None });
        if let Some(first) = databases.next()
            && let Some(address) = line.address(config.geoip.attributes.get_ref())
        {
            std::iter::once(first).chain(databases).for_each(|geo| geo.add(address, &mut self.added));
        }
        if let Some(text) = line.text(agent::ORIGINAL) {
            Agent::read(text).add(&mut self.added);
        }
    }

    /// Writes the fields that the record came with, masked, and those that it lacked.
    fn fields(
        &mut self,
        message: &'a [u8],
        line: &Line<'_, 'a, '_>,
        decided: Decided,
        masked: Option<(Outcome, Counts)>,
        w: &mut Writer,
    ) -> Result<(), Error> {
        let (number, text) = line.severity();
        let dropped = line.parsed.dropped;
        let mut own = line.own.iter();
        let body = std::mem::take(self.body);
        let mut masking = self.masking_line(decided.class);
        let known = masked.as_ref().map(|(outcome, counts)| mask::Body { outcome: *outcome, text: &body, counts });
        for field in Fields::new(message) {
            let field = field?;
            match field {
                Field { number: 1, .. } if decided.time_nanos.is_some() => {}
                Field { number: 2, .. } if number.is_some() => {}
                Field { number: 7, .. } if dropped > 0 => {}
                Field { number: 9, .. } if decided.trace.trace_id.is_some() => {}
                Field { number: 10, .. } if decided.trace.span_id.is_some() => {}
                Field { number: 5, value: Some(_), raw } => {
                    masking.body = known;
                    masking.body(w, 5, line.record.body, raw)?;
                }
                Field { number: RECORD_ATTRIBUTES, .. } => {
                    if let Some(own) = own.next().filter(|own| !OURS.contains(&own.key)) {
                        masking.attribute(w, RECORD_ATTRIBUTES, (own.key, own.value), own.raw)?;
                    }
                }
                Field { number: number @ (3 | 12), value: Some(text), raw } => {
                    masking.text_field(w, number, &String::from_utf8_lossy(text), Some(raw));
                }
                field => w.raw(field.raw),
            }
        }
        if let Some(nanos) = decided.time_nanos {
            w.fixed64(1, nanos);
        }
        if let Some(number) = number {
            w.varint(2, number.into());
        }
        if let Some(text) = text {
            masking.text_field(w, 3, text, None);
        }
        if dropped > 0 {
            w.varint(7, u64::from(line.record.dropped_attributes_count) + u64::from(dropped));
        }
        for (number, id) in [
            (9, decided.trace.trace_id.as_ref().map(<[u8; 16]>::as_slice)),
            (10, decided.trace.span_id.as_ref().map(<[u8; 8]>::as_slice)),
        ] {
            if let Some(id) = id {
                w.bytes(number, id);
            }
        }
        *self.body = body;
        Ok(())
    }

    /// Writes the attributes that the record did not come with.
    fn add(&mut self, line: &Line<'_, '_, '_>, class: Class, repeat: Repeat, w: &mut Writer) {
        let (book, tables) = (self.book, self.tables);
        let added = std::mem::take(&mut self.added);
        let mut masking = self.masking_line(class);
        for (key, value) in &line.parsed.attributes {
            if !line.has_own(key) && !OURS.contains(&key.as_ref()) {
                masking.made(w, RECORD_ATTRIBUTES, key, value);
            }
        }
        let lacks = |name: &str| !line.has_own(name) && line.parsed.get(name).is_none();
        for (name, value) in added.iter().filter(|(name, _)| lacks(name)) {
            masking.made(w, RECORD_ATTRIBUTES, name, value);
        }
        let mut looked_up: Vec<&str> = Vec::new();
        for (lookup, table) in book.config.lookup.iter().zip(tables) {
            let Some(Table::Lookup(table)) = table.as_deref() else { continue };
            let row = line.text(lookup.key.get_ref()).and_then(|key| table.get(key));
            for (name, text) in row.unwrap_or_default() {
                if lacks(name) && !looked_up.contains(&name.as_str()) {
                    masking.made(w, RECORD_ATTRIBUTES, name, &text.as_str().into());
                    looked_up.push(name);
                }
            }
        }
        self.added = added;
        w.text_attribute(RECORD_ATTRIBUTES, "weir.parser", line.parser.as_str());
        if !line.rule.is_empty() {
            w.text_attribute(RECORD_ATTRIBUTES, "weir.pattern", line.rule);
        }
        w.text_attribute(RECORD_ATTRIBUTES, "weir.class", class.name());
        w.text_attribute(RECORD_ATTRIBUTES, "weir.origin", self.origin);
        if let Repeat::First(more @ 1..) = repeat
            && !KEPT.contains(&class)
        {
            w.attribute(RECORD_ATTRIBUTES, "weir.repeated", |w| w.varint(3, more.into()));
        }
        if !self.cut.is_empty() {
            self.counted.truncated(class, self.cut.len() as u64);
            let names = self.cut.iter();
            w.attribute(RECORD_ATTRIBUTES, "weir.truncated", |w| {
                w.message(5, |w| names.for_each(|name| w.message(1, |w| w.bytes(1, name.as_bytes()))));
            });
        }
    }
}

/// Writes a resource or a scope, with its attributes masked.
fn attributes(masking: &mut Masking<'_>, number: u32, message: &[u8], w: &mut Writer) -> Result<(), Error> {
    for field in Fields::new(message) {
        match field? {
            Field { number: found, value: Some(value), raw } if found == number => {
                let (key, value) = view(value)?;
                if !OURS.contains(&key) {
                    masking.attribute(w, number, (key, value), raw)?;
                }
            }
            field => w.raw(field.raw),
        }
    }
    Ok(())
}
