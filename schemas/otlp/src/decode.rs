//! From a record's bytes to OTLP protobuf: decompression and OTLP JSON.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

use crate::json::{JsonError, json_to_protobuf};
use crate::schema::Signal;

/// How many bytes a record may have once decompressed: 64 MiB.
///
/// Kafka's brokers take messages of 1 MiB unless told otherwise; telemetry
/// compresses about tenfold.
pub const MAX_DECODED_BYTES: usize = 64 << 20;

/// The power of two of the memory that a zstd frame may ask for: as much as
/// the result may have.
const MAX_ZSTD_WINDOW_LOG: u32 = MAX_DECODED_BYTES.ilog2();

const GZIP_MAGIC: &[u8] = b"\x1f\x8b\x08";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";
/// How Java's snappy streams begin, with two versions after it.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
/// The stream identifier of snappy's framing format.
const SNAPPY_FRAMED_MAGIC: &[u8] = b"\xff\x06\0\0sNaPpY";

/// How a record's value is compressed, beside what Kafka does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// One or more gzip members.
    Gzip,
    /// One or more zstd frames.
    Zstd,
    /// A snappy block, snappy's framing format, or Java's snappy stream.
    Snappy,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
        })
    }
}

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// OTLP protobuf.
    Protobuf,
    /// OTLP JSON.
    Json,
}

/// What is known of a record's encoding; what is not is told from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// How it is compressed. A snappy block is known by this alone.
    pub compression: Option<Compression>,
    /// How it is written.
    pub format: Option<Format>,
}

impl Hints {
    /// Reads the values of the headers `content-encoding` and `content-type`.
    ///
    /// A content type that says nothing about the format is passed over.
    ///
    /// # Errors
    /// `UnknownCompression` if the content encoding is none that Weir reads.
    pub fn from_headers(content_encoding: Option<&[u8]>, content_type: Option<&[u8]>) -> Result<Self, DecodeError> {
        let compression = match content_encoding {
            None => None,
            Some(name) => match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"" | b"identity" | b"none" => Some(Compression::None),
                b"gzip" | b"x-gzip" => Some(Compression::Gzip),
                b"zstd" => Some(Compression::Zstd),
                b"snappy" | b"x-snappy-framed" => Some(Compression::Snappy),
                _ => return Err(DecodeError::UnknownCompression),
            },
        };
        let media = content_type.and_then(|value| value.split(|&byte| byte == b';').next());
        let media = media.unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let format = match media.as_slice() {
            b"application/x-protobuf" | b"application/protobuf" => Some(Format::Protobuf),
            b"application/json" => Some(Format::Json),
            _ => None,
        };
        Ok(Self { compression, format })
    }
}

/// A record's value that cannot be brought to protobuf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The content encoding is none that Weir reads.
    #[error("the content encoding is none of gzip, zstd, snappy")]
    UnknownCompression,
    /// The bytes are not what their header or first bytes say.
    #[error("the value is not valid {compression}")]
    Corrupt {
        /// What they were taken for.
        compression: Compression,
    },
    /// The value has more bytes than are allowed once decompressed.
    #[error("the value has more than {limit_bytes} bytes decompressed")]
    TooLarge {
        /// How many are allowed.
        limit_bytes: usize,
    },
    /// The value is not OTLP JSON.
    #[error("the value is not OTLP JSON")]
    Json(#[from] JsonError),
}

impl DecodeError {
    /// The reason as a label value.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownCompression => "unknown_compression",
            Self::Corrupt { .. } => "corrupt_compression",
            Self::TooLarge { .. } => "too_large",
            Self::Json(error) => error.kind.as_str(),
        }
    }
}

