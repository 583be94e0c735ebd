//! Smaller scenarios of the format level with the same failure.
//!
//! Rounds of edits, searched in groups as scenarios for backups are, until none of them makes the
//! scenario smaller: steps and rules are left out, then values become simpler.

use std::collections::BTreeSet;

use blkproof_spec::fault::{Effect, Rule, When};
use blkproof_spec::power::{Lost, Moment};
use blkproof_spec::{ByteRange, Errno, FaultRule, Length};

use super::outcome::{Failure, Outcome};
use super::scenario::{Action, CacheSize, Look, MadeBy, Op, Scenario, Setup, Step};
use crate::shrink::digest;
use crate::shrink::search::{Group, Rivalry, Search};

/// A scenario that was made smaller.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Shrunk {
    /// The smallest scenario that fails in the same way.
    pub scenario: Scenario,
    /// How it fails.
    pub failure: Failure,
    /// How many candidates were run.
    pub runs: u64,
}

/// Shrinks a scenario that fails as long as candidates fail with the same identity, at most
/// `runs_max` candidates long.
pub fn shrink(
    scenario: &Scenario,
    failure: &Failure,
    runs_max: u64,
    mut run: impl FnMut(&Scenario) -> Outcome,
) -> Shrunk {
    let keep = failure.identity();
    let mut best = Shrunk {
        scenario: scenario.clone(),
        failure: failure.clone(),
        runs: 0,
    };
    let mut seen = BTreeSet::from([digest(scenario)]);
    loop {
        let before = best.scenario.clone();
        for round in [Round::Drop, Round::Setup, Round::Values] {
            let base = best.scenario.clone();
            let mut search = round.search(&base, &best.failure);
            while best.runs < runs_max && search.advance() {
                let candidate = apply(&base, search.to_apply());
                let mut is_good = candidate == best.scenario;
                if seen.insert(digest(&candidate)) {
                    best.runs += 1;
                    if let Outcome::Failed(failure) = run(&candidate)
                        && failure.identity() == keep
                    {
                        is_good = true;
                        best.scenario = candidate;
                        best.failure = *failure;
                    }
                }
                search.report(is_good);
            }
        }
        if best.scenario == before || best.runs >= runs_max {
            return best;
        }
    }
}

#[derive(Clone, Copy)]
enum Round {
    /// Steps and rules are left out.
    Drop,
    /// The image becomes a usual one.
    Setup,
    /// Steps become simpler.
    Values,
}

/// Something that becomes smaller or simpler.
#[derive(Debug)]
enum Edit {
    DropStep(usize),
    DropRule(usize),
    Step(usize, Box<Step>),
    Setup(fn(&mut Setup)),
}

impl Rivalry for Edit {
    fn rival(&self) -> Option<usize> {
        match self {
            Self::Step(index, _) => Some(*index),
            _ => None,
        }
    }
}

fn apply<'a>(base: &Scenario, edits: impl Iterator<Item = &'a Edit>) -> Scenario {
    let mut out = base.clone();
    let (mut steps, mut rules) = (BTreeSet::new(), BTreeSet::new());
    for edit in edits {
        match edit {
            Edit::DropStep(index) => {
                steps.insert(*index);
            }
            Edit::DropRule(index) => {
                rules.insert(*index);
            }
            Edit::Step(index, step) => out.steps[*index] = (**step).clone(),
            Edit::Setup(change) => change(&mut out.setup),
        }
    }
    keep(&mut out.steps, |index| !steps.contains(&index));
    keep(&mut out.setup.rules, |index| !rules.contains(&index));
    out
}

fn keep<T>(list: &mut Vec<T>, mut is_kept: impl FnMut(usize) -> bool) {
    let mut index = 0;
    list.retain(|_| {
        index += 1;
        is_kept(index - 1)
    });
}

impl Round {
    fn search(self, base: &Scenario, failure: &Failure) -> Search<Edit> {
        match self {
            Self::Drop => drops(base, failure),
            Self::Setup => Search::each(SETUP.iter().map(|change| Edit::Setup(*change)).collect()),
            Self::Values => {
                let steps = base.steps.iter().enumerate();
                let cluster = base.setup.cluster.0;
                let simpler = steps.flat_map(|(index, step)| {
                    let steps = simpler(step, cluster).into_iter();
                    steps.map(move |step| Edit::Step(index, Box::new(step)))
                });
                Search::each(simpler.collect())
            }
        }
    }
}

/// Leaves out what comes behind the step that failed, then whatever can be left out.
fn drops(base: &Scenario, failure: &Failure) -> Search<Edit> {
    let count = base.steps.len();
    let edits = (0..count).map(Edit::DropStep);
    let edits = edits.chain((0..base.setup.rules.len()).map(Edit::DropRule));
    let edits: Vec<Edit> = edits.collect();
    let failed = failure.step.and_then(|step| usize::try_from(step.0).ok());
    let groups = [
        Group {
            edits: (failed.unwrap_or(count)..count).collect(),
            halve: false,
        },
        Group {
            edits: (0..edits.len()).collect(),
            halve: true,
        },
    ];
    Search::new(edits, groups.into())
}

