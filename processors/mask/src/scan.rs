//! One pass over a text: three bytes that begin, or are within, something that a detector looks for.
//!
//! Each kind of candidate has a bit. Three tables say for each byte which kinds have it as their first, second and
//! third byte, so that a place is a candidate where the three have a bit in common: two ANDs for a byte of text,
//! whatever it is. What a detector has looked at is passed over by the others of its kind.

use std::ops::Range;

use crate::detect::{address, credential, iban, issued, mail, number, phone, random};
use crate::name;
use crate::view::View;
use crate::{Action, Detector};

/// One place of the text that is looked at, where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) detector: Detector,
    pub(crate) span: Range<usize>,
}

/// Which kinds of candidates are looked at: those of which not everything is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    kinds: u64,
    random: bool,
}

/// A pass over a text.
pub(crate) struct Scan<'s> {
    pub(crate) text: &'s [u8],
    pub(crate) hits: &'s mut Vec<Hit>,
    /// Before this nothing begins any more.
    pub(crate) skip: usize,
    /// Before this all colons were looked at.
    pub(crate) colons: usize,
}

/// The kinds of candidates, each a bit; names and prefixes share those after them. Of what shares a bit any first byte
/// goes with any second and third, so that only what is rare may share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Percent,
    Unicode,
    Slash,
    FullWidth,
    Dashes,
    LongVowel,
    Mail,
    Url,
    Number,
    Plus,
    Colon,
    Dash,
    Dot,
    Iban,
    Jwt,
    Pem,
    Bearer,
    Basic,
    Bot,
    Wide,
    Name,
}

