//! The text of a report.

use core::fmt::{self, Write};

use blkproof_spec::SECTOR;

use super::{Entry, Report, Told, WrongRange};

/// How many wrong ranges of one finding are shown.
const RANGES_MAX: usize = 12;

pub(super) fn report(report: &Report) -> String {
    let mut out = String::new();
    write_report(&mut out, report).expect("text grows");
    out
}

fn write_report(out: &mut String, report: &Report) -> fmt::Result {
    let place = match report.line {
        Some(line) => format!("{}:{line}", report.file),
        None => report.file.clone(),
    };
    writeln!(out, "{place}: {}", report.identities.join(", "))?;
    match report.step {
        Some(step) => writeln!(out, "  step {step}: {}", report.what)?,
        None => writeln!(out, "  {}", report.what)?,
    }
    for finding in &report.findings {
        writeln!(out)?;
        write_finding(out, finding, RANGES_MAX)?;
    }
    write_cuts(out, report)?;
    if !report.timeline.is_empty() {
        write_timeline(out, report)?;
    }
    writeln!(out, "\n  replay it: {}", report.replay)
}

/// Returns what does not hold, and for contents all ranges.
pub(crate) fn findings_text(report: &Report) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        out.push('\n');
        write_finding(&mut out, finding, usize::MAX).expect("text grows");
    }
    out
}

/// Returns what the cuts of the power took.
pub(crate) fn cuts_text(report: &Report) -> String {
    let mut out = String::new();
    write_cuts(&mut out, report).expect("text grows");
    out
}

fn write_cuts(out: &mut String, report: &Report) -> fmt::Result {
    for cut in &report.cuts {
        let step = cut.step;
        match cut.sectors {
            0 => writeln!(
                out,
                "\n  the cut of step {step} took nothing, and that is enough:"
            )?,
            1 => writeln!(
                out,
                "\n  the cut of step {step} took 1 sector, and that is enough:"
            )?,
            some => writeln!(
                out,
                "\n  the cut of step {step} took {some} sectors, and these are enough:"
            )?,
        }
        for part in &cut.parts {
            writeln!(out, "    {part}")?;
        }
        match cut.untold {
            0 => {}
            1 => writeln!(out, "    and 1 more part")?,
            more => writeln!(out, "    and {more} more parts")?,
        }
        writeln!(out, "    {}", cut.assumption)?;
    }
    Ok(())
}

fn write_finding(out: &mut String, finding: &Told, ranges_max: usize) -> fmt::Result {
    writeln!(out, "  {}: {}", finding.name, finding.sentence)?;
    write!(out, "    {}, {}", finding.about, finding.aspect)?;
    if finding.ranges.is_empty() {
        return writeln!(out, ": expected {}, saw {}", finding.expected, finding.seen);
    }
    writeln!(out, ":")?;
    for range in finding.ranges.iter().take(ranges_max) {
        write_range(out, range)?;
    }
    match (
        finding.ranges.len().saturating_sub(ranges_max),
        finding.has_more,
    ) {
        (0, false) => Ok(()),
        (0, true) => writeln!(out, "      and more behind these"),
        (1, false) => writeln!(out, "      and 1 more range"),
        (more, false) => writeln!(out, "      and {more} more ranges"),
        (more, true) => writeln!(out, "      and more than {more} more ranges"),
    }
}

fn write_range(out: &mut String, range: &WrongRange) -> fmt::Result {
    let WrongRange { start, end, .. } = range;
    let whole = start.is_multiple_of(SECTOR) && end.is_multiple_of(SECTOR);
    let (unit, start, end) = if whole {
        ("sectors", start / SECTOR, end / SECTOR)
    } else {
        ("bytes", *start, *end)
    };
    writeln!(out, "      {unit} {start}..{end} hold {},", range.holds)?;
    writeln!(out, "        should hold {}", range.should_hold)
}

fn write_timeline(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "\n  the steps that have to do with it:")?;
    let digits = |number: u32| number.to_string().len();
    let steps = report.timeline.iter().map(|entry| digits(entry.step)).max();
    let lines = report
        .timeline
        .iter()
        .filter_map(|entry| entry.line.map(digits))
        .max();
    for entry in &report.timeline {
        write_entry(out, entry, steps.unwrap_or(1), lines.unwrap_or(1))?;
    }
    match report.left_out {
        0 => Ok(()),
        1 => writeln!(out, "    (1 step left out)"),
        left_out => writeln!(out, "    ({left_out} steps left out)"),
    }
}

fn write_entry(out: &mut String, entry: &Entry, steps: usize, lines: usize) -> fmt::Result {
    write!(out, "    step {:>steps$}", entry.step)?;
    if let Some(line) = entry.line {
        write!(out, "  line {line:>lines$}")?;
    }
    writeln!(out, "  {}: {}", entry.what, entry.reply)?;
    for fault in &entry.faults {
        writeln!(out, "      {fault}")?;
    }
    Ok(())
}
