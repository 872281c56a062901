//! Keys, and what is made with them: truncated HMACs and pseudonyms of IP addresses.
//!
//! Specifications: HMAC, RFC 2104 with SHA-256 (FIPS 180-4); Crypto-PAn, "Prefix-Preserving IP Address
//! Anonymization", Xu, Fan, Ammar and Moon, ICNP 2002, with AES-128 (FIPS 197).

use std::net::{Ipv4Addr, Ipv6Addr};

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::config::{Encoding, KeyConfig};

/// The fewest bytes of a key: those of AES-128.
const KEY_BYTES_MIN: usize = 16;

/// Bytes of a hash that are shown: equal by chance for one pair in 2^64.
const HASH_BYTES: usize = 8;

/// A key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not written as its encoding says.
    #[error("expected a key in {expected}: write one, or set its encoding")]
    Encoding {
        /// How it should be written.
        expected: &'static str,
    },
    /// It is too short to be safe.
    #[error(
        "a key of {bytes} bytes is too short: expected {KEY_BYTES_MIN} or more, such as `openssl rand -hex 32` writes"
    )]
    Short {
        /// Its size.
        bytes: usize,
    },
}

/// A key in use.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    hash: Hmac<Sha256>,
    pub(crate) pan: Pan,
}

/// Crypto-PAn with one key.
#[derive(Clone)]
pub(crate) struct Pan {
    cipher: Aes128,
    pad: u128,
}

/// The key's bytes.
///
/// # Errors
/// It is not as its encoding says, or too short.
pub(crate) fn decode(config: &KeyConfig) -> Result<Vec<u8>, KeyError> {
    let text = config.key.get_ref().expose().trim();
    let decoded = match config.encoding {
        Encoding::Raw => Ok(text.as_bytes().to_vec()),
        Encoding::Hex => hex(text.as_bytes()).ok_or(KeyError::Encoding { expected: "hexadecimal digits" }),
        Encoding::Base64 => {
            let standard = text.replace('-', "+").replace('_', "/");
            let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, lenient);
            engine.decode(standard).map_err(|_| KeyError::Encoding { expected: "base64" })
        }
    }?;
    if decoded.len() < KEY_BYTES_MIN { Err(KeyError::Short { bytes: decoded.len() }) } else { Ok(decoded) }
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

// === impl Key ===

impl Key {
    /// Reads a key, and derives from it one for each use.
    ///
    /// # Errors
    /// It is not as its encoding says, or too short.
    pub(crate) fn new(config: &KeyConfig) -> Result<Self, KeyError> {
        let secret = decode(config)?;
        Ok(Self {
            id: config.id.get_ref().clone(),
            hash: hmac_of(&mac(&hmac_of(&secret), b"weir-mask hash")),
            pan: Pan::new(&mac(&hmac_of(&secret), b"weir-mask crypto-pan")),
        })
    }

    /// Sixteen hexadecimal digits of the value's HMAC.
    pub(crate) fn hash(&self, value: &[u8]) -> String {
        use std::fmt::Write as _;
        let mut shown = String::with_capacity(2 * HASH_BYTES);
        for byte in mac(&self.hash, value).iter().take(HASH_BYTES) {
            // Writing to a string cannot fail.
            write!(shown, "{byte:02x}").unwrap_or_default();
        }
        shown
    }
}

// === impl Pan ===

impl Pan {
    /// The first half of `key` is the cipher's, the second one makes what addresses are padded with.
    fn new(key: &[u8; 32]) -> Self {
        let (mut first, mut second) = ([0; 16], [0; 16]);
        for (to, from) in first.iter_mut().chain(&mut second).zip(key) {
            *to = *from;
        }
        let cipher = Aes128::new(&Array(first));
        let mut pad = Array(second);
        cipher.encrypt_block(&mut pad);
        Self { cipher, pad: u128::from_be_bytes(pad.0) }
    }

    /// The address's pseudonym.
    pub(crate) fn ipv4(&self, address: Ipv4Addr) -> Ipv4Addr {
        let mask = self.mask::<32>(u128::from(u32::from(address)) << 96) >> 96;
        // The other bits are zero.
        Ipv4Addr::from(u32::from(address) ^ u32::try_from(mask).unwrap_or_default())
    }

    /// The address's pseudonym.
    pub(crate) fn ipv6(&self, address: Ipv6Addr) -> Ipv6Addr {
        Ipv6Addr::from(u128::from(address) ^ self.mask::<128>(u128::from(address)))
    }

    /// One bit for each of the first `BITS` of the address: it depends on the bits before it alone.
    fn mask<const BITS: usize>(&self, address: u128) -> u128 {
        let mut blocks = [Array([0; 16]); BITS];
        for (length, block) in blocks.iter_mut().enumerate() {
            let rest = u128::MAX.checked_shr(u32::try_from(length).unwrap_or(u32::MAX)).unwrap_or(0);
            *block = Array(((address & !rest) | (self.pad & rest)).to_be_bytes());
        }
        self.cipher.encrypt_blocks(&mut blocks);
        blocks.iter().enumerate().fold(0, |mask, (length, block)| {
            let bit = u128::from_be_bytes(block.0) >> 127;
            mask | (bit << (127 - length))
        })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

fn hmac_of(key: &[u8]) -> Hmac<Sha256> {
    // An HMAC takes a key of any size: the error is the trait's, not its own.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Array::default()))
}

fn mac(keyed: &Hmac<Sha256>, value: &[u8]) -> [u8; 32] {
    let mut mac = keyed.clone();
    mac.update(value);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