/// A set of bytes.
#[derive(Clone, Copy)]
enum Set {
    /// These.
    Of(&'static [u8]),
    /// This one.
    One(u8),
    /// This letter, of either case.
    Letter(u8),
    Digit,
    Hex,
    HexOrColon,
    Capital,
    /// No letter or digit.
    Edge,
    /// What an address may begin with after its `@`.
    Host,
    Any,
}

use Set::{Any, Capital, Digit, Edge, Hex, HexOrColon, Host, Letter, Of, One};

/// What the candidates of each kind look like.
const KINDS: [(Kind, [Set; 3]); 27] = [
    (Kind::Percent, [Of(b"%"), Of(b"234567"), Hex]),
    (Kind::Unicode, [Of(b"\\"), Of(b"u"), Of(b"0")]),
    (Kind::Slash, [Of(b":"), Of(b"\\"), Of(b"/\\")]),
    // Full-width digits, and the full-width `@`.
    (Kind::FullWidth, [One(0xef), One(0xbc), Of(&[0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0xa0])]),
    // Digits beside a dash that is no hyphen.
    (Kind::Dashes, [Digit, One(0xe2), Of(&[0x80, 0x88])]),
    (Kind::LongVowel, [Digit, One(0xe3), One(0x83)]),
    (Kind::Mail, [Of(b"@"), Host, Any]),
    (Kind::Url, [Of(b":"), Of(b"/"), Of(b"/")]),
    (Kind::Number, [Edge, Digit, Digit]),
    (Kind::Plus, [Of(b"+"), Of(b"123456789("), Any]),
    (Kind::Colon, [Hex, Of(b":"), HexOrColon]),
    (Kind::Dash, [Hex, Of(b"-"), Hex]),
    (Kind::Dot, [Hex, Of(b"."), Hex]),
    (Kind::Iban, [Capital, Capital, Digit]),
    (Kind::Jwt, [Of(b"e"), Of(b"yw"), Of(b"JAow0")]),
    (Kind::Pem, [Of(b"B"), Of(b"E"), Of(b"G")]),
    (Kind::Bearer, [Letter(b'b'), Letter(b'e'), Letter(b'a')]),
    (Kind::Basic, [Letter(b's'), Letter(b'i'), Letter(b'c')]),
    (Kind::Bot, [Of(b":"), Of(b"A"), Of(b"A")]),
    (Kind::Wide, [Of(&[0xe3]), Of(&[0x83]), Of(&[0x91])]),
    (Kind::Wide, [Of(&[0xe6]), Of(&[0x9a]), Of(&[0x97])]),
    (Kind::Wide, [Of(&[0xe5]), Of(&[0xaf]), Of(&[0x86])]),
    (Kind::Wide, [Of(&[0xe5]), Of(&[0x8f]), Of(&[0xa3])]),
    (Kind::Wide, [Of(&[0xeb]), Of(&[0xb9]), Of(&[0x84])]),
    (Kind::Wide, [Of(&[0xd0]), Of(&[0x9f, 0xbf]), Of(&[0xd0])]),
    (Kind::Name, [Letter(b'i'), Letter(b'g'), Of(b"=\"")]),
    (Kind::Name, [Letter(b'p'), Letter(b'w'), Of(b"=:\"")]),
];

/// Three bytes of each name of a secret, in small letters, as rare in other words as can be had.
const NAMES: [&[u8]; 23] = [
    b"pas",
    b"pwd",
    b"ecr",
    b"ede",
    b"tok",
    b"key",
    b"riz",
    b"ris",
    b"oki",
    b"jse",
    b"hps",
    b"t_s",
    b"t.s",
    b"z-s",
    b"g-s",
    b"otp",
    b"ras",
    b"enh",
    b"nnw",
    b"htw",
    b"asl",
    b"e\xc3\xb1",
    b"s\xc5\x82",
];

/// The first bits of names and of prefixes.
const NAME_BIT: usize = Kind::Name as usize;
const PREFIX_BIT: usize = 32;
const PREFIX_BITS: usize = 64 - PREFIX_BIT;

const NUMBER: u64 = 1 << Kind::Number as usize;
/// The kinds that say that the text is to be read as a [`View`]: all before mail.
const ENCODED: u64 = (1 << Kind::Mail as usize) - 1;
const NAME_BITS: usize = PREFIX_BIT - NAME_BIT;

/// For each byte the kinds that have it first, second and third; the fourth place only fills the line.
static TABLE: [[u64; 4]; 256] = table();

#[expect(clippy::indexing_slicing, reason = "it is run by the compiler, which would tell")]
const fn table() -> [[u64; 4]; 256] {
    let mut table = [[0; 4]; 256];
    let mut index = 0;
    while index < KINDS.len() {
        let (kind, sets) = KINDS[index];
        add(&mut table, kind as usize, sets);
        index += 1;
    }
    index = 0;
    while index < NAMES.len() {
        let name = NAMES[index];
        add(&mut table, NAME_BIT + index % NAME_BITS, [Letter(name[0]), Letter(name[1]), Letter(name[2])]);
        index += 1;
    }
    index = 0;
    while index < issued::PREFIXES.len() {
        let (text, rare) = (issued::PREFIXES[index].text, issued::PREFIXES[index].rare);
        let rare = [One(text[rare]), One(text[rare + 1]), One(text[rare + 2])];
        add(&mut table, PREFIX_BIT + index % PREFIX_BITS, rare);
        index += 1;
    }
    table
}

#[expect(clippy::indexing_slicing, reason = "it is run by the compiler, which would tell")]
const fn add(table: &mut [[u64; 4]; 256], bit: usize, sets: [Set; 3]) {
    let mut byte = 0;
    while byte < 256 {
        let mut place = 0;
        while place < 3 {
            #[expect(clippy::cast_possible_truncation, reason = "it is below 256")]
            if sets[place].has(byte as u8) {
                table[byte][place] |= 1 << bit;
            }
            place += 1;
        }
        byte += 1;
    }
}

/// The kinds that have this byte first, second and third.
#[expect(clippy::indexing_slicing, reason = "there is an entry for every byte")]
fn kinds(byte: u8) -> &'static [u64; 4] {
    &TABLE[usize::from(byte)]
}

