//! Snappy's block format, which is how a request travels.

/// Why a body was not compressed or decompressed.
#[derive(Debug, thiserror::Error)]
pub enum SnappyError {
    /// Not snappy's block format, or longer than it can say (4 GiB).
    #[error("snappy failed on {bytes} bytes")]
    Failed {
        /// Length of the input.
        bytes: usize,
        /// What is wrong with it.
        source: snap::Error,
    },
    /// The body says that it is longer than its reader takes.
    #[error("a body of {bytes} bytes decompressed exceeds {bytes_max}")]
    TooLarge {
        /// What the body says.
        bytes: usize,
        /// What the reader takes.
        bytes_max: usize,
    },
}

/// A snappy encoder that keeps its tables from one request to the next.
pub struct Compressor {
    encoder: snap::raw::Encoder,
}

impl Compressor {
    /// Makes one without tables; they grow with the first request.
    #[must_use]
    pub fn new() -> Self {
        Self { encoder: snap::raw::Encoder::new() }
    }

    /// Replaces what is in `output` by `input` compressed.
    ///
    /// # Errors
    /// `input` is longer than 4 GiB.
    pub fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), SnappyError> {
        // Whatever is in there is overwritten, so only growth needs zeroes.
        output.resize(snap::raw::max_compress_len(input.len()), 0);
        let done = self.encoder.compress(input, output);
        output.truncate(*done.as_ref().unwrap_or(&0));
        done.map(drop).map_err(|source| SnappyError::Failed { bytes: input.len(), source })
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compressor")
    }
}

/// Decompresses a body that says it has at most `bytes_max` bytes.
///
/// # Errors
/// Not snappy's block format, or too large; checked before anything is allocated.
pub fn decompress(input: &[u8], bytes_max: usize) -> Result<Vec<u8>, SnappyError> {
    let failed = |source| SnappyError::Failed { bytes: input.len(), source };
    let bytes = snap::raw::decompress_len(input).map_err(failed)?;
    if bytes > bytes_max {
        return Err(SnappyError::TooLarge { bytes, bytes_max });
    }
    snap::raw::Decoder::new().decompress_vec(input).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_compressed_reads_back_whatever_the_buffer_held(
            inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 1..4),
        ) {
            let (mut compressor, mut output) = (Compressor::new(), vec![7; 100]);
            for input in inputs {
                compressor.compress(&input, &mut output).unwrap();
                prop_assert_eq!(&decompress(&output, 5000).unwrap(), &input);
            }
        }

        #[test]
        fn no_body_panics_or_exceeds_the_limit(body in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(bytes) = decompress(&body, 64) {
                prop_assert!(bytes.len() <= 64);
            }
        }
    }

    #[test]
    fn a_body_that_claims_too_much_is_refused_before_it_is_read() {
        let claims_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let refused = decompress(&claims_4_gib, 1000).unwrap_err();
        assert!(matches!(refused, SnappyError::TooLarge { bytes: 4_294_967_295, bytes_max: 1000 }));
        let refused = decompress(&[0xff, 0xff], 1000).unwrap_err();
        assert_eq!(refused.to_string(), "snappy failed on 2 bytes");
    }
}
