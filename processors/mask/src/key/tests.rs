use std::net::Ipv4Addr;

use weir_config::Secret;
use weir_config::unset;

use super::*;

fn config(key: &str, encoding: Encoding) -> KeyConfig {
    KeyConfig { id: unset("k1".to_owned()), key: unset(Secret::from(key.to_owned())), encoding }
}

fn key(text: &str) -> Key {
    Key::new(&config(text, Encoding::Raw)).unwrap()
}

/// The key and addresses that the authors of Crypto-PAn published with their code.
#[test]
fn the_published_pseudonyms_come_out() {
    let published = [
        21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101, 39,
        98, 87, 76, 45, 42, 132, 34, 2,
    ];
    let pan = Pan::new(&published);
    for (address, pseudonym) in [
        ("128.11.68.132", "135.242.180.132"),
        ("129.118.74.4", "134.136.186.123"),
        ("130.132.252.244", "133.68.164.234"),
        ("141.223.7.43", "141.167.8.160"),
        ("141.233.145.108", "141.129.237.235"),
    ] {
        let address: Ipv4Addr = address.parse().unwrap();
        assert_eq!(pan.ipv4(address).to_string(), pseudonym, "{address}");
    }
}

#[test]
fn pseudonyms_keep_prefixes_and_are_told_apart() {
    let key = key("0123456789abcdef");
    let mut seen = std::collections::HashSet::new();
    let sample: Vec<u32> = (0..2000_u32).map(|index| index.wrapping_mul(0x9e37_79b9) >> (index % 3 * 8)).collect();
    for pair in sample.windows(2) {
        let (one, other) = (Ipv4Addr::from(pair[0]), Ipv4Addr::from(pair[1]));
        let (to_one, to_other) = (u32::from(key.pan.ipv4(one)), u32::from(key.pan.ipv4(other)));
        assert_eq!((pair[0] ^ pair[1]).leading_zeros(), (to_one ^ to_other).leading_zeros(), "{one} {other}");
        seen.insert(to_one);
    }
    let different: std::collections::HashSet<_> = sample[..1999].iter().collect();
    assert_eq!(seen.len(), different.len(), "two addresses have one pseudonym");

    let six = |text: &str| u128::from(key.pan.ipv6(text.parse().unwrap()));
    let (one, other) = (six("2001:db8:1:2::3"), six("2001:db8:1:2::4"));
    assert_eq!((one ^ other).leading_zeros(), 125);
    assert_ne!(one, u128::from("2001:db8:1:2::3".parse::<Ipv6Addr>().unwrap()));
}

#[test]
fn a_hash_is_stable_and_changes_with_the_key() {
    let (one, other) = (key("0123456789abcdef"), key("0123456789abcdeg"));
    assert_eq!(one.hash(b"eve"), key("0123456789abcdef").hash(b"eve"));
    assert_eq!(one.hash(b"eve").len(), 16);
    assert_ne!(one.hash(b"eve"), one.hash(b"bob"));
    assert_ne!(one.hash(b"eve"), other.hash(b"eve"));
    assert_ne!(one.pan.ipv4([192, 0, 2, 1].into()), other.pan.ipv4([192, 0, 2, 1].into()));
}

#[test]
fn a_key_is_read_as_its_encoding_says() {
    let bytes = b"0123456789abcdef";
    for (text, encoding) in [
        ("0123456789abcdef", Encoding::Raw),
        ("30313233343536373839616263646566\n", Encoding::Hex),
        ("MDEyMzQ1Njc4OWFiY2RlZg==", Encoding::Base64),
        ("MDEyMzQ1Njc4OWFiY2RlZg", Encoding::Base64),
    ] {
        assert_eq!(decode(&config(text, encoding)).unwrap(), bytes, "{text}");
    }
    for (text, encoding, message) in [
        ("xyz", Encoding::Hex, "expected a key in hexadecimal digits: write one, or set its encoding"),
        ("303", Encoding::Hex, "expected a key in hexadecimal digits: write one, or set its encoding"),
        ("!!!!", Encoding::Base64, "expected a key in base64: write one, or set its encoding"),
        (
            "3031",
            Encoding::Hex,
            "a key of 2 bytes is too short: expected 16 or more, such as `openssl rand -hex 32` writes",
        ),
    ] {
        assert_eq!(decode(&config(text, encoding)).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn a_key_is_not_shown() {
    assert!(!format!("{:?}", key("0123456789abcdef")).contains("0123"));
}