/// Finds what is in `text`; the view in which it was found, where that is not the text as it is written.
pub(crate) fn scan<'t>(text: &'t [u8], wanted: Wanted, hits: &mut Vec<Hit>) -> Option<View<'t>> {
    if wanted.is_nothing() || pass(text, wanted, ENCODED, hits) {
        return None;
    }
    hits.clear();
    let view = View::new(text);
    pass(view.bytes(), wanted, 0, hits);
    Some(view)
}

/// Goes once over `text`; false at the first candidate of `stop`.
fn pass(text: &[u8], wanted: Wanted, stop: u64, hits: &mut Vec<Hit>) -> bool {
    let kinds_wanted = wanted.kinds | stop;
    let mut scan = Scan { text, hits, skip: 0, colons: 0 };
    // Before the text stands a blank.
    let (mut first, mut both, mut read) = (kinds(b' ')[0] & kinds_wanted, 0, 0);
    while let Some(byte) = text.get(read) {
        let of = kinds(*byte);
        let mut found = both & of[2];
        both = first & of[1];
        first = of[0] & kinds_wanted;
        read += 1;
        if found == 0 {
            continue;
        }
        if found & NUMBER != 0 && number::is_short(text, read - 2) {
            found &= !NUMBER;
            if found == 0 {
                continue;
            }
        }
        if found & stop != 0 {
            return false;
        }
        scan.look(found, read);
        if scan.skip > read {
            read = scan.skip;
            // Two bytes back, as if it had been read.
            let of = |back: usize| kinds(crate::detect::at(text, scan.skip.saturating_sub(back)));
            both = of(2)[0] & of(1)[1] & kinds_wanted;
            first = of(1)[0] & kinds_wanted;
        }
    }
    if wanted.random {
        random::look(&mut scan);
    }
    true
}

// === impl Scan ===

impl Scan<'_> {
    /// Notes what was found; true, so that a detector can end with it.
    pub(crate) fn hit(&mut self, detector: Detector, span: Range<usize>) -> bool {
        self.hits.push(Hit { detector, span });
        true
    }

    /// Passes over what was looked at: no candidate begins before `end`.
    pub(crate) fn pass(&mut self, end: usize) {
        self.skip = self.skip.max(end.min(self.text.len()));
    }

    /// Whether the whole text may be a JSON document with strings; `[main] text` is none.
    pub(crate) fn is_json(&self) -> bool {
        match self.text.trim_ascii_start() {
            [b'{', ..] => true,
            [b'[', rest @ ..] => matches!(rest.trim_ascii_start(), [b'{' | b'[' | b'"', ..]),
            _ => false,
        }
    }

    /// Looks at a candidate of some kinds, the third byte of which is the last before `end`.
    #[inline(never)]
    fn look(&mut self, mut found: u64, end: usize) {
        while found != 0 {
            let bit = found.trailing_zeros() as usize;
            found &= found - 1;
            match bit {
                bit if bit >= PREFIX_BIT => {
                    for prefix in issued::PREFIXES.iter().skip(bit - PREFIX_BIT).step_by(PREFIX_BITS) {
                        issued::look_prefix(self, prefix, end);
                    }
                }
                bit if bit >= NAME_BIT => name::text::look(self, end),
                bit => self.look_kind(KINDS_BY_BIT.get(bit).copied().unwrap_or(Kind::Name), end),
            }
        }
    }

    fn look_kind(&mut self, kind: Kind, end: usize) {
        // A candidate at the start of the text has the blank before it as its first byte.
        let start = end.saturating_sub(3);
        match kind {
            Kind::Mail => mail::look(self, start),
            Kind::Url => credential::look_url(self, end),
            Kind::Number => number::look(self, end - 2),
            Kind::Plus => phone::look_international(self, start),
            Kind::Colon => address::look_colon(self, end - 2),
            Kind::Dash => address::look_dash(self, end - 2),
            Kind::Dot => address::look_dot(self, end - 2),
            Kind::Iban => iban::look(self, start),
            Kind::Jwt => issued::look_jwt(self, start),
            Kind::Pem => issued::look_pem(self, end),
            Kind::Bearer => credential::look_scheme(self, b"bearer", start),
            Kind::Basic => credential::look_scheme(self, b"basic", end.saturating_sub(5)),
            Kind::Bot => issued::look_bot(self, start),
            Kind::Wide => name::text::look_wide(self, start),
            // What is encoded ends a pass, and names have bits of their own.
            _ => {}
        }
    }
}

