//! Values read from words: names, sizes, bytes, durations and the rest.

use blkproof_spec::fault::{Event, IoTypes};
use blkproof_spec::step::{Expect, Reference};
use blkproof_spec::{
    At, BitmapName, ByteRange, Errno, ImageName, IoType, JobName, JobState, Layer, Length, Millis,
    Name, Place, Refusal,
};

use super::diagnostic::Problem;
use super::lex::{PLAIN_NAMES, Value, atom};
use super::table::Table;

type Parsed<T> = Result<T, Problem>;

const SUFFIXES: [(char, u32); 4] = [('k', 10), ('M', 20), ('G', 30), ('T', 40)];

impl<'a> Value<'a> {
    /// Reads a name that fills the whole value.
    pub(crate) fn name(self, expected: &str) -> Parsed<Name> {
        let atom = atom(self, expected)?;
        if !atom.rest.text.is_empty() {
            return Err(atom.rest.problem("a blank").help(PLAIN_NAMES));
        }
        match side_suffix(&atom.text) {
            Some(suffix) if !atom.quoted => Err(self.problem(expected).help(format!(
                "`{suffix}` names a side of a disk; a name that ends so stands in double quotes"
            ))),
            _ => Ok(Name::new(&atom.text)),
        }
    }

    pub(crate) fn image(self) -> Parsed<ImageName> {
        self.name("the name of a disk or image")
            .map(|name| ImageName::new(name.as_str()))
    }

    pub(crate) fn bitmap(self) -> Parsed<BitmapName> {
        self.name("the name of a bitmap")
            .map(|name| BitmapName::new(name.as_str()))
    }

    pub(crate) fn job(self) -> Parsed<JobName> {
        self.name("the id of a job")
            .map(|name| JobName::new(name.as_str()))
    }

    /// Reads `drive0` (the device) or `drive0.node` (the node).
    pub(crate) fn at(self) -> Parsed<At> {
        let (at, rest) = self.at_front()?;
        rest.must_be_empty("a blank")?;
        Ok(at)
    }

    fn at_front(self) -> Parsed<(At, Value<'a>)> {
        let expected = "a disk, such as drive0, or drive0.node for its node";
        let atom = atom(self, expected)?;
        if atom.quoted {
            let name = ImageName::new(&atom.text);
            return Ok(match atom.rest.text.strip_prefix(".node") {
                Some(_) => (At::Node(name), atom.rest.skip(".node".len())),
                None => (At::Device(name), atom.rest),
            });
        }
        if atom.text.ends_with(".file") {
            return Err(self
                .problem(expected)
                .help("`.file` is a place of faults, not a disk"));
        }
        Ok(match atom.text.strip_suffix(".node") {
            Some(name) => (At::Node(ImageName::new(name)), atom.rest),
            None => (At::Device(ImageName::new(&atom.text)), atom.rest),
        })
    }

    /// Reads `drive0.file` (below the format) or `drive0` (above it).
    pub(crate) fn place(self) -> Parsed<Place> {
        let expected = "a place of faults: drive0.file below the format, drive0 above it";
        let atom = atom(self, expected)?;
        let (image, layer) = if atom.quoted {
            match atom.rest.text {
                "" => (ImageName::new(&atom.text), Layer::Format),
                ".file" => (ImageName::new(&atom.text), Layer::File),
                _ => return Err(atom.rest.problem("`.file` or a blank")),
            }
        } else {
            atom.rest.must_be_empty("a blank")?;
            if atom.text.ends_with(".node") {
                return Err(self.problem(expected));
            }
            match atom.text.strip_suffix(".file") {
                Some(name) => (ImageName::new(name), Layer::File),
                None => (ImageName::new(&atom.text), Layer::Format),
            }
        };
        Ok(Place { image, layer })
    }

    fn must_be_empty(self, expected: &str) -> Parsed<()> {
        match self.text {
            "" => Ok(()),
            _ => Err(self.problem(expected)),
        }
    }

    /// Reads `IMAGE` or `DISK@JOB`.
    pub(crate) fn reference(self) -> Parsed<Reference> {
        let atom = atom(self, "a disk or image, or DISK@JOB for what a job backs up")?;
        if atom.rest.text.is_empty() {
            return Ok(Reference::Now(self.image()?));
        }
        if !atom.rest.text.starts_with('@') {
            return Err(atom.rest.problem("`@` and a job, or a blank"));
        }
        Ok(Reference::Point {
            disk: ImageName::new(&atom.text),
            job: atom.rest.skip(1).job()?,
        })
    }

