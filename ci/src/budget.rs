//! The minutes that each part may take: the tables of `ci/BUDGET.md`, and what was measured beside
//! them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, bail};

const FILE: &str = include_str!("../BUDGET.md");

/// A part fails where it takes this many times its minutes, and this much longer than them: the
/// neighbours of a virtual machine slow it down by less.
const FAR: (u32, Duration) = (3, Duration::from_secs(300));

/// The numbers of one table, by the names of its rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Budget(BTreeMap<String, f64>);

/// How what was measured stands to the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Within,
    Over,
    FarOver,
}

impl Budget {
    /// The table below this heading of `ci/BUDGET.md`.
    pub(crate) fn load(heading: &str) -> anyhow::Result<Self> {
        Self::parse(FILE, heading).with_context(|| format!("ci/BUDGET.md, section {heading}"))
    }

    fn parse(text: &str, heading: &str) -> anyhow::Result<Self> {
        let heading = format!("## {heading}");
        let below = text.lines().skip_while(|line| line.trim() != heading);
        let section = below.skip(1).take_while(|line| !line.starts_with("## "));
        let mut rows = BTreeMap::new();
        // The first two lines of a table are its head.
        for line in section.filter(|line| line.starts_with('|')).skip(2) {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let (Some(name), Some(number)) = (cells.next(), cells.next()) else {
                bail!("expected | name | number | in: {line}");
            };
            let number: f64 = number
                .parse()
                .with_context(|| format!("expected a number after the name in: {line}"))?;
            if !(number > 0.0 && number.is_finite()) {
                bail!("expected a number above 0 in: {line}");
            }
            if rows.insert(name.to_owned(), number).is_some() {
                bail!("{name} has two rows");
            }
        }
        if rows.is_empty() {
            bail!("there is no table");
        }
        Ok(Self(rows))
    }

    /// The number of a row.
    pub(crate) fn of(&self, name: &str) -> anyhow::Result<f64> {
        let number = self.0.get(name).copied();
        number.with_context(|| format!("{name} has no row in ci/BUDGET.md"))
    }

    /// The minutes of a row as a time.
    pub(crate) fn time(&self, name: &str) -> anyhow::Result<Duration> {
        Ok(Duration::from_secs_f64(self.of(name)? * 60.0))
    }

    /// The names of the rows.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All rows together.
    #[cfg(test)]
    pub(crate) fn sum(&self) -> f64 {
        self.0.values().sum()
    }
}

impl Verdict {
    /// Holds what a part took to its budget.
    pub(crate) fn of(took: Duration, budget: Duration) -> Self {
        if took <= budget {
            Self::Within
        } else if took <= budget * FAR.0 || took <= budget + FAR.1 {
            Self::Over
        } else {
            Self::FarOver
        }
    }
}

/// What parts took, beside what they may.
#[derive(Debug, Default)]
pub(crate) struct Measured(Vec<(String, Duration, Duration)>);

impl Measured {
    /// Takes in that a part took so long, and may take so long.
    pub(crate) fn note(&mut self, name: &str, took: Duration, budget: Duration) -> Verdict {
        self.0.push((name.to_owned(), took, budget));
        Verdict::of(took, budget)
    }

    /// A line for each part and one for all.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from("  part           minutes   budget\n");
        let mut line = |name: &str, took: Duration, budget: Duration| {
            let remark = match Verdict::of(took, budget) {
                Verdict::Within => "",
                Verdict::Over => "  over",
                Verdict::FarOver => "  far over",
            };
            let (took, budget) = (took.as_secs_f64() / 60.0, budget.as_secs_f64() / 60.0);
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {name:<13} {took:>8.2} {budget:>8.1}{remark}");
        };
        let mut all = (Duration::ZERO, Duration::ZERO);
        for (name, took, budget) in &self.0 {
            line(name, *took, *budget);
            all = (all.0 + *took, all.1 + *budget);
        }
        line("together", all.0, all.1);
        text
    }
}

#[cfg(test)]
mod tests;
