//! Strict configuration values with positions: durations, sizes, secrets, a checker.
//!
//! In: the text of a TOML file, environment variables that override single values of it, and a resolver for
//! `${env:NAME}` and `${file:PATH}`. Out: a deserialized configuration and **every** problem of it at once,
//! each with line and column, or with the variable it came from. Never reads a file or the environment itself,
//! never shows a value that may be a secret: messages say what was expected, not what was found.
//!
//! # A worker's configuration
//!
//! Plain serde, every default in `impl Default`, and one `check` for what types cannot say:
//!
//! ```
//! use serde::Deserialize;
//! use weir_config::{Checker, Document, Duration, Spanned, unset};
//!
//! /// How the archive cuts files.
//! #[derive(Debug, Clone, PartialEq, Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! pub struct Config {
//!     /// How long rows wait for a cut, 1s to 1d.
//!     pub cut_after: Spanned<Duration>,
//!     /// Rows of one file, 1 to 10,000,000.
//!     pub rows_max: Spanned<u32>,
//! }
//!
//! impl Default for Config {
//!     fn default() -> Self {
//!         Self { cut_after: unset(Duration::from_secs(60)), rows_max: unset(1_000_000) }
//!     }
//! }
//!
//! impl Config {
//!     /// Reports every value outside its range.
//!     pub fn check(&self, at: &mut Checker<'_>) {
//!         at.within(&self.cut_after, "cut_after", Duration::from_secs(1)..=Duration::from_days(1));
//!         at.within(&self.rows_max, "rows_max", 1..=10_000_000);
//!     }
//! }
//!
//! // What the binary does with it; `[parquet]` and its siblings are fields of one such struct.
//! #[derive(Default, Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct File { parquet: Config }
//!
//! let text = "[parquet]\ncut_after = \"0s\"\nrows_max = true\nrow_max = 5\n";
//! let document = Document::parse("topology.toml", text).unwrap();
//! let (file, mut report) = document.read::<File>(&|_| Err(std::io::ErrorKind::Unsupported.into()));
//! file.parquet.check(&mut report.at("parquet"));
//! assert_eq!(
//!     report.finish().unwrap_err().to_string(),
//!     "topology.toml:2:13: parquet.cut_after: 0s is outside 1s..=1d\n\
//!      topology.toml:3:12: parquet.rows_max: expected a whole number from 0 to 4294967295, not a boolean\n\
//!      topology.toml:4:1: parquet.row_max: unknown key; did you mean `rows_max`?"
//! );
//! ```
//!
//! `#[serde(flatten)]` and `#[serde(tag = "..")]` lose positions and defeat `deny_unknown_fields`: a kind is an
//! optional table of its own name instead.

mod checker;
mod document;
mod message;
mod value;

pub use checker::{Checker, Place, Problem, Problems, Report, quoted};
pub use document::{Document, Reference, Resolve};
pub use toml::Spanned;
pub use value::{ByteSize, Duration, Secret};

/// Wraps a default, which has no position: its problems name the file alone.
pub fn unset<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}