/// Brings a record's value to OTLP protobuf, by `hints` or else by its first bytes.
///
/// Borrowed if it is protobuf already. An empty value is an empty request.
///
/// # Errors
/// See [`DecodeError`]. Protobuf itself is not checked: the views do that.
pub fn decode(signal: Signal, value: &[u8], hints: Hints) -> Result<Cow<'_, [u8]>, DecodeError> {
    let compression = hints.compression.unwrap_or_else(|| detect_compression(value));
    let plain = match compression {
        Compression::None => Cow::Borrowed(value),
        _ => Cow::Owned(decompress(compression, value)?),
    };
    let format = hints.format.unwrap_or_else(|| detect_format(&plain));
    match format {
        Format::Protobuf => Ok(plain),
        Format::Json => Ok(Cow::Owned(json_to_protobuf(signal, &plain)?)),
    }
}

/// Tells a compression from a value's first bytes.
///
/// None of them begins an OTLP request, whose first byte is 10 in protobuf.
fn detect_compression(value: &[u8]) -> Compression {
    if value.starts_with(GZIP_MAGIC) {
        Compression::Gzip
    } else if value.starts_with(ZSTD_MAGIC) {
        Compression::Zstd
    } else if value.starts_with(XERIAL_MAGIC) || value.starts_with(SNAPPY_FRAMED_MAGIC) {
        Compression::Snappy
    } else {
        Compression::None
    }
}

/// Tells JSON from protobuf: an object's brace, then a name's quote or the end.
///
/// The brace alone would not do. A line feed and a brace also begin every
/// protobuf request whose first message has 123 bytes; no quote follows there.
fn detect_format(value: &[u8]) -> Format {
    let inner = value.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    match inner.and_then(<[u8]>::first) {
        Some(b'"' | b'}') => Format::Json,
        _ => Format::Protobuf,
    }
}

fn decompress(compression: Compression, value: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let plain = match compression {
        Compression::None => Ok(value.to_vec()),
        Compression::Gzip => bounded(flate2::bufread::MultiGzDecoder::new(value)),
        Compression::Zstd => zstd::Decoder::with_buffer(value).and_then(|mut decoder| {
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
            bounded(decoder)
        }),
        Compression::Snappy if value.starts_with(SNAPPY_FRAMED_MAGIC) => bounded(snap::read::FrameDecoder::new(value)),
        Compression::Snappy => {
            let mut plain = Vec::new();
            let read = match value.strip_prefix(XERIAL_MAGIC) {
                Some(stream) => snappy_xerial(stream, &mut plain),
                None => snappy_block(value, &mut plain),
            };
            read.map(|()| plain)
        }
    };
    match plain {
        // No compression writes nothing at all: the value was cut off.
        Ok(_) if value.is_empty() => Err(DecodeError::Corrupt { compression }),
        Ok(plain) if plain.len() > MAX_DECODED_BYTES => Err(DecodeError::TooLarge { limit_bytes: MAX_DECODED_BYTES }),
        Ok(plain) => Ok(plain),
        Err(_) => Err(DecodeError::Corrupt { compression }),
    }
}

/// Reads at most one byte more than allowed.
fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    reader.take(MAX_DECODED_BYTES as u64 + 1).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Appends a block, which says its length first; one that is too long is not
/// decompressed but only counted.
fn snappy_block(block: &[u8], plain: &mut Vec<u8>) -> io::Result<()> {
    let start = plain.len();
    let end = start.saturating_add(snap::raw::decompress_len(block)?);
    plain.resize(end.min(MAX_DECODED_BYTES + 1), 0);
    if end <= MAX_DECODED_BYTES {
        let into = plain.get_mut(start..).unwrap_or_default();
        snap::raw::Decoder::new().decompress(block, into)?;
    }
    Ok(())
}

/// Reads two versions, then blocks, each after its length.
fn snappy_xerial(stream: &[u8], plain: &mut Vec<u8>) -> io::Result<()> {
    let cut_off = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut rest = stream.get(8..).ok_or_else(cut_off)?;
    while let Some((len, after)) = rest.split_first_chunk() {
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| cut_off())?;
        let (block, after) = after.split_at_checked(len).ok_or_else(cut_off)?;
        snappy_block(block, plain)?;
        if plain.len() > MAX_DECODED_BYTES {
            return Ok(());
        }
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(cut_off()) }
}

#[cfg(test)]
mod tests;
