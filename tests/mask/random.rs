//! Choices that a seed makes (SplitMix64).

/// A source of choices.
pub struct Random(u64);

pub const DIGITS: &str = "0123456789";
pub const HEX: &str = "0123456789abcdef";
pub const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
pub const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
pub const URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
pub const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    pub fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[usize::try_from(self.draw() % all.len() as u64).unwrap()]
    }

    pub fn one_in(&mut self, of: u64) -> bool {
        self.draw().is_multiple_of(of)
    }

    /// So many characters of `alphabet`.
    pub fn text(&mut self, alphabet: &str, count: u64) -> String {
        let alphabet = alphabet.as_bytes();
        (0..count)
            .map(|_| char::from(alphabet[usize::try_from(self.draw() % alphabet.len() as u64).unwrap()]))
            .collect()
    }

    /// The template with `9` as any digit, `8` as 2 to 9, `A` as a capital, `X` as a capital or digit.
    pub fn fill(&mut self, template: &str) -> String {
        let mut filled = String::new();
        for letter in template.chars() {
            match letter {
                '9' => filled.push_str(&self.text(DIGITS, 1)),
                '8' => filled.push_str(&self.text("23456789", 1)),
                'A' => filled.push_str(&self.text(UPPER, 1)),
                'X' => filled.push_str(&self.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 1)),
                other => filled.push(other),
            }
        }
        filled
    }
}
