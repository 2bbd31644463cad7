//! wordcount: text on stdin becomes one line of JSON on stdout:
//!
//! `{"lines":..,"words":..,"bytes":..,"top":[["word",n],...]}`
//!
//! A word is a run of letters and digits of any script, with single
//! apostrophes allowed inside it. `top` holds the ten commonest words in lower
//! case, ties in code point order. A last line without a newline counts as a
//! line; a byte that is not UTF-8 separates words. The input is read in
//! pieces, so memory grows with the number of different words only.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::ExitCode;

const TOP: usize = 10;
const CHUNK: usize = 64 * 1024;
/// Longer words are counted under their first characters.
const MAX_WORD_BYTES: usize = 256;

#[derive(Default)]
struct Counter {
    lines: u64,
    words: u64,
    bytes: u64,
    ends_in_newline: bool,
    counts: BTreeMap<String, u64>,
    word: String,
    apostrophe_pending: bool,
}

impl Counter {
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_alphanumeric() {
                if self.apostrophe_pending {
                    self.apostrophe_pending = false;
                    self.push('\'');
                }
                for lower in c.to_lowercase() {
                    self.push(lower);
                }
            } else if (c == '\'' || c == '\u{2019}')
                && !self.word.is_empty()
                && !self.apostrophe_pending
            {
                self.apostrophe_pending = true;
            } else {
                self.end_word();
            }
        }
    }

    fn push(&mut self, c: char) {
        if self.word.len() + c.len_utf8() <= MAX_WORD_BYTES {
            self.word.push(c);
        }
    }

    fn end_word(&mut self) {
        self.apostrophe_pending = false;
        if self.word.is_empty() {
            return;
        }
        self.words += 1;
        match self.counts.get_mut(&self.word) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(self.word.clone(), 1);
            }
        }
        self.word.clear();
    }

    /// Takes what it can of `data` and returns how many bytes that was: all of
    /// it, but for a character that is cut off at the end.
    fn bytes(&mut self, data: &[u8]) -> usize {
        let mut done = 0;
        loop {
            match std::str::from_utf8(&data[done..]) {
                Ok(text) => {
                    self.text(text);
                    return data.len();
                }
                Err(error) => {
                    let good = done + error.valid_up_to();
                    if let Ok(text) = std::str::from_utf8(&data[done..good]) {
                        self.text(text);
                    }
                    match error.error_len() {
                        Some(bad) => {
                            self.end_word();
                            done = good + bad;
                        }
                        None => return good,
                    }
                }
            }
        }
    }

    fn read(&mut self, input: &mut dyn Read) -> io::Result<()> {
        let mut buffer = vec![0u8; CHUNK];
        let mut kept = 0;
        loop {
            let got = match input.read(&mut buffer[kept..]) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let fresh = &buffer[kept..kept + got];
            self.bytes += got as u64;
            self.lines += fresh.iter().filter(|&&b| b == b'\n').count() as u64;
            self.ends_in_newline = fresh[got - 1] == b'\n';

            let filled = kept + got;
            let used = self.bytes(&buffer[..filled]);
            buffer.copy_within(used..filled, 0);
            kept = filled - used;
        }
        self.end_word();
        if self.bytes > 0 && !self.ends_in_newline {
            self.lines += 1;
        }
        Ok(())
    }

    /// Words are letters, digits and apostrophes: nothing to escape.
    fn json(&self) -> String {
        let mut ranked: Vec<(&String, &u64)> = self.counts.iter().collect();
        // The map is in word order and the sort is stable.
        ranked.sort_by(|a, b| b.1.cmp(a.1));
        ranked.truncate(TOP);

        let mut out = String::from("{\"lines\":");
        out.push_str(&self.lines.to_string());
        out.push_str(",\"words\":");
        out.push_str(&self.words.to_string());
        out.push_str(",\"bytes\":");
        out.push_str(&self.bytes.to_string());
        out.push_str(",\"top\":[");
        for (i, (word, count)) in ranked.into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            out.push_str("[\"");
            out.push_str(word);
            out.push_str("\",");
            out.push_str(&count.to_string());
            out.push(']');
        }
        out.push_str("]}\n");
        out
    }
}

fn main() -> ExitCode {
    let mut counter = Counter::default();
    let mut stdout = io::stdout();
    let result = counter
        .read(&mut io::stdin().lock())
        .and_then(|()| stdout.write_all(counter.json().as_bytes()))
        .and_then(|()| stdout.flush());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => {
            let _ = io::stderr().write_all(b"wordcount: cannot read stdin or write stdout\n");
            ExitCode::FAILURE
        }
    }
}
