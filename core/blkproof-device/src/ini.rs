//! QEMU's configuration files for `blkdebug`, read and written.
//!
//! ```text
//! # comment
//! [inject-error]
//! event = "read_aio"
//! state = "2"
//! errno = "5"
//! once = "on"
//!
//! [set-state]
//! event = "flush_to_disk"
//! new_state = "2"
//! ```
//!
//! A group is one rule. The language is the one that QEMU reads, which is a narrow one: a group
//! begins in the first column, without blanks behind its bracket; a key ends at a blank; a line of
//! nothing but blanks is an error. What stands behind a group or a value is ignored. Numbers are
//! decimal, hexadecimal with `0x` or octal with `0`; switches are `on`, `yes`, `true`, `y` and
//! their opposites. A key that stands twice in a group counts once, with its last value. A group
//! may carry an id (`[set-state "a"]`), which means nothing, but may not come twice.
//!
//! Two things are refused here that QEMU takes: numbers of which it would keep the low bits only,
//! and files of more than 1 MiB.

mod error;
mod line;

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use blkproof_spec::fault::{Event, InjectError, IoType, IoTypes, Rule};
use blkproof_spec::{Errno, SectorNumber};

pub use error::{IniError, IniProblem};
use line::{Line, Text};

const INJECT_KEYS: &[&str] = &[
    "event",
    "state",
    "iotype",
    "errno",
    "sector",
    "once",
    "immediately",
];
const SET_STATE_KEYS: &[&str] = &["event", "state", "new_state"];

/// The names of the groups, with their keys.
const GROUPS: &[(&str, &[&str])] = &[("inject-error", INJECT_KEYS), ("set-state", SET_STATE_KEYS)];

/// The key of a group's id.
const ID: &str = "id";

/// The first sector whose bytes have no 63-bit offset.
const SECTORS: u64 = 1 << 54;

/// Reads a configuration file.
///
/// # Errors
///
/// What QEMU refuses, with its place; any bytes may come in.
pub fn parse(input: &[u8]) -> Result<Vec<Rule>, IniError> {
    error::bounded(input)?;
    let mut rules = Rules::default();
    let mut group: Option<Group<'_>> = None;
    for piece in line::pieces(input) {
        match line::parse(piece)? {
            Line::Empty => {}
            Line::Group { name, id } => {
                if let Some(done) = group.replace(Group::new(name, id)?) {
                    rules.add(&done)?;
                }
            }
            Line::Value { key, value } => match &mut group {
                Some(group) => group.set(key, value)?,
                None => return Err(outside(key)),
            },
        }
    }
    if let Some(done) = group {
        rules.add(&done)?;
    }
    Ok(rules.list)
}

/// Returns the error of a line that belongs to no group.
fn outside(key: Text<'_>) -> IniError {
    misplaced(key).unwrap_or_else(|| key.error(IniProblem::NoGroup))
}

/// Returns the error of what would be something other than a key in another place.
fn misplaced(key: Text<'_>) -> Option<IniError> {
    let expected = match key.bytes() {
        [b'[', ..] => "a group in square brackets, from the first column on",
        [b'#', ..] => "a comment from the first column on",
        key if key.contains(&b'=') => "a key, a blank, and '=' with a value in double quotes",
        _ => return None,
    };
    Some(key.unexpected(expected))
}

/// The rules that were read, and the ids of their groups.
#[derive(Default)]
struct Rules<'a> {
    list: Vec<Rule>,
    ids: BTreeSet<(&'static str, &'a [u8])>,
}

impl<'a> Rules<'a> {
    fn add(&mut self, group: &Group<'a>) -> Result<(), IniError> {
        if let Some(id) = group.value(ID)? {
            id.id()?;
            if !self.ids.insert((group.kind, id.bytes())) {
                let found = id.shown();
                let group = group.kind.into();
                return Err(id.error(IniProblem::DuplicateId { group, found }));
            }
        }
        self.list.push(group.rule()?);
        Ok(())
    }
}

