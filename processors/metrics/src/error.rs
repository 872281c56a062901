//! What goes wrong on the way to the receiver, and what follows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelValue;
use weir_contract::{Failure, Next};

/// The way to the receiver cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The client of the system's TLS cannot start.
    #[error("could not set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// Checked by the configuration already.
    #[error("the receiver's URL is not one")]
    Url,
    /// Checked by the configuration already.
    #[error("a header is not one")]
    Header,
    /// Checked by the configuration already.
    #[error("a rule of write_relabel_configs is not one")]
    Rule,
    /// A certificate or key cannot be read.
    #[error("could not read {file}")]
    File {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It can be read, and is not what it should be.
    #[error("{file} is not PEM of certificates, or not of a key in PKCS #8 that goes with its certificate")]
    Certificate {
        /// The file.
        file: String,
        /// Why.
        source: reqwest::Error,
    },
}

/// A request was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// There was no answer, or not all of it, within the timeout.
    #[error("could not reach {url}")]
    Unreachable {
        /// The receiver, without credentials.
        url: Arc<str>,
        /// Why.
        source: reqwest::Error,
    },
    /// There is no token to show.
    #[error("could not read the token for {url} from {}", file.display())]
    Token {
        /// The receiver, without credentials.
        url: Arc<str>,
        /// The file that should have it.
        file: Arc<Path>,
        /// Why.
        source: std::io::Error,
    },
    /// The request is of a version that the receiver does not know.
    #[error("{url} does not know the version of a request")]
    Outdated {
        /// The receiver, without credentials.
        url: Arc<str>,
    },
    /// The receiver said no.
    #[error("{url} answered {status} ({}) to {samples} samples", .why.as_str())]
    Refused {
        /// The receiver, without credentials.
        url: Arc<str>,
        /// The HTTP status.
        status: u16,
        /// How many samples the request had.
        samples: usize,
        /// What the answer means.
        why: Refusal,
        /// Whether each of the samples was refused, all for this reason.
        whole: bool,
        /// How long the receiver wants to be left alone.
        retry_after: Option<Duration>,
    },
}

/// What a receiver's answer means; the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Refusal {
    /// The series has a newer sample.
    OutOfOrder,
    /// The series has another value at that time.
    Duplicate,
    /// Before or after all times that the receiver takes.
    OutOfBounds,
    /// Before the receiver's window for samples that are out of order.
    TooOld,
    /// The receiver does not take such labels.
    InvalidLabels,
    /// It refuses the data, and does not say why in words that are known here.
    InvalidData,
    /// The request is too large for it.
    TooLarge,
    /// It has too much to do.
    Busy,
    /// It failed.
    Failed,
    /// It does not know the credentials, or does not let them do this.
    Forbidden,
    /// It knows neither version of the protocol.
    UnknownProtocol,
    /// It is not a remote-write receiver, by its answer.
    NotAReceiver,
}

impl Refusal {
    /// The refusal as a label value and as the reason of a dead letter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::Duplicate => "duplicate",
            Self::OutOfBounds => "out_of_bounds",
            Self::TooOld => "too_old",
            Self::InvalidLabels => "invalid_labels",
            Self::InvalidData => "invalid_data",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Forbidden => "forbidden",
            Self::UnknownProtocol => "unknown_protocol",
            Self::NotAReceiver => "not_a_receiver",
        }
    }

    /// Whether the sample may be counted and passed: the series has that time, or is past it, as
    /// after a crash before the commit.
    pub(crate) fn is_passed(self) -> bool {
        matches!(self, Self::OutOfOrder | Self::Duplicate)
    }

    /// What a status says by itself.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            400 | 409 | 422 => Self::InvalidData,
            401 | 403 | 407 => Self::Forbidden,
            408 | 429 => Self::Busy,
            413 => Self::TooLarge,
            415 => Self::UnknownProtocol,
            500..=599 => Self::Failed,
            _ => Self::NotAReceiver,
        }
    }
}

impl Failure for DeliverError {
    fn next(&self) -> Next {
        let (why, whole, retry_after) = match self {
            Self::Refused { why, whole, retry_after, .. } => (why, whole, retry_after),
            Self::Unreachable { .. } => return Next::Retry { after: None },
            Self::Token { .. } => return Next::Blocked,
            Self::Outdated { .. } => return Next::Repack,
        };
        let reason = why.as_str();
        match why {
            Refusal::Busy | Refusal::Failed => Next::Retry { after: *retry_after },
            Refusal::Forbidden | Refusal::UnknownProtocol | Refusal::NotAReceiver => Next::Blocked,
            Refusal::TooLarge => Next::Split { reason },
            Refusal::OutOfOrder
            | Refusal::Duplicate
            | Refusal::OutOfBounds
            | Refusal::TooOld
            | Refusal::InvalidLabels
            | Refusal::InvalidData => {
                if *whole {
                    Next::Reject { reason }
                } else {
                    Next::Split { reason }
                }
            }
        }
    }
}
