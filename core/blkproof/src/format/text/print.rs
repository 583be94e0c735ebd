//! The printer: every value in its one canonical form.

use blkproof_spec::{ByteRange, Content};

use super::super::scenario::{Action, CacheSize, Look, MadeBy, Op, Scenario, Setup, Stated, Step};
use super::parse::{CACHE, LOOK, MADE_BY};
use super::{HEADER, VERSION};
use crate::text::print::words::{Words, name, number};
use crate::text::print::{fault, power, title};
use crate::text::table::{FORMAT, word};

pub(super) fn scenario(scenario: &Scenario) -> String {
    let mut lines = vec![format!("{HEADER} {VERSION}")];
    if let Some(text) = &scenario.title {
        lines.push(line(|out| title(out, text)));
    }
    if let Stated::Fail(property) = scenario.outcome {
        lines.push(format!("expect fail {property}"));
    }
    let setup = &scenario.setup;
    lines.push(line(|out| image(out, setup)));
    if let Some(base) = setup.base {
        let format = word(FORMAT, &base.format);
        lines.push(format!("base {} {format}", number(base.size.0)));
    }
    if setup.look != Look::End {
        lines.push(format!("look {}", word(LOOK, &setup.look)));
    }
    for rule in &setup.rules {
        lines.push(line(|out| {
            out.word("at-open");
            fault::rule(out, rule);
        }));
    }
    lines.extend(scenario.steps.iter().map(step));
    lines.push(String::new());
    lines.join("\n")
}

fn line(write: impl FnOnce(&mut Words)) -> String {
    let mut out = Words::default();
    write(&mut out);
    out.into_string()
}

fn image(out: &mut Words, setup: &Setup) {
    let default = Setup::default();
    out.word("image");
    out.word(number(setup.size.0));
    if setup.cluster != default.cluster {
        out.option("cluster", number(setup.cluster.0));
    }
    if setup.refcount_bits != default.refcount_bits {
        out.option("refcount-bits", setup.refcount_bits);
    }
    if setup.made_by != MadeBy::Library {
        out.option("made-by", word(MADE_BY, &setup.made_by));
    }
    if setup.align != default.align {
        out.option("align", number(setup.align));
    }
    if setup.cache != CacheSize::Default {
        out.option("cache", word(CACHE, &setup.cache));
    }
}

pub(super) fn step(step: &Step) -> String {
    line(|out| {
        out.word(match &step.action {
            Action::LiftAll => "lift-all",
            action => action.keyword(),
        });
        match &step.action {
            Action::Request(op) => request(out, op),
            Action::Install(rule) => fault::rule(out, rule),
            Action::Lift(rule) => out.word(name(rule.as_str())),
            Action::Kill(at) => power::moment(out, *at),
            Action::PowerCut(cut) => power::cut(out, cut),
            Action::Reopen | Action::LiftAll => {}
        }
        out.flag("retry", step.retry);
    })
}

fn request(out: &mut Words, op: &Op) {
    match op {
        Op::Read(range) | Op::WriteZeroes(range) | Op::Discard(range) => bytes(out, *range),
        Op::Write { range, content } => {
            bytes(out, *range);
            match content {
                Content::Fill(byte) => out.option("fill", format!("{byte:#04x}")),
                Content::Stamp => out.word("stamp"),
            }
        }
        Op::Resize(size) => out.word(number(size.0)),
        Op::Flush | Op::Sync | Op::DropCaches => {}
    }
}

fn bytes(out: &mut Words, range: ByteRange) {
    out.range(range);
}
