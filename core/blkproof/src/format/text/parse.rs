//! The parser: one line at a time, going on behind errors.

use blkproof_spec::fault::Rule;
use blkproof_spec::{ByteRange, FaultRule, Layer, Length};

use super::super::outcome::Property;
use super::super::scenario::{
    Action, BASE, Base, CacheSize, FILE, Look, MadeBy, Op, Scenario, Stated, Step,
};
use super::{HEADER, SIZE_MAX, VERSION};
use crate::text::MAX_STEPS;
use crate::text::args::Args;
use crate::text::diagnostic::{Diagnostic, Diagnostics, MAX_DIAGNOSTICS, Problem};
use crate::text::lex::{Value, lex};
use crate::text::parse::setup::{once, size, title, title_text};
use crate::text::parse::step::{content, rule_name};
use crate::text::parse::{Parsed, Place, check_length, checked, fault, lines, power};
use crate::text::table::{FORMAT, Table};
use crate::text::value::range;

pub(super) const MADE_BY: Table<MadeBy> =
    &[("library", MadeBy::Library), ("qemu-img", MadeBy::QemuImg)];

pub(super) const CACHE: Table<CacheSize> =
    &[("default", CacheSize::Default), ("small", CacheSize::Small)];

pub(super) const LOOK: Table<Look> = &[("end", Look::End), ("every-step", Look::EveryStep)];

const SETUP: [&str; 6] = ["title", "expect", "image", "base", "look", "at-open"];

/// The words that begin a step.
pub(in crate::format) const STEPS: [&str; 14] = [
    "read",
    "write",
    "write-zeroes",
    "discard",
    "flush",
    "sync",
    "resize",
    "drop-caches",
    "reopen",
    "fault",
    "lift",
    "lift-all",
    "kill",
    "power-cut",
];

#[derive(Default)]
struct Parser {
    scenario: Scenario,
    header: bool,
    title: bool,
    outcome: bool,
    image: bool,
    base: bool,
    look: bool,
}

pub(super) fn parse(text: &[u8]) -> Result<Scenario, Diagnostics> {
    let text = checked(text)?;
    let mut parser = Parser::default();
    let (mut list, mut more): (Vec<Diagnostic>, usize) = (Vec::new(), 0);
    for place in lines(text) {
        if let Err(problem) = parser.line(place) {
            if list.len() < MAX_DIAGNOSTICS {
                list.push(problem.on(place.number, place.text, place.start));
            } else {
                more += 1;
            }
            if !parser.header {
                break;
            }
        }
    }
    if list.is_empty()
        && let Some(problem) = parser.missing()
    {
        let number = lines(text).count() + 1;
        list.push(problem.on(u32::try_from(number).unwrap_or(u32::MAX), "", text.len()));
    }
    if list.is_empty() {
        return Ok(parser.scenario);
    }
    Err(Diagnostics { list, more })
}

impl Parser {
    /// Tells what a whole text lacks.
    fn missing(&self) -> Option<Problem> {
        let expected = if !self.header {
            format!("`{HEADER} {VERSION}`, the first line of a scenario")
        } else if !self.image {
            "`image SIZE`: what is opened".to_owned()
        } else {
            return None;
        };
        Some(Problem::at_end(0, expected).found("the end of the text"))
    }

    fn line(&mut self, place: Place<'_>) -> Parsed<()> {
        check_length(place.text)?;
        if let Some(title) = self.header.then(|| title(place.text)).flatten() {
            once(&mut self.title, title)?;
            self.scenario.title = Some(title_text(title)?);
            return Ok(());
        }
        let words = lex(place.text)?.words;
        let Some(first) = words.first().copied() else {
            return Ok(());
        };
        let mut args = Args::new(words, place.text.len());
        if !self.header {
            self.header(&mut args)?;
        } else if SETUP.contains(&first.text) {
            self.setup(first, &mut args)?;
        } else {
            self.step(first, &mut args)?;
        }
        args.finish()
    }

    fn header(&mut self, args: &mut Args<'_>) -> Parsed<()> {
        let expected = format!("`{HEADER} {VERSION}`, the first line of a scenario");
        let word = args.take(&expected)?;
        if word.text != HEADER {
            return Err(word.problem(expected));
        }
        let version = args.take("a version")?;
        if version.int("the version of the language")? != VERSION {
            return Err(version.problem(format!("version {VERSION}")));
        }
        self.header = true;
        Ok(())
    }

    fn setup(&mut self, first: Value<'_>, args: &mut Args<'_>) -> Parsed<()> {
        if !self.scenario.steps.is_empty() {
            return Err(first
                .problem("a step")
                .help("what is set up stands before the first step"));
        }
        args.take("a line of the setup")?;
        let setup = &mut self.scenario.setup;
        match first.text {
            "expect" => {
                once(&mut self.outcome, first)?;
                self.scenario.outcome = stated(args)?;
            }
            "image" => {
                once(&mut self.image, first)?;
                setup.size = image_size(args.take("the size of the image")?)?;
                image(setup, args)?;
            }
            "base" => {
                once(&mut self.base, first)?;
                setup.base = Some(Base {
                    size: image_size(args.take("the size of the base")?)?,
                    format: args.take("its format")?.one_of(FORMAT)?,
                });
            }
            "look" => {
                once(&mut self.look, first)?;
                setup.look = args.take("when all is read")?.one_of(LOOK)?;
            }
            _ => {
                let rule = rule(first, args)?;
                setup.rules.push(rule);
            }
        }
        Ok(())
    }

