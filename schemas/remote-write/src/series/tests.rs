use super::*;

fn family(symbols: &Arc<Symbols>) -> Arc<Family> {
    Arc::new(Family::new(symbols, MetricType::Gauge, "up", "Is it up?", "").unwrap())
}

fn series(symbols: &Arc<Symbols>, labels: &[(&str, &str)]) -> Series {
    Series::new(symbols, labels, family(symbols)).unwrap()
}

#[test]
fn a_text_stands_with_its_length_in_front() {
    let symbols = Symbols::new(1 << 20);
    let long = "x".repeat(200);
    let series = series(&symbols, &[("__name__", "up"), ("empty", ""), ("job", &long)]);
    let mut texts = series.texts();
    assert_eq!(texts.text(0), b"\x08__name__");
    assert_eq!(texts.text(1), b"\x02up");
    assert_eq!(texts.text(3), b"");
    assert_eq!(series.symbols().nth(3), Some(Symbol::EMPTY));
    assert_eq!(texts.text(5), [b"\xc8\x01", long.as_bytes()].concat());
    assert_eq!(texts.text(6), b"", "there is no such text");
    let [(help, text), (unit, none)] = series.family().help_and_unit();
    assert_eq!(text, b"\x09Is it up?");
    assert_ne!(help, Symbol::EMPTY);
    assert_eq!((unit, none), (Symbol::EMPTY, &b""[..]));
}

#[test]
fn the_hash_is_that_of_the_labels_alone() {
    let one = Symbols::new(1 << 20);
    let other = Symbols::new(1 << 20);
    let labels = [("__name__", "up"), ("job", "api")];
    let hash = series(&one, &labels).hash();
    assert_eq!(hash, series(&other, &labels).hash());
    assert_ne!(hash, series(&one, &[("__name__", "up"), ("joba", "pi")]).hash());
}

#[test]
fn a_series_lets_its_symbols_go() {
    let symbols = Symbols::new(1 << 20);
    let one = series(&symbols, &[("__name__", "up")]);
    assert!(symbols.bytes() > 0);
    drop(one);
    assert_eq!(symbols.bytes(), 0);
}

#[test]
fn bytes_grow_with_the_labels() {
    let symbols = Symbols::new(1 << 20);
    let bare = series(&symbols, &[]);
    let one = series(&symbols, &[("a", "b")]);
    // Two keys and two lengths inside, one of each around; two symbols of 8 bytes.
    assert_eq!(one.bytes() - bare.bytes(), 2 + 6 + 2 * 8);
    assert_eq!(bare.bytes(), size_of::<Series>());
    assert_eq!(family(&symbols).bytes(), size_of::<Family>() + 2 + 4 + 11);
}

#[test]
fn texts_over_the_limit_are_refused_and_keep_nothing() {
    let symbols = Symbols::new(usize::MAX);
    let long = "x".repeat(TEXT_BYTES_MAX);
    let refused = Series::new(&symbols, &[("a", &long)], family(&symbols)).unwrap_err();
    let too_long = SeriesError::TooLong { bytes: TEXT_BYTES_MAX + 1, bytes_max: TEXT_BYTES_MAX };
    assert_eq!(refused, too_long);
    let refused = Family::new(&symbols, MetricType::Gauge, &long, "a", "").unwrap_err();
    assert_eq!(refused, too_long);
    assert_eq!(symbols.bytes(), 0);

    let symbols = Symbols::new(100);
    let full = Family::new(&symbols, MetricType::Gauge, "up", "Is it up?", "").unwrap_err();
    assert_eq!(full, SeriesError::SymbolsFull { bytes_max: 100 });
    assert_eq!(symbols.bytes(), 0);
}
