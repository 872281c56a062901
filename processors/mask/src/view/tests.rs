use super::*;

#[track_caller]
fn sees(text: &str, seen: &str) {
    assert_eq!(std::str::from_utf8(View::new(text.as_bytes()).bytes()).unwrap(), seen, "{text}");
}

#[test]
fn escapes_are_what_they_stand_for() {
    sees(r"eve\u0040example.com", "eve@example.com");
    sees(r"eve\\u0040example.com", "eve@example.com");
    sees(r"a:\/\/b", "a://b");
    sees("a%40b%2Bc", "a@b+c");
    sees("%2B81%2090%201234?a=b%20c", "+81-90-1234?a=b%20c");
    sees("０９０－１２３４　ｘ＠ｙ", "090-1234 x@y");
    sees("０９０ー１２３４ー５６７８", "090-1234-5678");
    sees("090‐1234−5678", "090-1234-5678");
}

#[test]
fn what_would_change_the_structure_stays() {
    for text in [
        r"a\u0022b",
        r"a\u005cb",
        "a%22b",
        "a%5Cb",
        "a%25b",
        "a%0Ab",
        r"\u00",
        r"\n\t\\",
        "%4",
        "100%",
        "ー",
        "テーブル",
    ] {
        sees(text, text);
    }
}

#[test]
fn a_place_is_found_again_in_what_is_written() {
    let text = r"x eve\u0040example.com y";
    let view = View::new(text.as_bytes());
    assert_eq!(view.bytes(), b"x eve@example.com y");
    assert_eq!(view.original(&(2..17)), 2..22);
    assert_eq!(view.original(&(5..6)), 5..11);
    assert_eq!(View::new(b"plain").original(&(1..5)), 1..5);
}
