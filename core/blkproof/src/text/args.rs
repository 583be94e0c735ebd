//! The words of a statement, taken in order, then by key.

use super::diagnostic::Problem;
use super::lex::Value;

/// The words of a statement. Positional words come first and are taken in order; options
/// (`key=value`) and flags follow in any order. What was asked for is remembered, so that an
/// unknown word can be answered with the nearest known one.
#[derive(Debug)]
pub(crate) struct Args<'a> {
    words: Vec<Value<'a>>,
    used: Vec<bool>,
    next: usize,
    known: Vec<&'static str>,
    line_len: usize,
}

impl<'a> Args<'a> {
    pub(crate) fn new(words: Vec<Value<'a>>, line_len: usize) -> Self {
        let used = vec![false; words.len()];
        Self {
            words,
            used,
            next: 0,
            known: Vec::new(),
            line_len,
        }
    }

    /// Returns the next word without taking it.
    pub(crate) fn peek(&self) -> Option<Value<'a>> {
        self.words.get(self.next).copied()
    }

    /// Returns the word `ahead` words behind the next one.
    pub(crate) fn peek_ahead(&self, ahead: usize) -> Option<Value<'a>> {
        self.words.get(self.next + ahead).copied()
    }

    /// Takes the next word, which is there for `expected`.
    pub(crate) fn take(&mut self, expected: &str) -> Result<Value<'a>, Problem> {
        let word = self.peek().ok_or_else(|| self.missing(expected))?;
        self.used[self.next] = true;
        self.next += 1;
        Ok(word)
    }

    /// Makes the error that the line ends where `expected` should stand.
    pub(crate) fn missing(&self, expected: &str) -> Problem {
        let end = self
            .words
            .last()
            .map_or(self.line_len, |word| word.start + word.text.len());
        Problem::at_end(end, expected)
    }

    /// Takes the value of the option `key`.
    pub(crate) fn option(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        for index in self.next..self.words.len() {
            match self.words[index].key_value() {
                Some((found, value)) if found == key && !self.used[index] => {
                    self.used[index] = true;
                    return Some(value);
                }
                _ => {}
            }
        }
        None
    }

    /// Takes the value of the option `key` and reads it.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(Value<'a>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        self.option(key).map(parse).transpose()
    }

    /// Takes the value of the option `key`, which must be there, and reads it.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(Value<'a>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        match self.option(key) {
            Some(value) => parse(value),
            None => Err(match self.first_unused() {
                Some(word) => self.unknown(word).help(format!("`{key}=` must be given")),
                None => self.missing(&format!("`{key}=`")),
            }),
        }
    }

    /// Takes the flag `word`.
    pub(crate) fn flag(&mut self, word: &'static str) -> bool {
        self.known.push(word);
        for index in self.next..self.words.len() {
            if self.words[index].text == word && !self.used[index] {
                self.used[index] = true;
                return true;
            }
        }
        false
    }

    /// Refuses words that nobody took.
    pub(crate) fn finish(&self) -> Result<(), Problem> {
        self.first_unused()
            .map_or(Ok(()), |word| Err(self.unknown(word)))
    }

    fn first_unused(&self) -> Option<Value<'a>> {
        let unused = self.used.iter().position(|used| !used)?;
        self.words.get(unused).copied()
    }

    fn unknown(&self, word: Value<'a>) -> Problem {
        let key = word.key_value().map_or(word.text, |(key, _)| key);
        let twice = self.known.contains(&key);
        if twice && self.was_taken(key) {
            return word
                .problem("the end of the line")
                .help(format!("`{key}` is given twice"));
        }
        if twice {
            let expected = if word.text.contains('=') {
                format!("`{key}` without a value")
            } else {
                format!("a value: `{key}=...`")
            };
            return word.problem(expected);
        }
        let expected = if self.known.is_empty() {
            "the end of the line"
        } else {
            "the end of the line or an option of this step"
        };
        word.problem(expected)
            .nearest(key, self.known.iter().copied())
    }

    fn was_taken(&self, key: &str) -> bool {
        let pairs = self.words.iter().zip(&self.used).skip(self.next);
        pairs.into_iter().any(|(word, used)| {
            *used && word.key_value().map_or(word.text, |(found, _)| found) == key
        })
    }
}
