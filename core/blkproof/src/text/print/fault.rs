//! Fault rules.

use blkproof_spec::fault::{Effect, Extended, InjectError, IoTypes, Kept, Rule, When};
use blkproof_spec::{FaultRule, Layer};

use super::super::table;
use super::step::{duration, signed};
use super::words::{Words, errno, name, number};

pub(crate) fn rule(out: &mut Words, rule: &FaultRule) {
    let image = name(rule.place.image.as_str());
    out.word(match rule.place.layer {
        Layer::File => format!("{image}.file"),
        Layer::Format => image,
    });
    match &rule.rule {
        Rule::SetState {
            event,
            state,
            new_state,
        } => {
            out.word("set-state");
            out.option("event", event);
            in_state(out, *state);
            out.option("new-state", new_state);
        }
        Rule::InjectError(inject) => inject_error(out, inject),
        Rule::Break { event, tag } => {
            out.word("break");
            out.option("event", event);
            out.option("tag", name(tag.as_str()));
        }
        Rule::Extended(rule) => extended(out, rule),
    }
    out.maybe("name", rule.name.as_ref().map(|rule| name(rule.as_str())));
}

fn in_state(out: &mut Words, state: u32) {
    if state != 0 {
        out.option("state", state);
    }
}

fn inject_error(out: &mut Words, inject: &InjectError) {
    out.word("inject-error");
    out.option("event", inject.event);
    in_state(out, inject.state);
    iotypes(out, inject.iotypes);
    out.option("errno", errno(inject.errno));
    out.maybe("sector", inject.sector.map(|sector| number(sector.0)));
    out.flag("once", inject.once);
    out.flag("immediately", inject.immediately);
}

fn iotypes(out: &mut Words, iotypes: IoTypes) {
    if iotypes == IoTypes::ALL_BUT_BLOCK_STATUS {
        return;
    }
    let names: Vec<_> = iotypes.iter().map(|kind| kind.name()).collect();
    if names.is_empty() {
        out.option("iotype", "none");
    } else {
        out.option("iotype", names.join(","));
    }
}

fn extended(out: &mut Words, rule: &Extended) {
    effect(out, &rule.effect);
    iotypes(out, rule.iotypes);
    let range = rule.range;
    out.maybe(
        "range",
        range.map(|range| format!("{}+{}", number(range.start), number(range.len))),
    );
    match rule.when {
        When::Always => {}
        When::Nth(n) => out.option("when", format!("nth({n})")),
        When::From(n) => out.option("when", format!("from({n})")),
        When::Every(n) => out.option("when", format!("every({n})")),
        When::Chance { seed, per_million } => {
            out.option("when", format!("chance({seed},{per_million})"));
        }
    }
}

fn effect(out: &mut Words, effect: &Effect) {
    match effect {
        Effect::Error(error) => {
            out.word("error");
            out.option("errno", error);
        }
        Effect::Delay(time) => {
            out.word("delay");
            out.option("for", duration(*time));
        }
        Effect::Partial { bytes, errno } => {
            out.word("partial");
            out.option("bytes", number(*bytes));
            out.option("errno", errno);
        }
        Effect::Torn { kept, errno } => {
            out.word("torn");
            out.option("keep", self::kept(*kept));
            out.option("errno", errno);
        }
        Effect::AppliedButFailed(error) => {
            out.word("applied-but-failed");
            out.option("errno", error);
        }
        Effect::Misdirected { by } => {
            out.word("misdirected");
            out.option("by", signed(*by));
        }
        Effect::Phantom => out.word("phantom"),
        Effect::LyingFlush => out.word("lying-flush"),
        Effect::BitRot { seed } => {
            out.word("bit-rot");
            out.option("seed", seed);
        }
        Effect::StaleRead => out.word("stale-read"),
        Effect::Capacity { bytes } => {
            out.word("capacity");
            out.option("bytes", number(*bytes));
        }
    }
}

/// Returns which units of something torn are kept.
pub(super) fn kept(kept: Kept) -> String {
    match kept {
        Kept::Some(seed) => format!("some({seed})"),
        kept => table::word(table::KEPT, &kept).to_owned(),
    }
}
