//! Finds personal data and secrets in the texts of logs, and masks them.
//!
//! In: a text (a body, the value of an attribute), its log class and the field it stands in. Out: the masked text
//! where something was masked, and how often each detector did. Pure: the same text, class, field and configuration
//! give the same answer. Linear in the text's length, never panics; what comes out is UTF-8, and JSON where JSON
//! went in. A text in which nothing is found costs one scan and no allocation.
//!
//! Detectors are built from the definitions of their formats (each module names them); `docs/masking.md` lists them
//! with examples, and says what masking cannot promise.
//!
//! ```
//! use weir_mask::{Class, Config, Counts, Field, Masker, Outcome};
//!
//! let masker = Masker::new(&Config::default())?;
//! let (mut out, mut counts) = (String::new(), Counts::default());
//! let line = "mail from eve@example.com accepted";
//! assert_eq!(masker.text(Class::App, Field::BODY, line, &mut out, &mut counts), Outcome::Changed);
//! assert_eq!(out, "mail from [REDACTED:email] accepted");
//!
//! out.clear();
//! let cookie = masker.field("http.request.header.cookie");
//! assert_eq!(masker.text(Class::Access, cookie, "sid=1f3a; lang=de", &mut out, &mut counts), Outcome::Changed);
//! assert_eq!(out, "sid=[REDACTED:cookie]; lang=[REDACTED:cookie]");
//! # Ok::<(), weir_mask::KeyError>(())
//! ```

mod config;
mod detect;
mod document;
mod key;
mod kind;
mod masker;
mod name;
mod scan;
mod view;
mod write;

pub use config::{Config, Encoding, KeyConfig};
pub use key::KeyError;
pub use kind::{Action, Class, Detector};
pub use masker::{Counts, Field, Found, Masker, Outcome};
