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
//! A group is one rule. Numbers are decimal, hexadecimal with `0x` or octal with `0`; switches are
//! `on`, `yes`, `true`, `y` and their opposites. A key that stands twice in a group counts once,
//! with its last value. A group may carry an id (`[set-state "a"]`), which means nothing here. What
//! `qemu-io` ignores silently behind a value is an error here, unless it is a comment.

mod error;
mod line;

use core::fmt::Write as _;

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

/// Reads a configuration file.
pub fn parse(input: &[u8]) -> Result<Vec<Rule>, IniError> {
    let text = error::text(input)?;
    let mut rules = Vec::new();
    let mut group: Option<Group<'_>> = None;
    for (number, content) in text.lines().enumerate() {
        match line::parse(number, content)? {
            Line::Empty => {}
            Line::Group(name) => {
                if let Some(done) = group.replace(Group::new(name)?) {
                    rules.push(done.finish()?);
                }
            }
            Line::Value { key, value } => match &mut group {
                Some(group) => group.set(key, value)?,
                None => return Err(key.error(IniProblem::NoGroup)),
            },
        }
    }
    if let Some(done) = group {
        rules.push(done.finish()?);
    }
    Ok(rules)
}

/// A group that is being read. Which keys belong to which group is checked before they are set.
struct Group<'a> {
    name: Text<'a>,
    keys: &'static [&'static str],
    event: Option<Event>,
    new_state: u32,
    inject: InjectError,
}

impl<'a> Group<'a> {
    fn new(name: Text<'a>) -> Result<Self, IniError> {
        let known = GROUPS.iter().find(|(known, _)| *known == name.content);
        let Some((_, keys)) = known else {
            let known = GROUPS.iter().map(|(known, _)| *known);
            let problem = IniProblem::UnknownGroup {
                found: name.content.into(),
                nearest: error::nearest(name.content, known),
            };
            return Err(name.error(problem));
        };
        Ok(Self {
            name,
            keys,
            event: None,
            new_state: 0,
            inject: InjectError::new(Event::None),
        })
    }

    /// Takes in a line of the group.
    fn set(&mut self, key: Text<'a>, value: Text<'a>) -> Result<(), IniError> {
        if !self.keys.contains(&key.content) {
            let problem = IniProblem::UnknownKey {
                group: self.name.content.into(),
                found: key.content.into(),
                nearest: error::nearest(key.content, self.keys.iter().copied()),
            };
            return Err(key.error(problem));
        }
        let inject = &mut self.inject;
        match key.content {
            "event" => self.event = Some(event(value)?),
            "state" => inject.state = state(value)?,
            "new_state" => self.new_state = state(value)?,
            "iotype" => inject.iotypes = IoTypes::only(io_type(value)?),
            "errno" => inject.errno = errno(value)?,
            "sector" => inject.sector = sector(value)?,
            "once" => inject.once = value.switch()?,
            _ => inject.immediately = value.switch()?,
        }
        Ok(())
    }

    /// Returns the rule that the group is.
    fn finish(self) -> Result<Rule, IniError> {
        let Some(event) = self.event else {
            let group = self.name.content.into();
            return Err(self.name.error(IniProblem::MissingEvent { group }));
        };
        Ok(if self.keys == SET_STATE_KEYS {
            Rule::SetState {
                event,
                state: self.inject.state,
                new_state: self.new_state,
            }
        } else {
            Rule::InjectError(InjectError {
                event,
                ..self.inject
            })
        })
    }
}

fn event(value: Text<'_>) -> Result<Event, IniError> {
    let names = Event::ALL.iter().map(|event| event.name());
    Event::from_name(value.content)
        .ok_or_else(|| value.unknown("the name of a blkdebug event", names))
}

fn io_type(value: Text<'_>) -> Result<IoType, IniError> {
    let names = IoType::ALL.iter().map(|kind| kind.name());
    IoType::from_name(value.content).ok_or_else(|| {
        value.unknown(
            "read, write, write-zeroes, discard, flush or block-status",
            names,
        )
    })
}

fn state(value: Text<'_>) -> Result<u32, IniError> {
    value.number("a state from 0 to 4294967295")
}

/// Reads an error number; 0 stands for none.
fn errno(value: Text<'_>) -> Result<Option<Errno>, IniError> {
    let number = value.number("an error number from 0 to 65535")?;
    Ok((number != 0).then_some(Errno(number)))
}

/// Reads a sector's number; -1 stands for any.
fn sector(value: Text<'_>) -> Result<Option<SectorNumber>, IniError> {
    if value.content == "-1" {
        return Ok(None);
    }
    let number = value.number("the number of a sector, or -1")?;
    Ok(Some(SectorNumber(number)))
}

/// Writes rules as a configuration file that QEMU reads, or returns the position of the first that
/// its syntax cannot say: a breakpoint, an extended rule, or a choice of several kinds of request.
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
        values.push(("sector", sector.to_string()));
    }
    for (key, on) in [("once", inject.once), ("immediately", inject.immediately)] {
        if on {
            values.push((key, "on".into()));
        }
    }
    Some(values)
}
