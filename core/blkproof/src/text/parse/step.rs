//! The steps: guest requests, bitmaps, images, jobs, time and power.

use blkproof_spec::content::Content;
use blkproof_spec::step::{
    Action, BitmapCommand, BitmapStep, Create, GuestOp, JobVerb, TransactionAction, Work,
};
use blkproof_spec::{Geometry, RequestId, RuleName, Tag, Units};

use super::super::args::Args;
use super::super::lex::Value;
use super::super::table;
use super::super::value::range;
use super::{Parsed, backup, check, fault, power, setup};

type Reader = fn(&mut Args<'_>) -> Parsed<Action>;

/// The words that begin a step, in the order in which `SCENARIO.md` explains them.
const STEPS: &[(&str, Reader)] = &[
    ("write", guest_step),
    ("write-zeroes", guest_step),
    ("discard", guest_step),
    ("read", guest_step),
    ("flush", guest_step),
    ("start", start),
    ("settle", settle),
    ("advance-request", advance_request),
    ("resize", resize),
    ("bitmap", bitmap_step),
    ("create", create),
    ("rebase", rebase),
    ("remove", remove),
    ("backup", backup::backup_step),
    ("job", job),
    ("advance", advance),
    ("finish", finish),
    ("tick", tick),
    ("fault", install),
    ("lift", lift),
    ("lift-all", lift_all),
    ("wait-for", wait_for),
    ("resume", resume),
    ("restart", restart),
    ("kill", kill),
    ("power-cut", power_cut),
    ("check", check::check),
];

/// Reads a step up to its options.
pub(super) fn action(args: &mut Args<'_>) -> Parsed<Action> {
    let Some(word) = args.peek() else {
        return Err(args.missing("a step"));
    };
    match STEPS.iter().find(|(known, _)| *known == word.text) {
        Some((_, read)) => read(args),
        None => {
            let steps = STEPS.iter().map(|(known, _)| *known);
            let known = steps.chain(setup::WORDS).chain(["transaction"]);
            Err(word.problem("a step").nearest(word.text, known))
        }
    }
}

/// Reads an action of a transaction.
pub(super) fn transaction_action(args: &mut Args<'_>) -> Parsed<TransactionAction> {
    let expected = "`abort`, `bitmap`, `backup` or `end`";
    let word = args.take(expected)?;
    match word.text {
        "abort" => Ok(TransactionAction::Abort),
        "bitmap" => bitmap(args).map(TransactionAction::Bitmap),
        "backup" => backup::backup(args).map(|backup| TransactionAction::Backup(Box::new(backup))),
        other => Err(word
            .problem(expected)
            .nearest(other, ["abort", "bitmap", "backup", "end"])),
    }
}

fn guest_step(args: &mut Args<'_>) -> Parsed<Action> {
    let (at, op) = guest(args)?;
    Ok(Action::Guest { at, op })
}

fn start(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`start`")?;
    let request = request(args)?;
    let (at, op) = guest(args)?;
    Ok(Action::Start { request, at, op })
}

const GUEST: [&str; 5] = ["write", "write-zeroes", "discard", "read", "flush"];

fn guest(args: &mut Args<'_>) -> Parsed<(blkproof_spec::At, GuestOp)> {
    let word = args.take("a guest request, such as write")?;
    if !GUEST.contains(&word.text) {
        return Err(word
            .problem("a guest request: write, write-zeroes, discard, read or flush")
            .nearest(word.text, GUEST));
    }
    let at = args.take("a disk")?.at()?;
    if word.text == "flush" {
        return Ok((at, GuestOp::Flush));
    }
    let start = args.take("a position such as 0 or 16M")?;
    let range = range(start, args.take("a length such as 512 or 64k")?)?;
    let op = match word.text {
        "write" => GuestOp::Write {
            range,
            content: content(args)?,
            fua: args.flag("fua"),
            compressed: args.flag("compressed"),
        },
        "write-zeroes" => GuestOp::WriteZeroes {
            range,
            unmap: args.flag("unmap"),
        },
        "discard" => GuestOp::Discard { range },
        _ => GuestOp::Read { range },
    };
    Ok((at, op))
}

pub(crate) fn content(args: &mut Args<'_>) -> Parsed<Content> {
    if args.flag("stamp") {
        return Ok(Content::Stamp);
    }
    let expected = "what is written: `fill=BYTE` or `stamp`";
    if args.peek().is_none() {
        return Err(args.missing(expected));
    }
    args.required("fill", Value::byte).map(Content::Fill)
}

fn request(args: &mut Args<'_>) -> Parsed<RequestId> {
    let name = args
        .take("the name of a request")?
        .name("the name of a request")?;
    Ok(RequestId::new(name.as_str()))
}

fn settle(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`settle`")?;
    let request = request(args)?;
    Ok(Action::Settle { request })
}

fn advance_request(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`advance-request`")?;
    let work = Work::Request(request(args)?);
    units(args).map(|units| Action::Advance { work, units })
}

fn advance(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`advance`")?;
    let work = Work::Job(args.take("the id of a job")?.job()?);
    units(args).map(|units| Action::Advance { work, units })
}

fn units(args: &mut Args<'_>) -> Parsed<Units> {
    let expected = "a number of units of work";
    args.take(expected)?.number(expected).map(Units)
}

fn resize(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`resize`")?;
    Ok(Action::Resize {
        at: args.take("a disk")?.at()?,
        size: args.take("a size such as 65M")?.size()?,
    })
}

fn bitmap_step(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`bitmap`")?;
    bitmap(args).map(Action::Bitmap)
}

fn bitmap(args: &mut Args<'_>) -> Parsed<BitmapStep> {
    let words = ["add", "remove", "clear", "enable", "disable", "merge"];
    let expected = "one of add, remove, clear, enable, disable, merge";
    let word = args.take(expected)?;
    if !words.contains(&word.text) {
        return Err(word.problem(expected).nearest(word.text, words));
    }
    let at = args.take("a disk")?.at()?;
    let name = args.take("the name of a bitmap")?.bitmap()?;
    let command = match word.text {
        "add" => BitmapCommand::Add {
            granularity: args.parsed("granularity", Value::size)?,
            persistent: args.flag("persistent"),
            disabled: args.flag("disabled"),
        },
        "remove" => BitmapCommand::Remove,
        "clear" => BitmapCommand::Clear,
        "enable" => BitmapCommand::Enable,
        "disable" => BitmapCommand::Disable,
        _ => BitmapCommand::Merge {
            sources: args.required("from", |value| {
                value.list().into_iter().map(Value::merge_source).collect()
            })?,
        },
    };
    Ok(BitmapStep { at, name, command })
}

fn create(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`create`")?;
    let image = args.take("the name of the new image")?.image()?;
    let expected = "a size such as 64M, or a format: qcow2 or raw";
    let has_size = args
        .peek()
        .is_some_and(|word| word.text.starts_with(|c: char| c.is_ascii_digit()));
    let size = if has_size {
        Some(args.take(expected)?.size()?)
    } else {
        None
    };
    let format = args.take("`qcow2` or `raw`")?.one_of(table::FORMAT)?;
    let cluster = args.parsed("cluster", Value::size)?;
    Ok(Action::Create(Create {
        image,
        size,
        format,
        cluster: cluster.unwrap_or(Geometry::DEFAULT_CLUSTER),
        backing: args.parsed("backing", Value::image)?,
    }))
}

fn rebase(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`rebase`")?;
    let image = args.take("the name of an image")?.image()?;
    let backing = if args.flag("no-backing") {
        None
    } else {
        if args.peek().is_none() {
            return Err(args.missing("`backing=IMAGE` or `no-backing`"));
        }
        Some(args.required("backing", Value::image)?)
    };
    Ok(Action::Rebase { image, backing })
}

fn remove(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`remove`")?;
    let image = args.take("the name of an image")?.image()?;
    Ok(Action::Remove { image })
}

fn job(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`job`")?;
    let words = [
        "pause",
        "resume",
        "cancel",
        "complete",
        "finalize",
        "dismiss",
        "set-speed",
    ];
    let expected = "one of pause, resume, cancel, complete, finalize, dismiss, set-speed";
    let word = args.take(expected)?;
    if !words.contains(&word.text) {
        return Err(word.problem(expected).nearest(word.text, words));
    }
    let job = args.take("the id of a job")?.job()?;
    let verb = match word.text {
        "pause" => JobVerb::Pause,
        "resume" => JobVerb::Resume,
        "cancel" => JobVerb::Cancel {
            force: args.flag("force"),
        },
        "complete" => JobVerb::Complete,
        "finalize" => JobVerb::Finalize,
        "dismiss" => JobVerb::Dismiss,
        _ => JobVerb::SetSpeed(args.take("a speed in bytes per second")?.speed()?),
    };
    Ok(Action::Job { job, verb })
}

fn finish(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`finish`")?;
    let job = args.take("the id of a job")?.job()?;
    Ok(Action::Finish { job })
}

fn tick(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`tick`")?;
    args.take("a duration such as 500ms")?
        .duration()
        .map(Action::Tick)
}

fn install(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`fault`")?;
    fault::rule(args).map(Action::Install)
}

fn lift(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`lift`")?;
    rule_name(args).map(Action::Lift)
}

pub(crate) fn rule_name(args: &mut Args<'_>) -> Parsed<RuleName> {
    let name = args
        .take("the name of a rule")?
        .name("the name of a rule")?;
    Ok(RuleName::new(name.as_str()))
}

fn lift_all(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`lift-all`").map(|_| Action::LiftAll)
}

fn tag(args: &mut Args<'_>) -> Parsed<Tag> {
    let name = args.take("a tag")?.name("a tag")?;
    Ok(Tag::new(name.as_str()))
}

fn wait_for(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`wait-for`")?;
    tag(args).map(Action::WaitFor)
}

fn resume(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`resume`")?;
    tag(args).map(Action::ResumeTag)
}

fn restart(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`restart`").map(|_| Action::Restart)
}

fn kill(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`kill`")?;
    let at = power::moment(args)?;
    Ok(Action::Kill { at })
}

fn power_cut(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`power-cut`")?;
    power::cut(args).map(Action::PowerCut)
}