/// A group that is being read: its keys, each with the last value that it was given.
struct Group<'a> {
    name: Text<'a>,
    kind: &'static str,
    keys: &'static [&'static str],
    values: BTreeMap<&'static str, Result<Text<'a>, IniError>>,
}

impl<'a> Group<'a> {
    fn new(name: Text<'a>, id: Option<Text<'a>>) -> Result<Self, IniError> {
        let known = GROUPS
            .iter()
            .find(|(known, _)| known.as_bytes() == name.bytes());
        let Some((kind, keys)) = known else {
            return Err(no_group(name));
        };
        Ok(Self {
            name,
            kind,
            keys,
            values: id.map(|id| (ID, Ok(id))).into_iter().collect(),
        })
    }

    /// Takes in a line of the group.
    fn set(&mut self, key: Text<'a>, value: Result<Text<'a>, IniError>) -> Result<(), IniError> {
        let mut known = self.keys.iter().chain(&[ID]);
        let Some(known) = known.find(|known| known.as_bytes() == key.bytes()) else {
            return Err(misplaced(key).unwrap_or_else(|| self.no_key(key)));
        };
        self.values.insert(known, value);
        Ok(())
    }

    fn no_key(&self, key: Text<'_>) -> IniError {
        let found = key.shown();
        key.error(IniProblem::UnknownKey {
            group: self.kind.into(),
            nearest: error::nearest(&found, self.keys.iter().copied()),
            found,
        })
    }

    /// Returns the last value of a key.
    fn value(&self, key: &str) -> Result<Option<Text<'a>>, IniError> {
        self.values.get(key).cloned().transpose()
    }

    /// Returns the last value of a key as what it means, or what that is without one.
    fn read<T>(
        &self,
        key: &str,
        usual: T,
        read: impl Fn(Text<'a>) -> Result<T, IniError>,
    ) -> Result<T, IniError> {
        self.value(key)?.map_or(Ok(usual), read)
    }

    /// Returns the rule that the group is.
    fn rule(&self) -> Result<Rule, IniError> {
        let Some(value) = self.value("event")? else {
            let group = self.kind.into();
            return Err(self.name.error(IniProblem::MissingEvent { group }));
        };
        let event = event(value)?;
        let usual = InjectError::new(event);
        let from = self.read("state", usual.state, state)?;
        if self.keys == SET_STATE_KEYS {
            return Ok(Rule::SetState {
                event,
                state: from,
                new_state: self.read("new_state", 0, state)?,
            });
        }
        Ok(Rule::InjectError(InjectError {
            event,
            state: from,
            iotypes: self.read("iotype", usual.iotypes, io_type)?,
            errno: self.read("errno", usual.errno, errno)?,
            sector: self.read("sector", usual.sector, sector)?,
            once: self.read("once", usual.once, Text::switch)?,
            immediately: self.read("immediately", usual.immediately, Text::switch)?,
        }))
    }
}

/// Returns the error of a group whose name is none.
fn no_group(name: Text<'_>) -> IniError {
    let found = name.shown();
    if found.ends_with('\n') {
        return name.unexpected("the name of a group and ']'");
    }
    let is_known = |word: &str| GROUPS.iter().any(|(known, _)| *known == word);
    if is_known(found.trim()) {
        return name.unexpected("the name of a group without blanks around it");
    }
    let known = GROUPS.iter().map(|(known, _)| *known);
    name.error(IniProblem::UnknownGroup {
        nearest: error::nearest(&found, known),
        found,
    })
}

fn event(value: Text<'_>) -> Result<Event, IniError> {
    let names = Event::ALL.iter().map(|event| event.name());
    let event = Event::from_name(&value.shown());
    event.ok_or_else(|| value.unknown("the name of a blkdebug event", names))
}

