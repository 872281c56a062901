//! What can go wrong while a series is made or a request is read.

/// Why a [`crate::Series`] or [`crate::Family`] was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// The labels of one series, or the texts of one family, are too long.
    #[error("{bytes} bytes of text in one series exceed {bytes_max}")]
    TooLong {
        /// Length of all its texts.
        bytes: usize,
        /// [`crate::TEXT_BYTES_MAX`].
        bytes_max: usize,
    },
    /// The symbols of all live series have reached their limit.
    #[error("symbols of all series exceed {bytes_max} bytes")]
    SymbolsFull {
        /// The limit given to [`crate::Symbols::new`].
        bytes_max: usize,
    },
}

/// Why a request could not be read. Names positions and numbers, never text of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Truncated, of a wrong wire type, or not UTF-8.
    #[error("malformed protobuf in a request of {bytes} bytes")]
    Malformed {
        /// Length of the request.
        bytes: usize,
        /// The field and what is wrong with it.
        source: prost::DecodeError,
    },
    /// Symbols exist and the first one is not the empty string.
    #[error("the first of {symbols} symbols is not empty")]
    FirstSymbol {
        /// How many symbols the request has.
        symbols: usize,
    },
    /// Label references come in pairs of name and value.
    #[error("time series {series} has {refs} label references, an odd number")]
    OddRefs {
        /// Position of the time series in the request.
        series: usize,
        /// How many references it has.
        refs: usize,
    },
    /// A reference points behind the last symbol.
    #[error("time series {series} refers to symbol {reference} of {symbols}")]
    BadRef {
        /// Position of the time series in the request.
        series: usize,
        /// The reference.
        reference: u32,
        /// How many symbols the request has.
        symbols: usize,
    },
    /// Few symbols are referred to so often that their copies would fill memory.
    #[error("labels take more than {bytes_max} bytes")]
    LabelsTooLarge {
        /// [`crate::LABEL_BYTES_MAX`].
        bytes_max: usize,
    },
}
