//! The control socket: one command a line, in the words of the scenario language.

use core::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use blkproof::text;
use blkproof_device::IoError;
use blkproof_qemu::nbd::DirtyBitmap;
use blkproof_spec::power::PowerCut;
use blkproof_spec::step::{Action, At, BitmapCommand, BitmapStep, Step};
use blkproof_spec::{ByteRange, FaultRule, ImageName, IoType, Length, Tag};

use super::hub::{Hub, Loss};
use super::{GRANULARITY, rules};

/// The longest line that is read.
const LINE_MAX: u64 = 16 << 10;

/// How long `wait-for` waits.
const PATIENCE: Duration = Duration::from_secs(30);

const HELP: &str = "\
fault PLACE RULE        install a rule; PLACE is NAME.file, or NAME for above the format
lift NAME, lift-all     remove rules, and let go on what they hold
tick TIME               let virtual time pass, which delays are counted in
wait-for TAG            wait until a request is suspended under the tag, 30 s at most
resume TAG              let the requests that are suspended under it go on
power-cut lost=HOW      cut the power, now or at=N operations from now; all connections end
kill                    the same, but nothing is lost that was written
resize NAME SIZE        change the size; clients see it when they connect anew
bitmap VERB NAME BITMAP add, remove, clear, enable, disable
undurable               the bytes that a power cut may lose: START+LEN a line
pending                 the operations that are not durable: NUMBER KIND START+LEN a line
rules                   every rule there was: matched, fired, whether it is there, and the rule
firings                 what rules did since this was asked last
counters                how many requests of each kind came to the disk
suspended               the tags under which requests are suspended
bitmaps                 NAME GRANULARITY DIRTY-BYTES enabled|disabled a line
size, connections, time, operations
quit                    end the server
";

/// Serves a connection of the control socket to its end.
pub(crate) fn serve(hub: &Hub, stream: &UnixStream) {
    // Whichever way it ends, there is nobody left to be told.
    let _ = answer_all(hub, stream);
}

fn answer_all(hub: &Hub, mut stream: &UnixStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() as u64 == LINE_MAX && line.last() != Some(&b'\n') {
            return stream.write_all(b"error: the line is too long\n");
        }
        let Ok(text) = core::str::from_utf8(&line) else {
            stream.write_all(b"error: expected UTF-8\n")?;
            continue;
        };
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let reply = match answer(hub, text) {
            Ok(data) => format!("{data}ok\n"),
            Err(why) => format!("error: {}\n", why.replace('\n', "; ")),
        };
        stream.write_all(reply.as_bytes())?;
        if text == "quit" {
            hub.stop();
            return Ok(());
        }
    }
}

/// Does what a line says, and returns what it asks for.
fn answer(hub: &Hub, line: &str) -> Result<String, String> {
    if let Some(asked) = asked(hub, line) {
        return Ok(asked);
    }
    obey(hub, rules::command(line)?)?;
    Ok(String::new())
}

/// Returns what a line asks for, if it does.
fn asked(hub: &Hub, line: &str) -> Option<String> {
    let export = hub.export();
    let store = export.store();
    Some(match line {
        "help" => HELP.to_owned(),
        "quit" => String::new(),
        "size" => format!("{}\n", export.size()),
        "connections" => format!("{}\n", hub.connections()),
        "time" => format!("{}ms\n", store.now()),
        "operations" => format!("{}\n", store.operations()),
        "undurable" => lines(store.undurable(export.name()), |range| span(*range)),
        "pending" => lines(store.pending(), |(_, pending)| {
            let kind = pending.kind.map_or("resize", IoType::name);
            format!("{} {kind} {}", pending.number, span(pending.range))
        }),
        "rules" => lines(store.rule_counts(), |count| {
            let rule = text::describe(&Step::new(Action::Install(count.rule.clone())));
            let there = if count.live { "live" } else { "gone" };
            let (matched, fired) = (count.matched, count.fired);
            format!("matched={matched} fired={fired} {there} {rule}")
        }),
        "firings" => firings(hub),
        "counters" => counters(hub),
        "suspended" => {
            let mut tags = Vec::new();
            store.suspended(&mut tags);
            lines(tags, |tag| tag.to_string())
        }
        "bitmaps" => lines(export.bitmaps(), |bitmap| {
            let (name, granularity, count) = (bitmap.name(), bitmap.granularity(), bitmap.count());
            let state = if bitmap.is_enabled() {
                "enabled"
            } else {
                "disabled"
            };
            format!("{name} {granularity} {count} {state}")
        }),
        _ => return None,
    })
}

fn firings(hub: &Hub) -> String {
    let mut firings = Vec::new();
    hub.export().store().drain_ledger(&mut firings);
    lines(firings, |firing| {
        let name = firing.name.as_ref();
        let name = name.map_or(String::new(), |name| format!(" name={name}"));
        let errno = firing.errno;
        let errno = errno.map_or(String::new(), |errno| format!(" errno={errno}"));
        format!(
            "{} {} {}{name}{errno}",
            firing.place,
            firing.kind,
            span(firing.range)
        )
    })
}