    fn step(&mut self, first: Value<'_>, args: &mut Args<'_>) -> Parsed<()> {
        if self.scenario.steps.len() >= MAX_STEPS {
            return Err(first.problem(format!("at most {MAX_STEPS} steps")));
        }
        args.take("a step")?;
        let action = action(first, args)?;
        let retry = matches!(action, Action::Request(_)) && args.flag("retry");
        self.scenario.steps.push(Step { action, retry });
        Ok(())
    }
}

fn stated(args: &mut Args<'_>) -> Parsed<Stated> {
    let word = args.take("`pass` or `fail PROPERTY`")?;
    match word.text {
        "pass" => Ok(Stated::Pass),
        "fail" => {
            let name = args.take("the property that fails")?;
            let known = Property::ALL.iter().map(|property| property.name());
            let property = Property::from_name(name.text);
            let unknown = || name.problem("a property").nearest(name.text, known);
            property.map(Stated::Fail).ok_or_else(unknown)
        }
        other => Err(word
            .problem("`pass` or `fail PROPERTY`")
            .nearest(other, ["pass", "fail"])),
    }
}

fn image_size(value: Value<'_>) -> Parsed<Length> {
    let size = size(value)?;
    if size.0 == 0 || size.0 > SIZE_MAX {
        return Err(value.problem("a size from 512 to 64M: all of it is read again and again"));
    }
    Ok(size)
}

fn power_of_two(value: Value<'_>, low: u64, high: u64, expected: &str) -> Parsed<u64> {
    let number = value.number(expected)?;
    if !number.is_power_of_two() || number < low || number > high {
        return Err(value.problem(expected));
    }
    Ok(number)
}

fn image(setup: &mut super::super::scenario::Setup, args: &mut Args<'_>) -> Parsed<()> {
    let cluster = |value| power_of_two(value, 512, 2 << 20, "a power of two from 512 to 2M");
    if let Some(cluster) = args.parsed("cluster", cluster)? {
        setup.cluster = Length(cluster);
    }
    let bits = |value| power_of_two(value, 1, 64, "a power of two from 1 to 64");
    if let Some(bits) = args.parsed("refcount-bits", bits)? {
        setup.refcount_bits = u32::try_from(bits).unwrap_or(16);
    }
    if let Some(made_by) = args.parsed("made-by", |value| value.one_of(MADE_BY))? {
        setup.made_by = made_by;
    }
    let align = |value| power_of_two(value, 1, 4096, "a power of two from 1 to 4k");
    if let Some(align) = args.parsed("align", align)? {
        setup.align = align;
    }
    if let Some(cache) = args.parsed("cache", |value| value.one_of(CACHE))? {
        setup.cache = cache;
    }
    Ok(())
}

/// Reads a rule, which has to be one that no request waits for and every library can notice.
fn rule(first: Value<'_>, args: &mut Args<'_>) -> Parsed<FaultRule> {
    let rule = fault::rule(args)?;
    let is_place =
        rule.place.layer == Layer::File && [FILE, BASE].contains(&rule.place.image.as_str());
    if !is_place {
        return Err(first
            .problem("a fault below the image")
            .help(format!("its places are {FILE}.file and {BASE}.file")));
    }
    if rule.rule.verdict() != blkproof_spec::fault::Verdict::Reported
        || !matches!(rule.rule, Rule::Extended(_))
    {
        return Err(first
            .problem("a fault that is reported")
            .help("one of error, partial, torn, applied-but-failed, capacity"));
    }
    Ok(rule)
}

fn action(first: Value<'_>, args: &mut Args<'_>) -> Parsed<Action> {
    Ok(match first.text {
        "read" => Action::Request(Op::Read(bytes(args)?)),
        "write" => Action::Request(Op::Write {
            range: bytes(args)?,
            content: content(args)?,
        }),
        "write-zeroes" => Action::Request(Op::WriteZeroes(bytes(args)?)),
        "discard" => Action::Request(Op::Discard(bytes(args)?)),
        "flush" => Action::Request(Op::Flush),
        "sync" => Action::Request(Op::Sync),
        "resize" => Action::Request(Op::Resize(image_size(args.take("the new size")?)?)),
        "drop-caches" => Action::Request(Op::DropCaches),
        "reopen" => Action::Reopen,
        "fault" => Action::Install(rule(first, args)?),
        "lift" => Action::Lift(rule_name(args)?),
        "lift-all" => Action::LiftAll,
        "kill" => Action::Kill(power::moment(args)?),
        "power-cut" => Action::PowerCut(power::cut(args)?),
        other => {
            let known = STEPS.into_iter().chain(SETUP);
            return Err(first.problem("a step").nearest(other, known));
        }
    })
}

fn bytes(args: &mut Args<'_>) -> Parsed<ByteRange> {
    let start = args.take("where")?;
    let len = args.take("how many bytes")?;
    let range = range(start, len)?;
    if range.is_empty() || range.end() > SIZE_MAX {
        return Err(len.problem("a range within the image"));
    }
    Ok(range)
}
