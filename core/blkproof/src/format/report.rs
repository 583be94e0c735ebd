//! Telling a failure.

use core::fmt::Write as _;

use blkproof_spec::content::Bytes;

use super::outcome::{Failure, Found, WrongPlace};
use super::scenario::Scenario;
use super::text;

impl Failure {
    /// Tells what does not hold, in a few lines: the scenario's steps with their answers, and what
    /// was seen.
    #[must_use]
    pub fn render(&self, scenario: &Scenario) -> String {
        let mut out = format!("{}\n", self.identity());
        for finding in &self.findings {
            let (property, seen) = (finding.property, &finding.seen);
            let _ = writeln!(out, "\n  {property}: {}", property.sentence());
            let _ = writeln!(out, "    {seen}");
            for place in &finding.wrong {
                let _ = writeln!(out, "    {}", wrong(place));
            }
        }
        let _ = writeln!(out, "\n  the steps:");
        for (number, answer) in &self.answers {
            let index = usize::try_from(number.0).unwrap_or(usize::MAX);
            let step = index.checked_sub(1).and_then(|at| scenario.steps.get(at));
            let what = step.map_or_else(|| "at the end".to_owned(), text::describe);
            let _ = writeln!(out, "    step {}  {what}: {answer}", told(number.0));
        }
        out
    }
}

fn told(number: u32) -> String {
    match number {
        u32::MAX => "-".to_owned(),
        number => number.to_string(),
    }
}

fn wrong(place: &WrongPlace) -> String {
    let wanted: Vec<_> = place
        .wanted
        .iter()
        .map(|bytes| bytes_text(*bytes))
        .collect();
    let wanted = wanted.join(" or ");
    let found = match place.found {
        Found::Fill(byte) => fill(byte),
        Found::Stamp(from) if from.disk.0 > 0 => format!("what the base has at {}", from.sector),
        Found::Stamp(from) => {
            let at = from.sector * blkproof_spec::SECTOR;
            format!("what step {} wrote at {at:#x}", from.write.0)
        }
        Found::Other => "something else".to_owned(),
    };
    format!("bytes {} hold {found}, should hold {wanted}", place.range)
}

fn bytes_text(bytes: Bytes) -> String {
    match bytes {
        Bytes::Fill(byte) => fill(byte),
        Bytes::Stamp { disk, .. } if disk.0 > 0 => "what the base has there".to_owned(),
        Bytes::Stamp { write, .. } => format!("what step {} wrote", write.0),
    }
}

fn fill(byte: u8) -> String {
    match byte {
        0 => "zeroes".to_owned(),
        byte => format!("bytes {byte:#04x}"),
    }
}
