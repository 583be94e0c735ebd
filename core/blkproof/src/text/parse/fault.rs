//! Fault rules.

use blkproof_spec::fault::{Effect, Event, Extended, InjectError, IoTypes, Kept, Rule, When};
use blkproof_spec::{ByteRange, FaultRule, RuleName, SectorNumber, Tag};

use super::super::args::Args;
use super::super::lex::Value;
use super::super::table;
use super::super::value::range;
use super::Parsed;

/// The kinds of rules.
const KINDS: [&str; 14] = [
    "set-state",
    "inject-error",
    "break",
    "error",
    "delay",
    "partial",
    "torn",
    "applied-but-failed",
    "misdirected",
    "phantom",
    "lying-flush",
    "bit-rot",
    "stale-read",
    "capacity",
];

/// Reads a rule behind its first word: the place, the kind, and what belongs to it.
pub(crate) fn rule(args: &mut Args<'_>) -> Parsed<FaultRule> {
    let expected = "a place of faults: drive0.file below the format, drive0 above it";
    let place = args.take(expected)?.place()?;
    let kind = args.take("a fault, such as inject-error")?;
    let rule = match kind.text {
        "set-state" => Rule::SetState {
            event: args.required("event", Value::event)?,
            state: state(args)?,
            new_state: args.required("new-state", |value| value.int("a state, such as 2"))?,
        },
        "inject-error" => Rule::InjectError(inject_error(args)?),
        "break" => Rule::Break {
            event: args.required("event", Value::event)?,
            tag: args
                .required("tag", |value| value.name("a tag"))
                .map(|tag| Tag::new(tag.as_str()))?,
        },
        _ => Rule::Extended(extended(kind, args)?),
    };
    let name = args.parsed("name", |value| value.name("the name of the rule"))?;
    Ok(FaultRule {
        name: name.map(|name| RuleName::new(name.as_str())),
        place,
        rule,
    })
}

fn state(args: &mut Args<'_>) -> Parsed<u32> {
    let state = args.parsed("state", |value| value.int("a state, such as 1"))?;
    Ok(state.unwrap_or(0))
}

fn inject_error(args: &mut Args<'_>) -> Parsed<InjectError> {
    let event: Event = args.required("event", Value::event)?;
    let defaults = InjectError::new(event);
    let sector = args.parsed("sector", |value| value.number("a sector's number"))?;
    Ok(InjectError {
        event,
        state: state(args)?,
        iotypes: iotypes(args)?,
        errno: args
            .parsed("errno", Value::optional_errno)?
            .unwrap_or(defaults.errno),
        sector: sector.map(SectorNumber),
        once: args.flag("once"),
        immediately: args.flag("immediately"),
    })
}

fn iotypes(args: &mut Args<'_>) -> Parsed<IoTypes> {
    let iotypes = args.parsed("iotype", Value::iotypes)?;
    Ok(iotypes.unwrap_or(IoTypes::ALL_BUT_BLOCK_STATUS))
}

fn extended(kind: Value<'_>, args: &mut Args<'_>) -> Parsed<Extended> {
    let effect = effect(kind, args)?;
    let when = args.parsed("when", when)?;
    Ok(Extended {
        iotypes: iotypes(args)?,
        range: args.parsed("range", byte_range)?,
        when: when.unwrap_or(When::Always),
        effect,
    })
}

fn effect(kind: Value<'_>, args: &mut Args<'_>) -> Parsed<Effect> {
    let bytes = |value: Value<'_>| value.size().map(|size| size.0);
    let seed = |value: Value<'_>| value.number("a seed");
    Ok(match kind.text {
        "error" => Effect::Error(args.required("errno", Value::errno)?),
        "delay" => Effect::Delay(args.required("for", Value::duration)?),
        "partial" => Effect::Partial {
            bytes: args.required("bytes", bytes)?,
            errno: args.required("errno", Value::errno)?,
        },
        "torn" => Effect::Torn {
            kept: args.required("keep", kept)?,
            errno: args.required("errno", Value::errno)?,
        },
        "applied-but-failed" => Effect::AppliedButFailed(args.required("errno", Value::errno)?),
        "misdirected" => Effect::Misdirected {
            by: args.required("by", |value| {
                value.signed("a number of bytes, such as -64k")
            })?,
        },
        "phantom" => Effect::Phantom,
        "lying-flush" => Effect::LyingFlush,
        "bit-rot" => Effect::BitRot {
            seed: args.required("seed", seed)?,
        },
        "stale-read" => Effect::StaleRead,
        "capacity" => Effect::Capacity {
            bytes: args.required("bytes", bytes)?,
        },
        other => {
            return Err(kind
                .problem("a fault, such as inject-error")
                .nearest(other, KINDS));
        }
    })
}

/// Reads which units of something torn are kept.
pub(super) fn kept(value: Value<'_>) -> Parsed<Kept> {
    match value.call()? {
        ("some", Some(seed)) => seed.number("a seed").map(Kept::Some),
        _ => value
            .one_of(table::KEPT)
            .map_err(|problem| problem.help("or `some(SEED)`, by chance")),
    }
}

fn when(value: Value<'_>) -> Parsed<When> {
    let expected = "one of always, nth(N), from(N), every(N), chance(SEED,PER-MILLION)";
    let (word, argument) = value.call()?;
    let Some(argument) = argument else {
        return match word {
            "always" => Ok(When::Always),
            _ => Err(value
                .problem(expected)
                .nearest(word, ["always", "nth(N)", "from(N)", "every(N)"])),
        };
    };
    let number = |value: Value<'_>| value.number("a number from 1 on");
    match word {
        "nth" => number(argument).map(When::Nth),
        "from" => number(argument).map(When::From),
        "every" => number(argument).map(When::Every),
        "chance" => match argument.list()[..] {
            [seed, per_million] => Ok(When::Chance {
                seed: seed.number("a seed")?,
                per_million: per_million.int("a number of millionths")?,
            }),
            _ => Err(argument.problem("SEED,PER-MILLION")),
        },
        _ => Err(value
            .problem(expected)
            .nearest(word, ["nth", "from", "every", "chance"])),
    }
}

/// Reads `START+LENGTH`.
pub(super) fn byte_range(value: Value<'_>) -> Parsed<ByteRange> {
    let Some(plus) = value.text.find('+') else {
        return Err(value.problem("a range such as 1M+64k: 64k from 1M on"));
    };
    let start = Value {
        text: &value.text[..plus],
        start: value.start,
    };
    range(start, value.skip(plus + 1))
}