    /// Reads `BITMAP` or `DISK:BITMAP`.
    pub(crate) fn merge_source(self) -> Parsed<(Option<At>, BitmapName)> {
        let front = atom(self, "a bitmap, or DISK:BITMAP")?;
        if front.rest.text.is_empty() {
            return Ok((None, self.bitmap()?));
        }
        let (at, rest) = self.at_front()?;
        if !rest.text.starts_with(':') {
            return Err(rest.problem("`:` and a bitmap, or a comma"));
        }
        Ok((Some(at), rest.skip(1).bitmap()?))
    }

    /// Splits at commas outside quotes; an empty value has no parts.
    pub(crate) fn list(self) -> Vec<Value<'a>> {
        let mut parts = Vec::new();
        let (mut from, mut quoted, mut escaped) = (0, false, false);
        for (index, c) in self.text.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                ',' if !quoted => {
                    parts.push(self.part(from, index));
                    from = index + 1;
                }
                _ => {}
            }
        }
        if !self.text.is_empty() {
            parts.push(self.part(from, self.text.len()));
        }
        parts
    }

    fn part(self, from: usize, to: usize) -> Value<'a> {
        Value {
            text: &self.text[from..to],
            start: self.start + from,
        }
    }

    /// Reads a number, decimal or hexadecimal (`0x`), with an optional suffix k, M, G or T.
    pub(crate) fn number(self, expected: &str) -> Parsed<u64> {
        parse_number(self.text).ok_or_else(|| self.problem(expected))
    }

    pub(crate) fn size(self) -> Parsed<Length> {
        self.number("a size such as 512, 64k, 1M or 0x200")
            .map(Length)
    }

    /// Reads a number of bytes per second, which may be negative.
    pub(crate) fn speed(self) -> Parsed<i64> {
        self.signed("a speed in bytes per second, such as 64k")
    }

    /// Reads a number that may be negative.
    pub(crate) fn signed(self, expected: &str) -> Parsed<i64> {
        let (negative, digits) = match self.text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, self.text),
        };
        let magnitude = parse_number(digits).ok_or_else(|| self.problem(expected))?;
        let signed = if negative {
            0_i64.checked_sub_unsigned(magnitude)
        } else {
            0_i64.checked_add_unsigned(magnitude)
        };
        signed.ok_or_else(|| self.problem(expected))
    }

    pub(crate) fn int(self, expected: &str) -> Parsed<u32> {
        let number = self.number(expected)?;
        u32::try_from(number).map_err(|_| self.problem(expected))
    }

    pub(crate) fn byte(self) -> Parsed<u8> {
        let expected = "a byte from 0 to 255, such as 0x41";
        let number = self.number(expected)?;
        u8::try_from(number).map_err(|_| self.problem(expected))
    }

    /// Reads `500ms` or `2s`.
    pub(crate) fn duration(self) -> Parsed<Millis> {
        let problem = || self.problem("a duration such as 500ms or 2s");
        let (digits, factor) = match self.text.strip_suffix("ms") {
            Some(digits) => (digits, 1),
            None => (self.text.strip_suffix('s').ok_or_else(problem)?, 1000),
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Millis)
            .ok_or_else(problem)
    }

    pub(crate) fn errno(self) -> Parsed<Errno> {
        if let Some(errno) = Errno::from_name(self.text) {
            return Ok(errno);
        }
        let number = parse_number(self.text)
            .and_then(|number| u16::try_from(number).ok())
            .filter(|number| *number > 0);
        number.map(Errno).ok_or_else(|| {
            self.problem("an error such as EIO or 5")
                .nearest(self.text, Errno::names())
        })
    }

    /// Reads an error, or `none`.
    pub(crate) fn optional_errno(self) -> Parsed<Option<Errno>> {
        match self.text {
            "none" | "0" => Ok(None),
            _ => self.errno().map(Some),
        }
    }

    pub(crate) fn event(self) -> Parsed<Event> {
        Event::from_name(self.text).ok_or_else(|| {
            self.problem("an event of blkdebug, such as read_aio")
                .nearest(self.text, Event::ALL.iter().map(|event| event.name()))
        })
    }

    /// Reads a list of request kinds, or `none`.
    pub(crate) fn iotypes(self) -> Parsed<IoTypes> {
        if self.text == "none" {
            return Ok(IoTypes::NONE);
        }
        self.list()
            .into_iter()
            .try_fold(IoTypes::NONE, |all, part| {
                let kind = IoType::from_name(part.text).ok_or_else(|| {
                    part.problem("kinds of requests, such as read,write")
                        .nearest(part.text, IoType::ALL.iter().map(|kind| kind.name()))
                })?;
                Ok(all.with(kind))
            })
    }

    pub(crate) fn job_state(self) -> Parsed<JobState> {
        let known = JobState::ALL.iter().find(|state| state.name() == self.text);
        known.copied().ok_or_else(|| {
            self.problem("the state of a job, such as running")
                .nearest(self.text, JobState::ALL.iter().map(|state| state.name()))
        })
    }

    /// Reads a word of `table`.
    pub(crate) fn one_of<T: Copy>(self, table: Table<T>) -> Parsed<T> {
        let known = table.iter().find(|(word, _)| *word == self.text);
        known.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = table.iter().map(|(word, _)| *word).collect();
            self.problem(format!("one of {}", words.join(", ")))
                .nearest(self.text, words)
        })
    }

    /// Reads `WORD(ARGUMENTS)`: the word, and the arguments where there are parentheses.
    pub(crate) fn call(self) -> Parsed<(&'a str, Option<Value<'a>>)> {
        let Some(open) = self.text.find('(') else {
            return Ok((self.text, None));
        };
        if !self.text.ends_with(')') {
            return Err(self.problem("a closing parenthesis"));
        }
        Ok((
            &self.text[..open],
            Some(self.part(open + 1, self.text.len() - 1)),
        ))
    }

    /// Reads how a step must be answered.
    pub(crate) fn expect(self) -> Parsed<Expect> {
        let (word, argument) = self.call()?;
        match (word, argument) {
            ("done", None) => Ok(Expect::Done),
            ("pending", None) => Ok(Expect::Pending),
            ("cut", None) => Ok(Expect::Cut),
            ("any", None) => Ok(Expect::Any),
            ("refused", None) => Ok(Expect::Refused(None)),
            ("refused", Some(why)) => why.refusal().map(|why| Expect::Refused(Some(why))),
            ("failed", None) => Ok(Expect::Failed(None)),
            ("failed", Some(errno)) => errno.errno().map(|errno| Expect::Failed(Some(errno))),
            _ => {
                let words = [
                    "done",
                    "refused",
                    "refused(WHY)",
                    "failed",
                    "failed(EIO)",
                    "pending",
                    "cut",
                    "any",
                ];
                Err(self
                    .problem(format!("one of {}", words.join(", ")))
                    .nearest(self.text, words))
            }
        }
    }

    fn refusal(self) -> Parsed<Refusal> {
        Refusal::from_word(self.text).ok_or_else(|| {
            self.problem("a reason to refuse, such as no-such-device")
                .nearest(self.text, Refusal::ALL.iter().map(|why| why.word()))
        })
    }
}

