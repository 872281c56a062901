use super::*;

fn family(symbols: &Arc<Symbols>) -> Arc<Family> {
    Arc::new(Family::new(symbols, MetricType::Gauge, "up", "Is it up?", "").unwrap())
}

fn series(symbols: &Arc<Symbols>, labels: &[(&str, &str)]) -> Series {
    Series::new(labels, family(symbols)).unwrap()
}

#[test]
fn a_family_and_a_series_know_their_texts() {
    let symbols = Symbols::new(1 << 20);
    let long = "x".repeat(200);
    let series = series(&symbols, &[("__name__", "up"), ("empty", ""), ("job", &long)]);
    let texts = series.labels().iter().map(|label| series.tell(*label, |texts| texts.map(|(_, text)| text.to_owned())));
    let texts: Vec<_> = texts.map(Option::unwrap).collect();
    assert_eq!(texts, [["__name__", "up"], ["empty", ""], ["job", &long]]);
    assert_eq!(series.tell(series.labels()[1], |[_, (value, _)]| value), Some(Symbol::EMPTY));
    let [(help, text), (unit, none)] = series.family().help_and_unit();
    assert_eq!(text, b"Is it up?");
    assert_ne!(help, Symbol::EMPTY);
    assert_eq!((unit, none), (Symbol::EMPTY, &b""[..]));
}

#[test]
fn labels_are_as_long_as_announced() {
    let symbols = Symbols::new(1 << 20);
    for labels in [&[][..], &[("a", "b")], &[("", ""), ("name", ""), ("x", &"y".repeat(300))]] {
        let mut written = Vec::new();
        labels.iter().for_each(|(name, value)| put_label(&mut written, name, value));
        assert_eq!(series(&symbols, labels).labels_bytes(), written.len());
    }
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
    assert_eq!(one.bytes() - bare.bytes(), 8, "the symbol of a label");
    assert_eq!(bare.bytes(), size_of::<Series>());
    assert_eq!(family(&symbols).bytes(), size_of::<Family>() + 2 + 4 + 11);
}

#[test]
fn texts_over_the_limit_are_refused_and_keep_nothing() {
    let symbols = Symbols::new(usize::MAX);
    let long = "x".repeat(TEXT_BYTES_MAX);
    let refused = Series::new(&[("a", &long)], family(&symbols)).unwrap_err();
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