// === impl Wanted ===

impl Wanted {
    /// What is to be looked for where these are the actions.
    pub(crate) fn new(actions: &[Action; Detector::ALL.len()]) -> Self {
        let masks = |detector: Detector| actions.get(detector.index()).is_some_and(|action| *action != Action::Keep);
        let any = |detectors: &[Detector]| detectors.iter().any(|detector| masks(*detector));
        let mut kinds = 0;
        for kind in KINDS_BY_BIT {
            if any(kind.finds()) {
                kinds |= 1 << kind as usize;
            }
        }
        if any(Kind::Name.finds()) {
            kinds |= ((1 << NAME_BITS) - 1) << NAME_BIT;
        }
        if masks(Detector::ApiKey) {
            kinds |= ((1 << PREFIX_BITS) - 1) << PREFIX_BIT;
        }
        Self { kinds, random: masks(Detector::Entropy) }
    }

    fn is_nothing(self) -> bool {
        self.kinds == 0 && !self.random
    }
}

// === impl Kind ===

/// The kinds that have a bit of their own.
const KINDS_BY_BIT: [Kind; NAME_BIT] = [
    Kind::Percent,
    Kind::Unicode,
    Kind::Slash,
    Kind::FullWidth,
    Kind::Dashes,
    Kind::LongVowel,
    Kind::Mail,
    Kind::Url,
    Kind::Number,
    Kind::Plus,
    Kind::Colon,
    Kind::Dash,
    Kind::Dot,
    Kind::Iban,
    Kind::Jwt,
    Kind::Pem,
    Kind::Bearer,
    Kind::Basic,
    Kind::Bot,
    Kind::Wide,
];

impl Kind {
    /// What may be found at such a place.
    const fn finds(self) -> &'static [Detector] {
        use Detector::{
            ApiKey, Authorization, Card, Cookie, Email, Iban, Ipv4, Ipv6, Jwt, Mac, MyNumber, Password, Phone,
            PrivateKey, Secret, Ssn, Url,
        };
        match self {
            Self::Percent | Self::Unicode | Self::Slash | Self::FullWidth | Self::Dashes | Self::LongVowel => &[],
            Self::Mail => &[Email],
            Self::Url => &[Url],
            Self::Number => &[Card, MyNumber, Ssn, Phone],
            Self::Plus => &[Phone],
            Self::Colon => &[Ipv6, Mac],
            Self::Dash => &[Mac],
            Self::Dot => &[Ipv4, Mac],
            Self::Iban => &[Iban],
            Self::Jwt => &[Jwt],
            Self::Pem => &[PrivateKey],
            Self::Bearer | Self::Basic => &[Authorization],
            Self::Bot => &[ApiKey],
            Self::Wide | Self::Name => &[Password, Secret, Cookie, Authorization],
        }
    }
}

// === impl Set ===

impl Set {
    #[expect(clippy::indexing_slicing, reason = "the index is below the length")]
    const fn has(self, byte: u8) -> bool {
        match self {
            Of(bytes) => {
                let mut index = 0;
                while index < bytes.len() {
                    if bytes[index] == byte {
                        return true;
                    }
                    index += 1;
                }
                false
            }
            One(only) => byte == only,
            Letter(letter) => byte.to_ascii_lowercase() == letter,
            Digit => byte.is_ascii_digit(),
            Hex => byte.is_ascii_hexdigit(),
            HexOrColon => byte.is_ascii_hexdigit() || byte == b':',
            Capital => byte.is_ascii_uppercase(),
            Edge => !byte.is_ascii_alphanumeric(),
            Host => byte.is_ascii_alphanumeric() || byte == b'[' || byte >= 0x80,
            Any => true,
        }
    }
}

#[cfg(test)]
mod tests;
