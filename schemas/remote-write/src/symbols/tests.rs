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
    assert_eq!(symbols.bytes(), 2 * ENTRY_BYTES + 6);

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
    let symbols = Symbols::new(2 * ENTRY_BYTES + 6);
    let kept = held(&symbols, &["abc"]);
    let full = symbols.hold(["abc", "def", "g"].into_iter()).unwrap_err();
    assert_eq!(full, SeriesError::SymbolsFull { bytes_max: 2 * ENTRY_BYTES + 6 });
    assert_eq!(symbols.bytes(), ENTRY_BYTES + 3);
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
    assert_eq!(symbols.lock().slots.len(), 11);
    assert_eq!(symbols.lock().by_text.len(), 0);
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
    assert_eq!(symbols.bytes(), "common".len() + ENTRY_BYTES);
}

#[test]
fn a_symbol_comes_back_from_its_bytes() {
    let symbol = Symbol { slot: 0x0102_0304, serial: 0xf506_0708 };
    assert_eq!(Symbol::from_bytes(symbol.to_bytes()), symbol);
}