/// What makes an image more usual.
const SETUP: &[fn(&mut Setup)] = &[
    |setup| setup.base = None,
    |setup| setup.made_by = MadeBy::Library,
    |setup| setup.refcount_bits = 16,
    |setup| setup.align = 1,
    |setup| setup.cache = CacheSize::Default,
    |setup| setup.look = Look::End,
    |setup| setup.cluster = Length(64 << 10),
    |setup| setup.size = Length(1 << 20),
    |setup| {
        if let Some(base) = &mut setup.base {
            base.size = setup.size;
        }
    },
    |setup| {
        if let Some(base) = &mut setup.base {
            base.format = blkproof_spec::Format::Raw;
        }
    },
];

/// Returns a step in simpler forms.
fn simpler(step: &Step, cluster: u64) -> Vec<Step> {
    let mut out = Vec::new();
    if step.retry {
        out.push(Step {
            retry: false,
            ..step.clone()
        });
    }
    let actions: Vec<Action> = match &step.action {
        Action::Request(op) => {
            let ops = simpler_requests(op, cluster).into_iter();
            ops.map(Action::Request).collect()
        }
        Action::Install(rule) => {
            let rules = simpler_rules(rule).into_iter();
            rules.map(Action::Install).collect()
        }
        Action::Kill(at) => earlier(*at).map(Action::Kill).collect(),
        Action::PowerCut(cut) => {
            let mut cuts = vec![Action::Kill(cut.at)];
            for lost in [Lost::All, Lost::Worst, Lost::None] {
                let mut simple = cut.clone();
                (simple.lost, simple.torn) = (lost, None);
                cuts.push(Action::PowerCut(simple));
            }
            cuts.extend(earlier(cut.at).map(|at| {
                let mut simple = cut.clone();
                simple.at = at;
                Action::PowerCut(simple)
            }));
            cuts
        }
        Action::Reopen | Action::Lift(_) | Action::LiftAll => Vec::new(),
    };
    out.extend(actions.into_iter().map(|action| Step {
        action,
        retry: step.retry,
    }));
    out
}

/// Returns earlier moments.
fn earlier(at: Option<Moment>) -> impl Iterator<Item = Option<Moment>> {
    let number = at.map_or(0, |at| at.0);
    let fewer = [number / 2, number.saturating_sub(1)];
    let fewer = fewer
        .into_iter()
        .filter(move |fewer| *fewer > 0 && *fewer < number);
    let now = (number > 0).then_some(None);
    now.into_iter().chain(fewer.map(|at| Some(Moment(at))))
}

fn simpler_requests(op: &Op, cluster: u64) -> Vec<Op> {
    let Some(range) = op.range() else {
        return Vec::new();
    };
    let start = range.start - range.start % cluster;
    let ranges = [
        ByteRange::new(0, cluster),
        ByteRange::new(0, range.len),
        ByteRange::new(start, cluster),
        ByteRange::new(range.start, range.len.min(512)),
        ByteRange::new(range.start, range.len.div_ceil(2).next_multiple_of(512)),
        range.outward(cluster),
        range.outward(512),
    ];
    let is_simpler = |new: &ByteRange| {
        let weight = |range: ByteRange| {
            let unaligned =
                !range.start.is_multiple_of(cluster) || !range.len.is_multiple_of(cluster);
            let odd = !range.start.is_multiple_of(512) || !range.len.is_multiple_of(512);
            (odd, unaligned, range.len, range.start)
        };
        weight(*new) < weight(range)
    };
    let with = |range| match op {
        Op::Read(_) => Op::Read(range),
        Op::Write { content, .. } => Op::Write {
            range,
            content: *content,
        },
        Op::WriteZeroes(_) => Op::WriteZeroes(range),
        _ => Op::Discard(range),
    };
    let ranges = ranges.into_iter().filter(is_simpler);
    ranges.map(with).collect()
}

fn simpler_rules(rule: &FaultRule) -> Vec<FaultRule> {
    let Rule::Extended(extended) = rule.rule else {
        return Vec::new();
    };
    let effects = [Effect::Error(Errno::EIO), extended.effect];
    let numbers = match extended.when {
        When::Nth(number) => vec![1, number / 2, number.saturating_sub(1)],
        When::From(number) | When::Every(number) => vec![1, number / 2, number],
        When::Always | When::Chance { .. } => vec![1],
    };
    let numbers = numbers.into_iter().filter(|number| *number > 0);
    let whens = numbers.map(When::Nth).chain([extended.when]);
    let all = whens.flat_map(|when| effects.map(|effect| (when, effect)));
    let mut out: Vec<FaultRule> = Vec::new();
    for (when, effect) in all {
        let simple = FaultRule {
            name: rule.name.clone().filter(|_| !matches!(when, When::Nth(_))),
            place: rule.place.clone(),
            rule: Rule::Extended(blkproof_spec::fault::Extended {
                when,
                effect,
                ..extended
            }),
        };
        if simple != *rule && !out.contains(&simple) {
            out.push(simple);
        }
    }
    out
}
