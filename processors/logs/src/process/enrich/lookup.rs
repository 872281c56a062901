//! Tables of a CSV or JSON file, by one column.

use std::collections::HashMap;

use serde_json::Value as Json;

/// How many rows a table may have: what a process keeps in memory without a second thought.
pub const ROWS_MAX: usize = 1_000_000;

/// A table that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The bytes are not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// A CSV file has no header, or a JSON file is no object of objects and no list of objects.
    #[error("expected CSV with a header line, or JSON: an object of objects by key, or a list of objects")]
    Form,
    /// A row has more or fewer columns than the header, or a quote is not closed.
    #[error("line {line} has not as many columns as the header")]
    Row {
        /// The row's line, from 1.
        line: usize,
    },
    /// The column that is looked up is not there.
    #[error("it has no column of the name that column gives")]
    Column,
    /// Two rows have one key: which of them counts would be chance.
    #[error("row {row} has a key that an earlier row has")]
    Twice {
        /// The row, from 1, the header not counted.
        row: usize,
    },
    /// There are more than [`ROWS_MAX`] rows.
    #[error("it has more than {ROWS_MAX} rows")]
    TooLarge,
}

/// Rows by their key.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lookup(HashMap<String, Vec<(String, String)>>);

impl Lookup {
    /// Reads a file: JSON if its first character is a brace or a bracket, else CSV.
    ///
    /// # Errors
    /// See [`LookupError`]; a file with an error is none at all.
    pub fn read(bytes: &[u8], column: Option<&str>) -> Result<Self, LookupError> {
        let text = std::str::from_utf8(bytes).map_err(|_| LookupError::NotText)?;
        let text = text.trim_start_matches('\u{feff}');
        match text.trim_ascii_start().as_bytes().first() {
            Some(b'{' | b'[') => Self::json(text, column),
            Some(_) => Self::csv(text, column),
            None => Err(LookupError::Form),
        }
    }

    /// The other columns of the row that has this key.
    pub fn get(&self, key: &str) -> Option<&[(String, String)]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn csv(text: &str, column: Option<&str>) -> Result<Self, LookupError> {
        let mut rows = Rows { rest: text, line: 1 };
        let header = rows.next().transpose()?.ok_or(LookupError::Form)?;
        let by = match column {
            Some(name) => header.iter().position(|have| have == name).ok_or(LookupError::Column)?,
            None => 0,
        };
        let mut table = Self::default();
        loop {
            let line = rows.line;
            let Some(mut fields) = rows.next().transpose()? else { return Ok(table) };
            if fields.len() != header.len() {
                return Err(LookupError::Row { line });
            }
            let key = fields.get_mut(by).map(std::mem::take).unwrap_or_default();
            let others = header.iter().cloned().zip(fields).enumerate();
            table.add(key, others.filter(|(at, _)| *at != by).map(|(_, pair)| pair).collect())?;
        }
    }

    fn json(text: &str, column: Option<&str>) -> Result<Self, LookupError> {
        let mut table = Self::default();
        match serde_json::from_str(text).map_err(|_| LookupError::Form)? {
            Json::Object(rows) if column.is_none() => {
                for (key, row) in rows {
                    let Json::Object(row) = row else { return Err(LookupError::Form) };
                    table
                        .add(key, row.into_iter().filter_map(|(name, value)| Some((name, plain(value)?))).collect())?;
                }
            }
            Json::Array(rows) => {
                for row in rows {
                    let Json::Object(mut row) = row else { return Err(LookupError::Form) };
                    let by = column.map(str::to_owned).or_else(|| row.keys().next().cloned());
                    let key = by.and_then(|by| row.remove(&by)).and_then(plain).ok_or(LookupError::Column)?;
                    table
                        .add(key, row.into_iter().filter_map(|(name, value)| Some((name, plain(value)?))).collect())?;
                }
            }
            _ => return Err(LookupError::Form),
        }
        Ok(table)
    }

