//! Contents told by where they come from.

use blkproof_spec::content::{Bytes, Content};
use blkproof_spec::model::{Held, Mismatch, Violation};
use blkproof_spec::step::{Action, GuestOp};
use blkproof_spec::{ByteRange, StepNumber};

use super::{WrongRange, step_text};
use crate::text::Document;

/// Tells the wrong ranges; what happens behind step `last` cannot be the origin of anything.
pub(super) fn ranges(violation: &Violation, document: &Document, last: u32) -> Vec<WrongRange> {
    let tell = |mismatch: &Mismatch| WrongRange {
        start: mismatch.range.start,
        end: mismatch.range.end(),
        holds: held(mismatch, document, last),
        should_hold: expected(mismatch, document, last),
    };
    violation.mismatches.iter().map(tell).collect()
}

fn held(mismatch: &Mismatch, document: &Document, last: u32) -> String {
    match mismatch.held {
        Held::Fill(byte) => fill(byte, mismatch.range, document, last),
        Held::Stamp(found) => {
            let mut text = format!("what {} wrote", step(StepNumber(found.write.0), document));
            if found.sector != mismatch.range.start / blkproof_spec::SECTOR {
                text.push_str(&format!(" to sector {}", found.sector));
            }
            text
        }
        Held::Other => "bytes of no known origin".to_owned(),
    }
}

fn expected(mismatch: &Mismatch, document: &Document, last: u32) -> String {
    let tell = |bytes: &Bytes| match bytes {
        Bytes::Fill(byte) => fill(*byte, mismatch.range, document, last),
        Bytes::Stamp { write, .. } => {
            format!("what {} wrote", step(StepNumber(write.0), document))
        }
    };
    let alternatives: Vec<_> = mismatch.expected.iter().map(tell).collect();
    alternatives.join(" or ")
}

fn step(number: StepNumber, document: &Document) -> String {
    let text = step_text(&document.scenario, number);
    match document.line_of(number) {
        Some(line) => format!("step {} (line {line}: {text})", number.0),
        None => format!("step {} ({text})", number.0),
    }
}

/// Returns a byte, with the last step up to `last` that filled the range, or a part of it, with
/// that byte.
fn fill(byte: u8, range: ByteRange, document: &Document, last: u32) -> String {
    let done = usize::try_from(last).unwrap_or(usize::MAX);
    let steps = &document.scenario.steps;
    let mut steps = steps.iter().enumerate().take(done).rev();
    let wrote = |action: &Action| match action {
        Action::Guest { op, .. } | Action::Start { op, .. } => fills(op, byte, range),
        _ => false,
    };
    let found = steps.find(|(_, step)| wrote(&step.action));
    let value = if byte == 0 {
        "zeroes".to_owned()
    } else {
        format!("{byte:#04x}")
    };
    match found.and_then(|(index, _)| u32::try_from(index + 1).ok()) {
        Some(number) => format!("{value}, as {} wrote", step(StepNumber(number), document)),
        None => value,
    }
}

fn fills(op: &GuestOp, byte: u8, range: ByteRange) -> bool {
    let same = match op {
        GuestOp::Write { content, .. } => *content == Content::Fill(byte),
        GuestOp::WriteZeroes { .. } => byte == 0,
        GuestOp::Discard { .. } | GuestOp::Read { .. } | GuestOp::Flush => false,
    };
    same && op.range().overlaps(range)
}
