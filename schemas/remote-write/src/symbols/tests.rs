use super::*;

/// Symbols that are let go of with whoever has them, as those of a series are.
struct Held(Arc<Symbols>, Vec<Symbol>);

impl Held {
    fn list(&self) -> &[Symbol] {
        &self.1
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.release(self.1.drain(..));
    }
}

fn held(symbols: &Arc<Symbols>, texts: &[&str]) -> Held {
    Held(Arc::clone(symbols), symbols.hold(texts.iter().copied()).unwrap())
}

#[test]
fn one_string_has_one_symbol_while_anybody_holds_it() {
    let symbols = Symbols::new(1 << 20);
    let first = held(&symbols, &["job", "api", "", "job"]);
    let second = held(&symbols, &["api", "job"]);
    assert_eq!(first.list()[0], second.list()[1]);
    assert_eq!(first.list()[0], first.list()[3]);
    assert_eq!(first.list()[1], second.list()[0]);
    assert_eq!(first.list()[2], Symbol::EMPTY);
    assert_eq!(symbols.bytes(), 2 * TEXT_BYTES + 6);

    let job = first.list()[0];
    drop(first);
    assert_eq!(held(&symbols, &["job"]).list()[0], job);
    drop(second);
    assert_eq!(symbols.bytes(), 0);
}

#[test]
fn a_slot_let_go_is_used_again_under_another_serial() {
    let symbols = Symbols::new(1 << 20);
    let old = held(&symbols, &["old"]).list()[0];
    let kept = held(&symbols, &["new"]);
    let new = kept.list()[0];
    assert_eq!(new.slot, old.slot);
    assert_ne!(new.serial, old.serial);
    assert_ne!(held(&symbols, &["old"]).list()[0], old, "the old symbol is gone for good");
}

#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    let symbols = Symbols::new(2 * TEXT_BYTES + 6);
    let kept = held(&symbols, &["abc"]);
    let full = symbols.hold(["abc", "def", "g"].into_iter()).unwrap_err();
    assert_eq!(full, SeriesError::SymbolsFull { bytes_max: 2 * TEXT_BYTES + 6 });
    assert_eq!(symbols.bytes(), TEXT_BYTES + 3);
    assert_eq!(held(&symbols, &["abc", "def"]).list()[0], kept.list()[0]);
    drop(kept);
    assert_eq!(symbols.bytes(), 0);
}

#[test]
fn churn_reuses_slots_instead_of_growing() {
    let symbols = Symbols::new(1 << 20);
    for round in 0..1000 {
        let texts: Vec<String> = (0..10).map(|i| format!("{round}-{i}")).collect();
        let held = held(&symbols, &texts.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(held.list().iter().all(|symbol| symbol.slot <= 10));
    }
    assert_eq!(symbols.lock().texts.slots.len(), 11);
    assert_eq!(symbols.lock().texts.index.len(), 0);
}

#[test]
fn lanes_share_symbols_and_let_all_of_them_go() {
    let symbols = Symbols::new(1 << 20);
    let common = held(&symbols, &["common"]);
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let (symbols, common) = (&symbols, &common);
            scope.spawn(move || {
                for i in 0..500 {
                    let own = format!("{lane}-{}", i % 7);
                    let held = held(symbols, &["common", &own]);
                    assert_eq!(held.list()[0], common.list()[0]);
                }
            });
        }
    });
    assert_eq!(symbols.bytes(), "common".len() + TEXT_BYTES);
}

#[test]
fn a_label_holds_its_strings_once_and_lets_them_go() {
    let symbols = Symbols::new(1 << 20);
    let labels = [("job", "api"), ("", ""), ("api", "job"), ("job", "api")];
    let held = symbols.hold_labels(&labels).unwrap();
    assert_eq!(held[0], held[3]);
    assert_ne!(held[0], held[2]);
    assert_eq!(symbols.bytes(), 2 * TEXT_BYTES + 6 + 3 * LABEL_BYTES);
    let told: Vec<_> =
        held.iter().map(|label| symbols.tell(*label, |texts| texts.map(|(_, text)| text.to_owned()))).collect();
    assert_eq!(told.iter().flatten().map(|[name, value]| (&**name, &**value)).collect::<Vec<_>>(), labels);
    symbols.release_labels(&held[..3]);
    assert_eq!(symbols.bytes(), 2 * TEXT_BYTES + 6 + LABEL_BYTES, "it is held once more");
    symbols.release_labels(&held[3..]);
    assert_eq!(symbols.bytes(), 0);
    assert_eq!(symbols.tell(held[0], |_| ()), None);
    let later = symbols.hold_labels(&[("job", "api")]).unwrap();
    assert!(!held.contains(&later[0]), "the old symbol is gone for good");
    symbols.release_labels(&later);
}

#[test]
fn a_label_that_does_not_fit_leaves_nothing_behind() {
    let whole = 2 * TEXT_BYTES + 2 + LABEL_BYTES;
    for bytes_max in 0..whole {
        let symbols = Symbols::new(bytes_max);
        assert_eq!(symbols.hold_labels(&[("a", "b")]), Err(SeriesError::SymbolsFull { bytes_max }));
        assert_eq!(symbols.bytes(), 0);
    }
    assert!(Symbols::new(whole).hold_labels(&[("a", "b")]).is_ok());
}
