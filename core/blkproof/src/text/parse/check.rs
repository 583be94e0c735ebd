//! Checks.

use blkproof_spec::ByteRange;
use blkproof_spec::step::{Action, BitmapPattern, Check, EventPattern, JobPattern};

use super::super::args::Args;
use super::super::lex::Value;
use super::super::table;
use super::{Parsed, fault};

const KINDS: [&str; 9] = [
    "allocated",
    "digest",
    "bitmap",
    "no-bitmap",
    "job",
    "no-jobs",
    "event",
    "no-events",
    "IMAGE == REFERENCE",
];

pub(super) fn check(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`check`")?;
    let expected = "what is checked, such as `inc0 == full1` or `no-jobs`";
    if args.peek_ahead(1).is_some_and(|word| word.text == "==") {
        return image(args).map(Action::Check);
    }
    let word = args.take(expected)?;
    let check = match word.text {
        "allocated" => allocated(args)?,
        "digest" => Check::Digest {
            image: args.take("the name of a disk or image")?.image()?,
            sha256: args.required("sha256", digest)?,
        },
        "bitmap" => bitmap(args)?,
        "no-bitmap" => Check::NoBitmap {
            at: args.take("a disk")?.at()?,
            name: args.take("the name of a bitmap")?.bitmap()?,
        },
        "job" => job(args)?,
        "no-jobs" => Check::NoJobs,
        "event" => event(args)?,
        "no-events" => Check::NoEvents,
        other => return Err(word.problem(expected).nearest(other, KINDS)),
    };
    Ok(Action::Check(check))
}

fn image(args: &mut Args<'_>) -> Parsed<Check> {
    let image = args.take("the name of an image")?.image()?;
    args.take("`==`")?;
    let equals = args.take("what the image must equal")?.reference()?;
    Ok(Check::Image { image, equals })
}

/// Reads the ranges of an image that are allocated; none, if there are none.
fn allocated(args: &mut Args<'_>) -> Parsed<Check> {
    let image = args.take("the name of an image")?.image()?;
    let mut ranges: Vec<ByteRange> = Vec::new();
    while let Some(word) = args.peek().filter(|word| word.key_value().is_none()) {
        let range = fault::byte_range(args.take("a range")?)?;
        let apart = ranges.last().is_none_or(|last| last.end() < range.start);
        if range.is_empty() || !apart {
            return Err(word.problem("a range that is not empty, apart from the one before it"));
        }
        ranges.push(range);
    }
    Ok(Check::Allocated { image, ranges })
}

fn digest(value: Value<'_>) -> Parsed<[u8; 32]> {
    let problem = || value.problem("a SHA-256: 64 hexadecimal digits");
    if value.text.len() != 64 || !value.text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(problem());
    }
    let mut out = [0; 32];
    for (index, byte) in out.iter_mut().enumerate() {
        let digits = &value.text[2 * index..2 * index + 2];
        *byte = u8::from_str_radix(digits, 16).map_err(|_| problem())?;
    }
    Ok(out)
}

fn bitmap(args: &mut Args<'_>) -> Parsed<Check> {
    let yes_no = |value: Value<'_>| value.one_of(table::YES_NO);
    Ok(Check::Bitmap {
        at: args.take("a disk")?.at()?,
        name: args.take("the name of a bitmap")?.bitmap()?,
        report: BitmapPattern {
            count: args.parsed("count", Value::size)?,
            granularity: args.parsed("granularity", Value::size)?,
            recording: args.parsed("recording", yes_no)?,
            busy: args.parsed("busy", yes_no)?,
            persistent: args.parsed("persistent", yes_no)?,
            inconsistent: args.parsed("inconsistent", yes_no)?,
            successor: args.parsed("successor", Value::size)?,
        },
    })
}

fn job(args: &mut Args<'_>) -> Parsed<Check> {
    Ok(Check::Job {
        job: args.take("the id of a job")?.job()?,
        report: JobPattern {
            state: args.parsed("state", Value::job_state)?,
            len: args.parsed("len", Value::size)?,
            offset: args.parsed("offset", Value::size)?,
            io_status: args.parsed("io-status", |value| value.one_of(table::IO_STATUS))?,
            error: args.parsed("error", Value::optional_errno)?,
        },
    })
}

fn event(args: &mut Args<'_>) -> Parsed<Check> {
    let words = ["completed", "cancelled", "error", "pending"];
    let expected = "one of completed, cancelled, error, pending";
    let job = args.take("the id of a job")?.job()?;
    let word = args.take(expected)?;
    let event = match word.text {
        "completed" => EventPattern::Completed {
            len: args.parsed("len", Value::size)?,
            offset: args.parsed("offset", Value::size)?,
            error: args.parsed("error", Value::optional_errno)?.flatten(),
        },
        "cancelled" => EventPattern::Cancelled {
            len: args.parsed("len", Value::size)?,
            offset: args.parsed("offset", Value::size)?,
        },
        "error" => EventPattern::Error {
            side: args.required("side", |value| value.one_of(table::SIDE))?,
            action: args.required("action", |value| value.one_of(table::ERROR_ACTION))?,
        },
        "pending" => EventPattern::Pending,
        other => return Err(word.problem(expected).nearest(other, words)),
    };
    Ok(Check::Event { job, event })
}
