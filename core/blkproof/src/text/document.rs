//! A scenario with the lines it stands on.

use blkproof_spec::step::Action;
use blkproof_spec::{Scenario, StatedOutcome, StepNumber};

use super::diagnostic::Diagnostics;
use super::{parse, print};

/// A scenario together with the lines of its text, so that reports can name a step's line and
/// comments survive formatting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// The scenario.
    pub scenario: Scenario,
    pub(super) lines: Vec<Line>,
}

/// A line: what stands on it, and its comment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    pub(super) what: What,
    pub(super) comment: Option<Box<str>>,
}

/// What stands on a line, as positions in the scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Nothing,
    Header,
    Title,
    Outcome,
    Cache,
    Limits,
    Disk(usize),
    Contents { disk: usize, index: usize },
    Rule(usize),
    Step(usize),
    Action { step: usize, index: usize },
    End,
}

impl Document {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// All errors of the text, up to a limit; any bytes may come in.
    pub fn parse(text: &[u8]) -> Result<Self, Diagnostics> {
        parse::parse(text)
    }

    /// Lays a scenario out in lines.
    #[must_use]
    pub fn of(scenario: Scenario) -> Self {
        let lines = lay_out(&scenario)
            .into_iter()
            .map(|what| Line {
                what,
                comment: None,
            })
            .collect();
        Self { scenario, lines }
    }

    /// Prints the text in canonical form: the lines in their order, with their comments.
    #[must_use]
    pub fn print(&self) -> String {
        print::document(self)
    }

    /// Returns the line of a step, counted from 1.
    #[must_use]
    pub fn line_of(&self, step: StepNumber) -> Option<u32> {
        let index = usize::try_from(step.0).ok()?.checked_sub(1)?;
        self.line(What::Step(index))
    }

    /// Returns the line of a rule of the setup, counted from 1.
    pub(crate) fn line_of_rule(&self, index: usize) -> Option<u32> {
        self.line(What::Rule(index))
    }

    fn line(&self, what: What) -> Option<u32> {
        let line = self.lines.iter().position(|line| line.what == what)?;
        u32::try_from(line + 1).ok()
    }
}

fn lay_out(scenario: &Scenario) -> Vec<What> {
    let mut lines = vec![What::Header];
    if scenario.title.is_some() {
        lines.push(What::Title);
    }
    if scenario.outcome != StatedOutcome::Pass {
        lines.push(What::Outcome);
    }
    if scenario.setup.cache != blkproof_spec::power::Cache::default() {
        lines.push(What::Cache);
    }
    if scenario.setup.limits != blkproof_spec::Limits::default() {
        lines.push(What::Limits);
    }
    for (disk, setup) in scenario.setup.disks.iter().enumerate() {
        lines.push(What::Disk(disk));
        lines.extend((0..setup.contents.len()).map(|index| What::Contents { disk, index }));
    }
    lines.extend((0..scenario.setup.rules.len()).map(What::Rule));
    for (step, content) in scenario.steps.iter().enumerate() {
        lines.push(What::Step(step));
        if let Action::Transaction { actions, .. } = &content.action {
            lines.extend((0..actions.len()).map(|index| What::Action { step, index }));
            lines.push(What::End);
        }
    }
    lines
}