    fn add(&mut self, key: String, mut columns: Vec<(String, String)>) -> Result<(), LookupError> {
        if self.len() >= ROWS_MAX {
            return Err(LookupError::TooLarge);
        }
        columns.retain(|(name, value)| !name.is_empty() && !value.is_empty());
        match self.0.insert(key, columns) {
            None => Ok(()),
            Some(_) => Err(LookupError::Twice { row: self.len() + 1 }),
        }
    }
}

/// A value of one column.
fn plain(value: Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// The rows of a CSV file, as RFC 4180 has them; empty lines are passed over.
struct Rows<'a> {
    rest: &'a str,
    line: usize,
}

impl Iterator for Rows<'_> {
    type Item = Result<Vec<String>, LookupError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(rest) = self.rest.strip_prefix('\n').or_else(|| self.rest.strip_prefix("\r\n")) {
            (self.rest, self.line) = (rest, self.line + 1);
        }
        if self.rest.is_empty() {
            return None;
        }
        let line = self.line;
        let row = self.row().ok_or(LookupError::Row { line });
        if row.is_err() {
            self.rest = "";
        }
        Some(row)
    }
}

impl Rows<'_> {
    fn row(&mut self) -> Option<Vec<String>> {
        let mut fields = Vec::new();
        loop {
            let mut field = String::new();
            if let Some(quoted) = self.rest.strip_prefix('"') {
                self.rest = quoted;
                loop {
                    let (text, rest) = self.rest.split_once('"')?;
                    field.push_str(text);
                    self.line += text.matches('\n').count();
                    self.rest = rest;
                    let Some(rest) = rest.strip_prefix('"') else { break };
                    field.push('"');
                    self.rest = rest;
                }
            } else {
                let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at_checked(end)?;
                field.push_str(text.trim_ascii());
                self.rest = rest;
            }
            fields.push(field);
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
                continue;
            }
            let rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
            if rest.is_empty() {
                self.rest = rest;
                return Some(fields);
            }
            self.rest = rest.strip_prefix('\n')?;
            self.line += 1;
            return Some(fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'t>(table: &'t Lookup, key: &str) -> Vec<(&'t str, &'t str)> {
        let row = table.get(key).unwrap_or_default();
        row.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    #[test]
    fn csv_and_json_give_the_same_table() {
        let csv =
            Lookup::read(b"host,owner,team.name\r\nweb-1,eve,\"a, \"\"b\"\"\"\r\n\r\nweb-2,,ops\r\n", None).unwrap();
        let json = br#"{"web-1":{"owner":"eve","team.name":"a, \"b\""},"web-2":{"team.name":"ops"}}"#;
        assert_eq!(csv, Lookup::read(json, None).unwrap());
        let list = br#"[{"team.name":"a, \"b\"","owner":"eve","host":"web-1"},{"host":"web-2","team.name":"ops"}]"#;
        let list = Lookup::read(list, Some("host")).unwrap();
        assert_eq!(row(&csv, "web-2"), [("team.name", "ops")]);
        assert_eq!((list.len(), row(&list, "web-2")), (2, row(&csv, "web-2")));
    }

    #[test]
    fn a_file_with_an_error_is_none_at_all() {
        for (bytes, column, want) in [
            (&b""[..], None, LookupError::Form),
            (b"\xff", None, LookupError::NotText),
            (b"a,b\n1\n", None, LookupError::Row { line: 2 }),
            (b"a,b\n1,\"x\n", None, LookupError::Row { line: 2 }),
            (b"a,b\n1,2\n1,3\n", None, LookupError::Twice { row: 2 }),
            (b"a,b\n1,2\n", Some("c"), LookupError::Column),
            (b"{\"a\":1}", None, LookupError::Form),
            (b"{\"a\":", None, LookupError::Form),
            (b"[1]", None, LookupError::Form),
        ] {
            assert_eq!(Lookup::read(bytes, column), Err(want), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
