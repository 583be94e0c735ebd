//! The text of an explanation.

use core::fmt::{self, Write};

use super::{Explanation, Weighed, Weight};
use crate::report::{cuts_text, findings_text};

impl Explanation {
    /// Renders the explanation as text, several lines, each ended.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        write_all(&mut out, self).expect("text grows");
        out
    }
}

fn write_all(out: &mut String, told: &Explanation) -> fmt::Result {
    let report = &told.report;
    let place = match report.line {
        Some(line) => format!("{}:{line}", report.file),
        None => report.file.clone(),
    };
    writeln!(out, "{place}: {}", told.identity)?;
    match report.step {
        Some(step) => writeln!(out, "  step {step}: {}", report.what)?,
        None => writeln!(out, "  {}", report.what)?,
    }
    out.push_str(&findings_text(report));
    out.push_str(&cuts_text(report));
    if !told.rules.is_empty() {
        writeln!(out, "\n  the fault rules that are there from the start:")?;
        write_weighed(out, &told.rules)?;
    }
    writeln!(out, "\n  what happened:")?;
    write_weighed(out, &told.steps)?;
    match told.not_reached {
        0 => {}
        1 => writeln!(out, "    (1 step behind it was not reached)")?,
        more => writeln!(out, "    ({more} steps behind it were not reached)")?,
    }
    write_sum(out, told)?;
    writeln!(out, "\n  replay it: {}", report.replay)
}

fn write_weighed(out: &mut String, parts: &[Weighed]) -> fmt::Result {
    let digits = |part: &Weighed| part.step.map_or(0, |step| step.to_string().len());
    let width = parts.iter().map(digits).max().unwrap_or(0);
    for part in parts {
        let mark = match part.weight {
            Weight::Fails => "fails     ",
            Weight::Needed(_) => "needed    ",
            Weight::Irrelevant => "irrelevant",
            Weight::NotWeighed => "          ",
        };
        let number = part
            .step
            .map_or(String::new(), |step| format!("step {step:>width$}  "));
        write!(out, "    {mark}  {number}{}{}", line_of(part), part.what)?;
        match &part.reply {
            Some(reply) => writeln!(out, ": {reply}")?,
            None => writeln!(out)?,
        }
        if let Some(verdict) = part.fault {
            writeln!(out, "                a fault {verdict}")?;
        }
        for fault in &part.faults {
            writeln!(out, "                  {fault}")?;
        }
        if let Weight::Needed(instead) = &part.weight {
            writeln!(out, "                without it, {instead}")?;
        }
    }
    Ok(())
}

fn line_of(part: &Weighed) -> String {
    part.line
        .map_or(String::new(), |line| format!("line {line}  "))
}

fn write_sum(out: &mut String, told: &Explanation) -> fmt::Result {
    let parts = || told.rules.iter().chain(&told.steps);
    let irrelevant = parts()
        .filter(|part| part.weight == Weight::Irrelevant)
        .count();
    let all = parts().count();
    writeln!(out)?;
    match irrelevant {
        0 => writeln!(out, "  everything above is needed"),
        _ => writeln!(
            out,
            "  {irrelevant} of {all} can go, each by itself; \
             `blkproof shrink` takes out all that can"
        ),
    }
}
