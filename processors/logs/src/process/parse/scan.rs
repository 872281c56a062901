//! A text read from its front; every step is linear in what it passes.

/// What is left of a text.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a>(pub &'a str);

impl<'a> Scan<'a> {
    /// Passes over `prefix`, if it comes next.
    pub fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.0.strip_prefix(prefix);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// The next byte.
    pub fn peek(&self) -> Option<u8> {
        self.0.as_bytes().first().copied()
    }

    /// Passes over spaces and tabs.
    pub fn spaces(&mut self) -> &mut Self {
        self.0 = self.0.trim_start_matches([' ', '\t']);
        self
    }

    /// Takes the next `bytes`; none where there are fewer, or a character would be cut.
    pub fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes what stands before the next `end`, an ASCII character, and passes over that.
    pub fn until(&mut self, end: u8) -> Option<&'a str> {
        let at = memchr::memchr(end, self.0.as_bytes())?;
        let taken = self.take(at)?;
        self.take(1)?;
        Some(taken)
    }

    /// The same, of the next `most` bytes.
    pub fn until_within(&mut self, end: u8, most: usize) -> Option<&'a str> {
        let near = self.0.as_bytes().get(..most).unwrap_or(self.0.as_bytes());
        let taken = memchr::memchr(end, near).and_then(|at| self.take(at))?;
        self.take(1)?;
        Some(taken)
    }

    /// Takes characters as long as their first byte is as asked; bytes of others than ASCII are 128 and above.
    pub fn take_while(&mut self, is: impl Fn(u8) -> bool) -> &'a str {
        let len = self.0.bytes().position(|byte| !is(byte)).unwrap_or(self.0.len());
        self.take(len).unwrap_or_default()
    }

    /// Takes a word: up to the next space, tab or end.
    pub fn word(&mut self) -> &'a str {
        let len = memchr::memchr2(b' ', b'\t', self.0.as_bytes()).unwrap_or(self.0.len());
        self.take(len).unwrap_or_default()
    }

    /// Takes one or more digits, up to `most`, as a number.
    pub fn digits(&mut self, most: usize) -> Option<u32> {
        let len = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let mut ahead = *self;
        let number = ahead.take(len)?.parse().ok()?;
        *self = ahead;
        Some(number)
    }

    /// Takes so many digits, no fewer.
    pub fn exactly(&mut self, digits: usize) -> Option<u32> {
        let mut ahead = *self;
        let taken = ahead.take(digits)?;
        if !taken.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = taken.parse().ok()?;
        *self = ahead;
        Some(number)
    }
}