/// Reads a start and a length.
pub(crate) fn range(start: Value<'_>, len: Value<'_>) -> Parsed<ByteRange> {
    let from = start.number("a position such as 0, 512 or 16M")?;
    let bytes = len.number("a length such as 512 or 64k")?;
    ByteRange::checked(from, bytes).ok_or_else(|| len.problem("a length that ends below 2^64"))
}

fn side_suffix(name: &str) -> Option<&'static str> {
    [".node", ".file"]
        .into_iter()
        .find(|suffix| name.ends_with(suffix))
}

fn parse_number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x") {
        let all_digits = digits.chars().all(|c| c.is_ascii_hexdigit());
        return all_digits.then(|| u64::from_str_radix(digits, 16).ok())?;
    }
    let suffix = SUFFIXES
        .iter()
        .find(|(suffix, _)| text.ends_with(*suffix) || (*suffix == 'k' && text.ends_with('K')));
    let (digits, shift) = match suffix {
        Some((_, shift)) => (&text[..text.len() - 1], *shift),
        None => (text, 0),
    };
    let all_digits = digits.chars().all(|c| c.is_ascii_digit());
    let number: u64 = all_digits.then(|| digits.parse().ok())??;
    number.checked_mul(1 << shift)
}

/// Returns the shortest way to write `number`: with the largest suffix that divides it.
pub(crate) fn print_number(number: u64) -> String {
    let suffix = SUFFIXES
        .iter()
        .rev()
        .find(|(_, shift)| number != 0 && number.trailing_zeros() >= *shift);
    match suffix {
        Some((suffix, shift)) => format!("{}{suffix}", number >> shift),
        None => number.to_string(),
    }
}
