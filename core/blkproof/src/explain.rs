//! A failure explained: which steps and faults it takes, and which have nothing to do with it.
//!
//! Everything that came before the failure is weighed: the scenario is run again without it (and
//! without what cannot be without it). Where the same failure comes, it is irrelevant; else it is
//! needed, and what happens instead is told. Beside that stands what the report says: the rule that
//! is broken and, for wrong contents, which write each range holds and which it should hold.

mod render;

use blkproof_spec::fault::Verdict;
use blkproof_spec::step::Action;
use blkproof_spec::{Scenario, StepNumber};

use crate::outcome::{Failure, Identity, NotJudged, Outcome};
use crate::report::Report;
use crate::shrink::links::{Links, Node, Part};
use crate::shrink::{failing, without};
use crate::text::{Document, at_open, describe};

/// A failure explained.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// What failed, and where.
    pub report: Report,
    /// The identity by which the failure was known again.
    pub identity: Identity,
    /// The fault rules of the setup.
    pub rules: Vec<Weighed>,
    /// The steps up to the failure.
    pub steps: Vec<Weighed>,
    /// How many steps behind the failure were not reached.
    pub not_reached: usize,
    /// How many runs it took.
    pub runs: u64,
}

/// A step or a fault rule that was weighed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Weighed {
    /// The number of the step, counted from 1; none for rules of the setup.
    pub step: Option<u32>,
    /// Its line, counted from 1, where the text has one for it.
    pub line: Option<u32>,
    /// In the words of the scenario text.
    pub what: String,
    /// The answer.
    pub reply: Option<String>,
    /// The faults that fired during it.
    pub faults: Vec<String>,
    /// What the fault that it installs asks of a subject; none where it installs none.
    pub fault: Option<Verdict>,
    /// What it weighs.
    pub weight: Weight,
}

/// What a step or a fault rule weighs.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Weight {
    /// It is where the failure shows.
    Fails,
    /// Without it, the failure does not come; this comes instead.
    Needed(String),
    /// Without it, the same failure comes.
    Irrelevant,
    /// It was not weighed: there are too many.
    NotWeighed,
}

/// How many parts are weighed: each takes a run.
pub const WEIGHED_MAX: usize = 2000;

/// Explains how `document` fails: `report` tells the failure, `keep` says by which identity it is
/// known again, `run` runs a scenario.
pub fn explain(
    document: &Document,
    failure: &Failure,
    keep: Identity,
    report: Report,
    run: &mut dyn FnMut(&Scenario) -> Outcome,
) -> Explanation {
    let scenario = &document.scenario;
    let mut scales = Scales {
        scenario,
        failing: failing(failure, scenario),
        links: Links::of(scenario, &failure.replies),
        keep,
        run,
        runs: 0,
    };
    let reached = scales
        .failing
        .map_or(scenario.steps.len(), |index| index + 1);
    let (mut rules, mut steps) = (Vec::new(), Vec::new());
    for index in 0..scales.links.nodes.len() {
        match scales.links.nodes[index].part {
            Part::Rule(rule) => rules.push(Weighed {
                step: None,
                line: document.line_of_rule(rule),
                what: at_open(&scenario.setup.rules[rule]),
                reply: None,
                faults: Vec::new(),
                fault: Some(scenario.setup.rules[rule].rule.verdict()),
                weight: scales.weigh(index),
            }),
            Part::Step(step) if step < reached => {
                let weight = scales.weigh(index);
                steps.push(weighed(step, document, failure, weight));
            }
            _ => {}
        }
    }
    Explanation {
        identity: keep,
        report,
        rules,
        steps,
        not_reached: scenario.steps.len() - reached,
        runs: scales.runs,
    }
}

fn weighed(index: usize, document: &Document, failure: &Failure, weight: Weight) -> Weighed {
    let number = StepNumber(u32::try_from(index + 1).unwrap_or(u32::MAX));
    let step = &document.scenario.steps[index];
    let reply = failure.replies.get(index);
    Weighed {
        step: Some(number.0),
        line: document.line_of(number),
        what: describe(step),
        reply: reply.map(|reply| crate::run::reply_text(*reply)),
        faults: crate::report::firings(failure, number),
        fault: match &step.action {
            Action::Install(rule) => Some(rule.rule.verdict()),
            _ => None,
        },
        weight,
    }
}

struct Scales<'a> {
    scenario: &'a Scenario,
    /// The index of the step that failed.
    failing: Option<usize>,
    links: Links,
    keep: Identity,
    run: &'a mut dyn FnMut(&Scenario) -> Outcome,
    runs: u64,
}

impl Scales<'_> {
    fn weigh(&mut self, node: usize) -> Weight {
        if self.fails(&self.links.nodes[node]) {
            return Weight::Fails;
        }
        if self.runs >= WEIGHED_MAX as u64 {
            return Weight::NotWeighed;
        }
        self.runs += 1;
        let left = without(self.scenario, &self.links, self.failing, node);
        match (self.run)(&left) {
            Outcome::Failed(failure) if failure.identities().contains(&self.keep) => {
                Weight::Irrelevant
            }
            other => Weight::Needed(instead(&other)),
        }
    }

    fn fails(&self, node: &Node) -> bool {
        matches!(node.part, Part::Step(index) if Some(index) == self.failing)
    }
}

fn instead(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Held(_) => "everything holds".to_owned(),
        Outcome::Failed(failure) => {
            let identities = failure.identities();
            let names: Vec<_> = identities.iter().map(ToString::to_string).collect();
            format!("something else fails: {}", names.join(", "))
        }
        Outcome::NotJudged(NotJudged::Undetectable, _) => {
            "the run counts for nothing: a fault cannot be detected".to_owned()
        }
        Outcome::NotJudged(NotJudged::NotOpened(_), _) => {
            "the run counts for nothing: the disks cannot be opened".to_owned()
        }
        Outcome::NotJudged(NotJudged::Known, _) => "only known findings show".to_owned(),
    }
}
