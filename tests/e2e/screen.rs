//! What a person would see on a terminal.

/// What stands on a terminal of that width after `text`.
pub(crate) struct Screen {
    width: usize,
    lines: Vec<Vec<char>>,
    at: (usize, usize),
}

impl Screen {
    /// Every line there is, from the first one on.
    pub fn show(width: usize, text: &str) -> Vec<String> {
        let mut screen = Self { width, lines: vec![Vec::new()], at: (0, 0) };
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match next {
                '\r' => screen.at.1 = 0,
                '\n' => screen.at.0 += 1,
                '\u{1b}' => {
                    assert_eq!(rest.next(), Some('['), "only sequences that begin with CSI");
                    let mut sequence = String::new();
                    while !sequence.ends_with(|end: char| end.is_ascii_alphabetic()) {
                        sequence.push(rest.next().unwrap());
                    }
                    screen.obey(&sequence);
                }
                next => screen.put(next),
            }
        }
        let lines = screen.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned());
        lines.collect()
    }

    fn line(&mut self) -> &mut Vec<char> {
        let row = self.at.0;
        if self.lines.len() <= row {
            self.lines.resize(row + 1, Vec::new());
        }
        &mut self.lines[row]
    }

    fn put(&mut self, char: char) {
        if self.at.1 == self.width {
            self.at = (self.at.0 + 1, 0);
        }
        let column = self.at.1;
        let line = self.line();
        if line.len() <= column {
            line.resize(column + 1, ' ');
        }
        line[column] = char;
        self.at.1 += 1;
    }

    fn obey(&mut self, sequence: &str) {
        let (argument, command) = sequence.split_at(sequence.len() - 1);
        match command {
            "m" => {}
            "F" => self.at = (self.at.0.checked_sub(argument.parse().unwrap()).unwrap(), 0),
            "K" => {
                let column = self.at.1;
                self.line().truncate(column);
            }
            "J" => {
                let (row, column) = self.at;
                self.line().truncate(column);
                self.lines.truncate(row + 1);
            }
            _ => panic!("{sequence:?} is not known here"),
        }
    }
}
