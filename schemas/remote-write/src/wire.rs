//! Protobuf's wire format, as far as the encoders write it.

/// Appends `value` as a varint, 1 to 10 bytes.
#[inline]
pub(crate) fn put_varint(buf: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        buf.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    buf.push((value & 0x7f) as u8);
}

/// How many bytes `put_varint` appends.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Key of a varint field below number 16.
pub(crate) const fn varint_key(field: u8) -> u8 {
    field << 3
}

/// Key of a fixed 64-bit field below number 16.
pub(crate) const fn fixed64_key(field: u8) -> u8 {
    field << 3 | 1
}

/// Key of a length-delimited field below number 16.
pub(crate) const fn bytes_key(field: u8) -> u8 {
    field << 3 | 2
}

/// Appends key and length of a length-delimited field; the caller appends the `len` bytes.
#[inline]
pub(crate) fn put_header(buf: &mut Vec<u8>, field: u8, len: usize) {
    buf.push(bytes_key(field));
    put_varint(buf, len as u64);
}

/// Appends a whole length-delimited field.
#[inline]
pub(crate) fn put_bytes(buf: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    put_header(buf, field, bytes.len());
    buf.extend_from_slice(bytes);
}

/// How many bytes `put_bytes` appends for `len` of them.
pub(crate) const fn bytes_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Appends a double, unless it is positive zero, the default. (Negative zero is written.)
#[inline]
pub(crate) fn put_double(buf: &mut Vec<u8>, field: u8, value: f64) {
    if value.to_bits() != 0 {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        buf.extend_from_slice(&[fixed64_key(field), a, b, c, d, e, f, g, h]);
    }
}

/// How many bytes `put_double` appends.
#[inline]
pub(crate) const fn double_len(value: f64) -> usize {
    if value.to_bits() == 0 { 0 } else { 9 }
}

/// Appends a varint field, unless it is zero, the default.
#[inline]
pub(crate) fn put_uint(buf: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        buf.push(varint_key(field));
        put_varint(buf, value);
    }
}

/// How many bytes `put_uint` appends.
#[inline]
pub(crate) const fn uint_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_varint_is_as_long_as_announced_and_reads_back(shift in 0u32..64, value: u64) {
            let value = value >> shift;
            let mut buf = Vec::new();
            put_varint(&mut buf, value);
            prop_assert_eq!(buf.len(), varint_len(value));
            prop_assert_eq!(prost::encoding::decode_varint(&mut buf.as_slice()).unwrap(), value);
        }
    }

    #[test]
    fn the_largest_varint_takes_ten_bytes() {
        assert_eq!(varint_len(u64::MAX), 10);
        assert_eq!(varint_len(0), 1);
        assert_eq!(varint_len(127), 1);
        assert_eq!(varint_len(128), 2);
    }
}