fn counters(hub: &Hub) -> String {
    let export = hub.export();
    // The device is there for as long as the export is.
    let Ok(counters) = export.store().counters(export.name()) else {
        return String::new();
    };
    lines(IoType::ALL, |kind| {
        format!("{kind} {}", counters.of(**kind))
    })
}

/// Joins a line for each item.
fn lines<T>(items: impl IntoIterator<Item = T>, line: impl Fn(&T) -> String) -> String {
    items.into_iter().fold(String::new(), |mut all, item| {
        // Nothing fails that writes to a string.
        let _ = writeln!(all, "{}", line(&item));
        all
    })
}

/// Writes a range as the language has it.
fn span(range: ByteRange) -> String {
    format!("{}+{}", range.start, range.len)
}

/// Does what a step says.
fn obey(hub: &Hub, action: Action) -> Result<(), String> {
    let store = hub.export().store();
    match action {
        Action::Install(rule) => install(hub, &rule)?,
        Action::Lift(name) => {
            if !store.lift(&name) {
                return Err(format!("there is no rule '{name}'"));
            }
        }
        Action::LiftAll => store.lift_all(),
        Action::Tick(span) => store.tick(span),
        Action::WaitFor(tag) => return wait_for(hub, &tag),
        Action::ResumeTag(tag) => {
            if !store.resume(&tag) {
                return Err(format!("no request is suspended under '{tag}'"));
            }
        }
        Action::PowerCut(cut) => cut_power(hub, cut)?,
        Action::Kill { at: None } => hub.lose(&Loss::Kill),
        Action::Kill { at: Some(moment) } => {
            check_cached(hub)?;
            hub.plan(Loss::Kill, moment.0);
        }
        Action::Resize { at, size } => resize(hub, &at, size)?,
        Action::Bitmap(step) => bitmap(hub, &step)?,
        _ => return Err("this is for scenarios; `help` lists what can be done here".to_owned()),
    }
    hub.move_on();
    Ok(())
}

fn install(hub: &Hub, rule: &FaultRule) -> Result<(), String> {
    check_disk(hub, &rule.place.image)?;
    hub.export().store().install(rule);
    Ok(())
}

fn check_disk(hub: &Hub, named: &ImageName) -> Result<(), String> {
    let name = hub.export().name();
    if named == name {
        return Ok(());
    }
    Err(format!("the disk is called {name}, not {named}"))
}

fn check_cached(hub: &Hub) -> Result<(), String> {
    if hub.limits().cached {
        return Ok(());
    }
    Err("everything is durable at once: serve it with --cache volatile".to_owned())
}

fn wait_for(hub: &Hub, tag: &Tag) -> Result<(), String> {
    let store = hub.export().store();
    if hub.wait_until(PATIENCE, || store.is_suspended(tag)) {
        return Ok(());
    }
    Err(format!("no request was suspended under '{tag}'"))
}

fn cut_power(hub: &Hub, mut cut: PowerCut) -> Result<(), String> {
    check_cached(hub)?;
    match cut.at.take() {
        Some(moment) => hub.plan(Loss::Cut(cut), moment.0),
        None => hub.lose(&Loss::Cut(cut)),
    }
    Ok(())
}

fn resize(hub: &Hub, at: &At, size: Length) -> Result<(), String> {
    check_disk(hub, at.name())?;
    let resized = hub.export().resize(size);
    resized.map_err(|error| match error {
        IoError::Failed(errno) => format!("it failed with {errno}"),
        IoError::Wait(_) => "it would have to wait".to_owned(),
    })
}

fn bitmap(hub: &Hub, step: &BitmapStep) -> Result<(), String> {
    check_disk(hub, step.at.name())?;
    let (export, name) = (hub.export(), step.name.as_str());
    let done = match &step.command {
        BitmapCommand::Add {
            persistent: true, ..
        } => return Err("nothing persists here".to_owned()),
        BitmapCommand::Add {
            granularity,
            disabled,
            ..
        } => DirtyBitmap::new(
            name,
            granularity.map_or(GRANULARITY, |len| len.0),
            !disabled,
        )
        .and_then(|bitmap| export.add_bitmap(bitmap)),
        BitmapCommand::Remove => export.remove_bitmap(name),
        BitmapCommand::Clear => export.with_bitmap(name, DirtyBitmap::clear),
        BitmapCommand::Enable => export.with_bitmap(name, |one| one.set_enabled(true)),
        BitmapCommand::Disable => export.with_bitmap(name, |one| one.set_enabled(false)),
        BitmapCommand::Merge { .. } => return Err("bitmaps cannot be merged here".to_owned()),
    };
    done.map_err(|error| error.to_string())
}
