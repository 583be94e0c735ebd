//! Checks.

use blkproof_spec::step::{BitmapPattern, Check, EventPattern, JobPattern, Reference};

use super::super::table::{self, word};
use super::words::{Words, at, errno, name, number, yes_no};

pub(super) fn check(out: &mut Words, check: &Check) {
    match check {
        Check::Image { image, equals } => {
            out.word(name(image.as_str()));
            out.word("==");
            out.word(reference(equals));
        }
        Check::Digest { image, sha256 } => {
            out.word("digest");
            out.word(name(image.as_str()));
            let digits: Vec<_> = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
            out.option("sha256", digits.concat());
        }
        Check::Allocated { image, ranges } => {
            out.word("allocated");
            out.word(name(image.as_str()));
            for range in ranges {
                let (start, len) = (number(range.start), number(range.len));
                out.word(format!("{start}+{len}"));
            }
        }
        Check::Bitmap {
            at: disk,
            name: bitmap,
            report,
        } => {
            out.word("bitmap");
            out.word(at(disk));
            out.word(name(bitmap.as_str()));
            bitmap_pattern(out, report);
        }
        Check::NoBitmap {
            at: disk,
            name: bitmap,
        } => {
            out.word("no-bitmap");
            out.word(at(disk));
            out.word(name(bitmap.as_str()));
        }
        Check::Job { job, report } => {
            out.word("job");
            out.word(name(job.as_str()));
            job_pattern(out, report);
        }
        Check::NoJobs => out.word("no-jobs"),
        Check::Event { job, event } => {
            out.word("event");
            out.word(name(job.as_str()));
            event_pattern(out, event);
        }
        Check::NoEvents => out.word("no-events"),
    }
}

fn reference(reference: &Reference) -> String {
    match reference {
        Reference::Now(image) => name(image.as_str()),
        Reference::Point { disk, job } => {
            format!("{}@{}", name(disk.as_str()), name(job.as_str()))
        }
    }
}

fn bitmap_pattern(out: &mut Words, report: &BitmapPattern) {
    out.maybe("count", report.count.map(|size| number(size.0)));
    out.maybe("granularity", report.granularity.map(|size| number(size.0)));
    out.maybe("recording", report.recording.map(yes_no));
    out.maybe("busy", report.busy.map(yes_no));
    out.maybe("persistent", report.persistent.map(yes_no));
    out.maybe("inconsistent", report.inconsistent.map(yes_no));
    out.maybe("successor", report.successor.map(|size| number(size.0)));
}

fn job_pattern(out: &mut Words, report: &JobPattern) {
    out.maybe("state", report.state.map(|state| state.name()));
    out.maybe("len", report.len.map(|size| number(size.0)));
    out.maybe("offset", report.offset.map(|size| number(size.0)));
    out.maybe(
        "io-status",
        report
            .io_status
            .map(|status| word(table::IO_STATUS, &status)),
    );
    out.maybe("error", report.error.map(errno));
}

fn event_pattern(out: &mut Words, event: &EventPattern) {
    match event {
        EventPattern::Completed { len, offset, error } => {
            out.word("completed");
            out.maybe("len", len.map(|size| number(size.0)));
            out.maybe("offset", offset.map(|size| number(size.0)));
            out.maybe("error", *error);
        }
        EventPattern::Cancelled { len, offset } => {
            out.word("cancelled");
            out.maybe("len", len.map(|size| number(size.0)));
            out.maybe("offset", offset.map(|size| number(size.0)));
        }
        EventPattern::Error { side, action } => {
            out.word("error");
            out.option("side", word(table::SIDE, side));
            out.option("action", word(table::ERROR_ACTION, action));
        }
        EventPattern::Pending => out.word("pending"),
    }
}
