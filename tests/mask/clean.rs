//! Lines with nothing personal or secret that look as if there were: numbers, versions, times, identifiers, words.

use crate::person::word;
use crate::random::{DIGITS, HEX, Random};

pub fn line(r: &mut Random) -> String {
    let (w, n) = (word(r), r.between(1, 99_999));
    let (hex8, hex32, hex40) = (r.text(HEX, 8), r.text(HEX, 32), r.text(HEX, 40));
    let uuid = uuid(r);
    let time = time(r);
    match r.between(0, 39) {
        0 => format!("{time} INFO order {} accepted", order(r)),
        1 => format!("{time} order_id={} qty={n}", order(r)),
        2 => format!("{time} [main] c.e.{w}.Service - upgraded {w} to version {}", version(r)),
        3 => format!("{time} {w}-{}.jar loaded, driver v{}", version(r), version(r)),
        4 => format!("trace_id={hex32} span_id={} request {uuid} done in {n} ms", r.text(HEX, 16)),
        5 => format!("{{\"ts\":{},\"level\":\"info\",\"id\":\"{uuid}\",\"msg\":\"{w} started\",\"n\":{n}}}", millis(r)),
        6 => format!("commit {hex40} by ci, tree {hex40}"),
        7 => format!("pulled image@sha256:{hex32}{hex32}"),
        8 => format!("10.0.0.x is no address, nor is 300.{}.1.2", r.between(0, 255)),
        9 => format!(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
            r.between(80, 140)
        ),
        10 => format!("{time} WARN password reset requested, password policy: at least {n} characters"),
        11 => format!("{time} ERROR Invalid password: must not be empty"),
        12 => format!("token expired, token refresh in {n} s; max_tokens={n} tokens={n}"),
        13 => format!("Unexpected token {{ in JSON at position {n}"),
        14 => format!("std::collections::hash_map at {w}::{w}::new, dead::beef, a::b::c"),
        15 => format!("installed @types/node@{}.1.0 and lodash@4.17.21", r.between(10, 22)),
        16 => format!("copied icon@{}x.png to assets/{w}@2x.jpg", r.between(2, 3)),
        17 => format!("user@{n}.service: Succeeded. getty@tty{}.service", r.between(1, 6)),
        18 => format!("offset={} lag={n} epoch={}", r.between(1_000_000, 999_999_999), millis(r)),
        19 => format!("snowflake 1{} shard {n}", r.text(DIGITS, 17)),
        20 => format!("nanos=17{} monotonic={}", r.text(DIGITS, 17), r.text("123", 9)),
        21 => format!("took {n}.{}s, 0.{} of the budget", r.text(DIGITS, 6), r.text(DIGITS, 16)),
        22 => {
            format!("lat={}.{} lon=-{}.{}", r.between(1, 89), r.text(DIGITS, 6), r.between(1, 179), r.text(DIGITS, 6))
        }
        23 => format!("{time} listening on 0.0.0.0:{n}, health on 127.0.0.1:{n} and [::1]:{n}"),
        24 => "netmask 255.255.255.0 broadcast 255.255.255.255 mac 00:00:00:00:00:00".to_owned(),
        25 => format!(
            "certificate fingerprint {}",
            (0..20).map(|_| r.text("0123456789ABCDEF", 2)).collect::<Vec<_>>().join(":")
        ),
        26 => format!("select * from t where id in ({n}, {n}) and day = '2026-11-{:02}'", r.between(1, 30)),
        27 => format!("at com.example.{w}.Main.run(Main.java:{n}) ~[app-{}.jar:?]", version(r)),
        28 => format!("part no {}-{}-{} in stock", r.text(DIGITS, 2), r.text(DIGITS, 3), r.text(DIGITS, 2)),
        29 => "password=null token=<redacted> secret=*** api_key=${API_KEY}".to_owned(),
        30 => format!("cookie: disabled, basic authentication, the bearer of news, key={w}"),
        31 => format!("git clone git@github.com:{w}/{w}.git at {hex8}"),
        32 => format!("在庫は{n}個、注文番号は{}です", order(r)),
        33 => format!("処理時間 {n} ミリ秒、{time} 完了、バージョン {}", version(r)),
        34 => format!("Bestellung {} mit {n} Artikeln am 21.11.2026 um 22:03", order(r)),
        35 => format!("GET /api/v{}/items/{n}?page={n}&sort=name HTTP/1.1 200 {n}", r.between(1, 9)),
        36 => format!("memory 0x{hex8} - 0x{}, crc {hex8}", r.text(HEX, 16)),
        37 => format!("java.lang.Object@{hex8} PWD=/home/{w} next_page_token={hex32}"),
        38 => format!("<34>1 2026-11-21T22:03:11.123Z host {w} {n} ID47 - link up, {n} Mbit/s"),
        _ => format!("{time} DEBUG {w} {w} {n} +{n} -{n} (+0900) 1e+{}", r.between(10, 300)),
    }
}

fn uuid(r: &mut Random) -> String {
    format!("{}-{}-4{}-a{}-{}", r.text(HEX, 8), r.text(HEX, 4), r.text(HEX, 3), r.text(HEX, 3), r.text(HEX, 12))
}

pub fn time(r: &mut Random) -> String {
    let (d, h, m, s) = (r.between(1, 30), r.between(0, 23), r.between(0, 59), r.between(0, 59));
    match r.between(0, 4) {
        0 => format!("2026-11-{d:02}T{h:02}:{m:02}:{s:02}.{}Z", r.text(DIGITS, 3)),
        1 => format!("2026-11-{d:02} {h:02}:{m:02}:{s:02},{}", r.text(DIGITS, 3)),
        2 => format!("Nov {d:2} {h:02}:{m:02}:{s:02}"),
        3 => format!("{d:02}/Nov/2026:{h:02}:{m:02}:{s:02} +0900"),
        _ => format!("202611{d:02}T{h:02}{m:02}{s:02}.{}", r.text(DIGITS, 6)),
    }
}

fn millis(r: &mut Random) -> String {
    format!("17{}", r.text(DIGITS, 11))
}

fn version(r: &mut Random) -> String {
    format!("{}.{}.{}.{}", r.between(0, 20), r.between(0, 99), r.between(0, 255), r.between(0, 255))
}

/// The number of an order: sixteen digits that fail the check of cards, or ten, or with letters.
fn order(r: &mut Random) -> String {
    match r.between(0, 3) {
        0 => loop {
            let digits = format!("{}{}", r.text("123456789", 1), r.text(DIGITS, 15));
            let sum: u32 = digits
                .bytes()
                .rev()
                .enumerate()
                .map(|(index, digit)| {
                    let value = u32::from(digit - b'0') * if index % 2 == 1 { 2 } else { 1 };
                    value / 10 + value % 10
                })
                .sum();
            if !sum.is_multiple_of(10) {
                break digits;
            }
        },
        1 => format!("{}{}", r.text("123456789", 1), r.text(DIGITS, 9)),
        2 => format!("ORD-2026-{}", r.text(DIGITS, 8)),
        _ => format!("{}{}", r.of(&["AB", "PO", "SKU", "INV"]), r.text(DIGITS, 10)),
    }
}
