//! Losses of power.

use blkproof_spec::power::{Lost, Moment, Rest, Torn};
use blkproof_spec::{ByteRange, ImageName, PowerCut};

use super::super::args::Args;
use super::super::lex::{Value, atom};
use super::super::table;
use super::Parsed;
use super::fault::{byte_range, kept};

const LOST: &str = "what is lost: all, none, from(N), only(N), worst, reordered, some(N), \
    these(IMAGE:START+LEN,...)";

/// Reads when something strikes.
pub(crate) fn moment(args: &mut Args<'_>) -> Parsed<Option<Moment>> {
    args.parsed("at", |value| counted(value).map(Moment))
}

pub(crate) fn cut(args: &mut Args<'_>) -> Parsed<PowerCut> {
    let lost = args.required("lost", lost)?;
    let torn = match args.parsed("torn", kept)? {
        None => None,
        Some(kept) => Some(Torn {
            kept,
            unit: args
                .parsed("unit", |value| value.one_of(table::TORN_UNIT))?
                .unwrap_or_default(),
            rest: if args.flag("garbage") {
                Rest::Garbage
            } else {
                Rest::Old
            },
        }),
    };
    let at = moment(args)?;
    Ok(PowerCut { lost, torn, at })
}

fn counted(value: Value<'_>) -> Parsed<u64> {
    let expected = "a number from 1 on";
    match value.number(expected)? {
        0 => Err(value.problem(expected)),
        number => Ok(number),
    }
}

fn lost(value: Value<'_>) -> Parsed<Lost> {
    let (word, argument) = value.call()?;
    match (word, argument) {
        ("all", None) => Ok(Lost::All),
        ("none", None) => Ok(Lost::None),
        ("worst", None) => Ok(Lost::Worst),
        ("reordered", None) => Ok(Lost::Reordered),
        ("from", Some(number)) => counted(number).map(Lost::From),
        ("only", Some(number)) => counted(number).map(Lost::Only),
        ("some", Some(number)) => number.number("a number").map(Lost::Some),
        ("these", Some(list)) => {
            let parts = list.list().into_iter();
            parts.map(place).collect::<Parsed<_>>().map(Lost::These)
        }
        _ => {
            let words = [
                "all",
                "none",
                "from(N)",
                "only(N)",
                "worst",
                "reordered",
                "some(N)",
                "these()",
            ];
            Err(value.problem(LOST).nearest(value.text, words))
        }
    }
}

/// Reads `IMAGE:START+LEN`.
fn place(value: Value<'_>) -> Parsed<(ImageName, ByteRange)> {
    let front = atom(value, "bytes of an image: IMAGE:START+LEN")?;
    if !front.rest.text.starts_with(':') {
        return Err(front.rest.problem("`:` and a range such as 1M+64k"));
    }
    let range = byte_range(front.rest.skip(1))?;
    Ok((ImageName::new(&front.text), range))
}