fn io_type(value: Text<'_>) -> Result<IoTypes, IniError> {
    let names = IoType::ALL.iter().map(|kind| kind.name());
    let kind = IoType::from_name(&value.shown()).map(IoTypes::only);
    kind.ok_or_else(|| {
        value.unknown(
            "read, write, write-zeroes, discard, flush or block-status",
            names,
        )
    })
}

/// Reads a number that has to fit, where QEMU would keep its low bits.
fn fitting<N: TryFrom<i128>>(value: Text<'_>, expected: &'static str) -> Result<N, IniError> {
    let fits = N::try_from(value.number(expected)?).ok();
    fits.ok_or_else(|| value.unknown(expected, core::iter::empty()))
}

fn state(value: Text<'_>) -> Result<u32, IniError> {
    fitting(value, "a state from 0 to 4294967295")
}

/// Reads an error number; 0 stands for none.
fn errno(value: Text<'_>) -> Result<Option<Errno>, IniError> {
    let number = fitting(value, "an error number from 0 to 65535")?;
    Ok((number != 0).then_some(Errno(number)))
}

/// Reads a sector's number; -1, in any spelling, stands for any.
fn sector(value: Text<'_>) -> Result<Option<SectorNumber>, IniError> {
    let expected = "the number of a sector below 18014398509481984, or -1";
    match value.number(expected)? {
        -1 => Ok(None),
        number if number == i128::from(u64::MAX) => Ok(None),
        number => {
            let number = u64::try_from(number)
                .ok()
                .filter(|number| *number < SECTORS);
            let number = number.ok_or_else(|| value.unknown(expected, core::iter::empty()))?;
            Ok(Some(SectorNumber(number)))
        }
    }
}

/// Writes rules as a configuration file that QEMU reads, or returns the position of the first that
/// its syntax cannot say: a breakpoint, an extended rule, a choice of several kinds of request, or
/// a sector behind all that there can be.
pub fn print(rules: &[Rule]) -> Result<String, usize> {
    let mut text = String::new();
    for (index, rule) in rules.iter().enumerate() {
        let values = match rule {
            Rule::SetState {
                event,
                state,
                new_state,
            } => set_state_values(*event, *state, *new_state),
            Rule::InjectError(inject) => inject_values(inject).ok_or(index)?,
            Rule::Break { .. } | Rule::Extended(_) => return Err(index),
        };
        let group = match rule {
            Rule::SetState { .. } => "set-state",
            _ => "inject-error",
        };
        let gap = if index == 0 { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{gap}[{group}]");
        for (key, value) in values {
            let _ = writeln!(text, "{key} = \"{value}\"");
        }
    }
    Ok(text)
}

type Values = Vec<(&'static str, String)>;

fn set_state_values(event: Event, state: u32, new_state: u32) -> Values {
    let mut values = vec![("event", event.to_string())];
    if state != 0 {
        values.push(("state", state.to_string()));
    }
    values.push(("new_state", new_state.to_string()));
    values
}

/// Returns the values of an error rule that differ from what they are when they are not said.
fn inject_values(inject: &InjectError) -> Option<Values> {
    let usual = InjectError::new(inject.event);
    let mut values = vec![("event", inject.event.to_string())];
    if inject.state != usual.state {
        values.push(("state", inject.state.to_string()));
    }
    if inject.iotypes != usual.iotypes {
        let mut kinds = inject.iotypes.iter();
        values.push(("iotype", kinds.next()?.to_string()));
        if kinds.next().is_some() {
            return None;
        }
    }
    if inject.errno != usual.errno {
        let number = inject.errno.map_or(0, |errno| errno.0);
        values.push(("errno", number.to_string()));
    }
    if let Some(sector) = inject.sector {
        if sector.0 >= SECTORS {
            return None;
        }
        values.push(("sector", sector.to_string()));
    }
    for (key, on) in [("once", inject.once), ("immediately", inject.immediately)] {
        if on {
            values.push((key, "on".into()));
        }
    }
    Some(values)
}
