//! Why a record is rejected, and why the worker cannot start.

use weir_contract::TooLarge;
use weir_otlp::DecodeError;

/// A record that leaves nothing, or not all of its lines, in the output.
#[derive(Debug, thiserror::Error)]
pub enum Reject {
    /// It is not OTLP in an encoding that is known.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It is protobuf, and not OTLP.
    #[error(transparent)]
    Malformed(#[from] weir_otlp::Error),
    /// A line of it is larger than the output topic takes, even without what was read out of it. Its others went on.
    #[error("{lines} lines are larger than the output topic takes, the first at index {first}: {source}")]
    LineTooLarge {
        /// How many.
        lines: u32,
        /// The first one's index in the record.
        first: u32,
        /// How large it would be.
        source: TooLarge,
    },
}

impl Reject {
    /// The reason of the dead letter.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.reason(),
            Self::Malformed(error) => error.kind().as_str(),
            Self::LineTooLarge { .. } => "line_too_large",
        }
    }
}

/// What is configured cannot be set up; `Config::check` reports it before.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An expression is none.
    #[error("a regular expression cannot be compiled")]
    Expression(#[from] regex::Error),
    /// A key of masking is none.
    #[error("a key of masking cannot be used")]
    Key(#[from] weir_mask::KeyError),
}
