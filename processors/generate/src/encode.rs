//! From messages to a record's value.

use std::io::Write as _;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use crate::config::{Compression, Encoding, Error};

/// What a record says.
pub(crate) enum Payload {
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
    Traces(ExportTraceServiceRequest),
}

impl Payload {
    pub(crate) fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, Error> {
        let json = match (encoding, self) {
            (Encoding::Protobuf, Self::Metrics(request)) => return Ok(request.encode_to_vec()),
            (Encoding::Protobuf, Self::Logs(request)) => return Ok(request.encode_to_vec()),
            (Encoding::Protobuf, Self::Traces(request)) => return Ok(request.encode_to_vec()),
            (Encoding::Json, Self::Metrics(request)) => serde_json::to_vec(request),
            (Encoding::Json, Self::Logs(request)) => serde_json::to_vec(request),
            (Encoding::Json, Self::Traces(request)) => serde_json::to_vec(request),
        };
        json.map_err(|source| Error::Json { source })
    }
}

impl Compression {
    /// The `content-encoding` header that goes with it.
    pub(crate) const fn header(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Snappy => Some("x-snappy-framed"),
        }
    }

    pub(crate) fn compress(self, value: Vec<u8>) -> Result<Vec<u8>, Error> {
        let bytes = value.len();
        let compressed = match self {
            Self::None => return Ok(value),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&value).and_then(|()| encoder.finish())
            }
            Self::Zstd => zstd::encode_all(value.as_slice(), 1),
            Self::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(Vec::new());
                let written = encoder.write_all(&value);
                written.and_then(|()| encoder.into_inner().map_err(|error| error.into_error()))
            }
        };
        compressed.map_err(|source| Error::Compress { bytes, source })
    }
}
