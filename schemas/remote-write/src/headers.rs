//! Names and values of the HTTP headers remote write defines.

/// Request header naming the protocol version; its value is [`crate::v1::VERSION`] or [`crate::v2::VERSION`].
pub const VERSION: &str = "X-Prometheus-Remote-Write-Version";

/// The only `Content-Encoding` both versions take: snappy's block format, not its frames.
pub const CONTENT_ENCODING: &str = "snappy";

/// Response header of 2.0: how many float samples were written.
pub const SAMPLES_WRITTEN: &str = "X-Prometheus-Remote-Write-Samples-Written";

/// Response header of 2.0: how many native histograms were written.
pub const HISTOGRAMS_WRITTEN: &str = "X-Prometheus-Remote-Write-Histograms-Written";

/// Response header of 2.0: how many exemplars were written.
pub const EXEMPLARS_WRITTEN: &str = "X-Prometheus-Remote-Write-Exemplars-Written";
