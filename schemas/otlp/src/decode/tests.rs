use std::io::Write;

use super::*;

/// A request of one resource with a schema URL; 123 bytes long inside if asked.
fn request(inner_bytes: u8) -> Vec<u8> {
    let text = inner_bytes - 2;
    let mut bytes = vec![0x0a, inner_bytes, 0x1a, text];
    bytes.resize(usize::from(text) + 4, b'u');
    bytes
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).unwrap()
}

fn snappy(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).unwrap()
}

fn snappy_framed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(plain).unwrap();
    encoder.into_inner().unwrap()
}

fn snappy_java(plain: &[u8]) -> Vec<u8> {
    let mut stream = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for chunk in plain.chunks(32 << 10) {
        let block = snappy(chunk);
        stream.extend(u32::try_from(block.len()).unwrap().to_be_bytes());
        stream.extend(block);
    }
    stream
}

fn hinted(compression: Compression) -> Hints {
    Hints { compression: Some(compression), format: None }
}

#[test]
fn every_compression_is_told_by_its_first_bytes_or_its_header() {
    let plain = request(100);
    let plain = plain.as_slice();
    let decoded = |value: &[u8], hints| decode(Signal::Metrics, value, hints).unwrap().into_owned();
    let detect = Hints::default();
    for (value, compression) in [
        (gzip(plain), Compression::Gzip),
        (zstd(plain), Compression::Zstd),
        (snappy_framed(plain), Compression::Snappy),
        (snappy_java(plain), Compression::Snappy),
        (plain.to_vec(), Compression::None),
    ] {
        assert_eq!(decoded(&value, detect), plain, "{compression}");
        assert_eq!(decoded(&value, hinted(compression)), plain, "{compression}");
    }
    assert_eq!(decoded(&snappy(plain), hinted(Compression::Snappy)), plain);
    let members = [gzip(&plain[..50]), gzip(&plain[50..])].concat();
    assert_eq!(decoded(&members, detect), plain);
    let frames = [zstd(&plain[..50]), zstd(&plain[50..])].concat();
    assert_eq!(decoded(&frames, detect), plain);
    let long = request(250).repeat(1000);
    assert_eq!(decoded(&snappy_java(&long), detect), long);
}

#[test]
fn plain_protobuf_is_borrowed() {
    let plain = request(100);
    let decoded = decode(Signal::Logs, &plain, Hints::default()).unwrap();
    assert!(matches!(decoded, Cow::Borrowed(_)));
    assert_eq!(decode(Signal::Logs, b"", Hints::default()).unwrap(), &b""[..]);
}

#[test]
fn a_wrong_or_broken_compression_is_an_error() {
    let plain = request(100);
    for compression in [Compression::Gzip, Compression::Zstd, Compression::Snappy] {
        let corrupt = Err(DecodeError::Corrupt { compression });
        for value in [plain.as_slice(), b"", b"\x82SNAPPY\0", b"{}", &[0xff; 20]] {
            assert_eq!(decode(Signal::Metrics, value, hinted(compression)), corrupt, "{value:?}");
        }
    }
    for (value, compression) in
        [(gzip(&plain), Compression::Gzip), (zstd(&plain), Compression::Zstd), (snappy(&plain), Compression::Snappy)]
    {
        for len in 0..value.len() {
            let cut = decode(Signal::Metrics, &value[..len], hinted(compression));
            assert_eq!(cut, Err(DecodeError::Corrupt { compression }), "{len}");
        }
    }
}

#[test]
fn a_flipped_byte_of_a_compressed_value_never_panics() {
    let plain = request(250).repeat(3);
    for value in [gzip(&plain), zstd(&plain), snappy_framed(&plain), snappy_java(&plain)] {
        for index in 0..value.len() {
            let mut flipped = value.clone();
            flipped[index] ^= 0x55;
            if let Err(error) = decode(Signal::Metrics, &flipped, Hints::default()) {
                assert!(!error.reason().is_empty());
            }
        }
    }
}

#[test]
fn a_decompression_bomb_is_too_large() {
    let bomb = vec![0; MAX_DECODED_BYTES + 1];
    let too_large = Err(DecodeError::TooLarge { limit_bytes: MAX_DECODED_BYTES });
    for value in [gzip(&bomb), zstd(&bomb), snappy_framed(&bomb), snappy_java(&bomb)] {
        assert!(value.len() < MAX_DECODED_BYTES / 10);
        assert_eq!(decode(Signal::Metrics, &value, Hints::default()), too_large);
    }
    assert_eq!(decode(Signal::Metrics, &snappy(&bomb), hinted(Compression::Snappy)), too_large);
    // A block that only says so.
    let says = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    assert_eq!(decode(Signal::Metrics, &says, hinted(Compression::Snappy)), too_large);
    let fits = &bomb[..MAX_DECODED_BYTES];
    assert_eq!(decompress(Compression::Zstd, &zstd(fits)).unwrap().len(), MAX_DECODED_BYTES);
}

#[test]
fn json_is_told_from_protobuf() {
    for text in ["{}", " \r\n{ \"resourceLogs\" : [] }", "\n{\n  \"resourceLogs\": []\n}\n"] {
        let decoded = decode(Signal::Logs, text.as_bytes(), Hints::default());
        assert_eq!(decoded.unwrap(), &b""[..], "{text}");
        assert!(decode(Signal::Logs, &gzip(text.as_bytes()), Hints::default()).is_ok());
    }
    // A line feed and a brace, both in protobuf.
    let plain = request(123);
    assert!(plain.starts_with(b"\n{"));
    assert_eq!(decode(Signal::Logs, &plain, Hints::default()).unwrap(), plain.as_slice());
}

#[test]
fn headers_say_the_encoding_whatever_their_case() {
    let read = |encoding: &[u8], media: &[u8]| Hints::from_headers(Some(encoding), Some(media));
    let hints = read(b" GZIP", b"application/json; charset=utf-8").unwrap();
    assert_eq!(hints, Hints { compression: Some(Compression::Gzip), format: Some(Format::Json) });
    let hints = read(b"identity", b"application/x-protobuf").unwrap();
    assert_eq!(hints.format, Some(Format::Protobuf));
    assert_eq!(hints.compression, Some(Compression::None));
    assert_eq!(read(b"zstd", b"text/plain").unwrap(), hinted(Compression::Zstd));
    assert_eq!(Hints::from_headers(None, None), Ok(Hints::default()));
    assert_eq!(read(b"br", b""), Err(DecodeError::UnknownCompression));
}

#[test]
fn a_format_that_is_said_is_not_guessed() {
    let json = Hints { format: Some(Format::Json), ..Hints::default() };
    let error = decode(Signal::Logs, &request(100), json).unwrap_err();
    assert_eq!(error.reason(), "json_syntax");
    let protobuf = Hints { format: Some(Format::Protobuf), ..Hints::default() };
    assert_eq!(decode(Signal::Logs, b"{}", protobuf).unwrap(), &b"{}"[..]);
}
