//! The rounds: what is tried after what.

use blkproof_spec::step::{Action, Expect};
use blkproof_spec::{Reply, Scenario};

use super::edit::{self, Change, Edit};
use super::links::{Links, Node, Part};
use super::search::{Group, Search};
use super::values::{self, Grade};
use super::{hint, shape};
use crate::outcome::{Failure, Finding};

/// A round: a search over edits of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Round {
    /// Everything behind the failure, and what has nothing to do with it.
    Slice,
    /// Disks, steps, actions and rules.
    Parts,
    /// Every value at its simplest.
    Simplest,
    /// Fewer steps for the same.
    Shape,
    /// Smaller disks.
    Sizes,
    /// Values a little simpler.
    Finer,
    /// What the steps say of their answers.
    Answers,
}

impl Round {
    pub(super) const ALL: [Self; 7] = [
        Self::Slice,
        Self::Parts,
        Self::Simplest,
        Self::Shape,
        Self::Sizes,
        Self::Finer,
        Self::Answers,
    ];
}

/// How many groups a round over many steps begins with.
const GROUPS: usize = 4;

/// Makes the search of a round.
pub(super) fn search(
    round: Round,
    scenario: &Scenario,
    links: &Links,
    hint: Option<&Failure>,
) -> Search<Edit> {
    let failing = hint.and_then(|failure| hint::failing(failure, scenario));
    match round {
        Round::Slice => slice(scenario, links, hint),
        Round::Parts => parts(links, failing),
        Round::Simplest => Search::all(values::edits(scenario, links, failing, Grade::Simplest)),
        Round::Shape => Search::each(shape::edits(scenario, links, failing)),
        Round::Sizes => Search::each(shape::sizes(scenario)),
        Round::Finer => Search::all(values::edits(scenario, links, failing, Grade::Finer)),
        Round::Answers => Search::each(answers(scenario, hint)),
    }
}

/// Leaves only what the failure seems to be about, in ever wider guesses; and has the steps say
/// nothing of their answers, so that none stops the run before the failure comes.
fn slice(scenario: &Scenario, links: &Links, hint: Option<&Failure>) -> Search<Edit> {
    let Some(failure) = hint else {
        return Search::all(unstated(scenario, None));
    };
    let failing = hint::failing(failure, scenario);
    let ranks = hint::ranks(failure, scenario, links);
    let mut edits: Vec<Edit> = (0..links.nodes.len()).map(Edit::drop).collect();
    let is_tail = |part: Part| match (part, failing) {
        (Part::Step(step) | Part::Action(step, _), Some(failing)) => step > failing,
        _ => false,
    };
    let beyond = |rank: hint::Rank| {
        let nodes = links.nodes.iter().enumerate();
        let unrelated = |(index, node): (usize, &Node)| {
            (ranks[index] > rank || is_tail(node.part)).then_some(index)
        };
        nodes.filter_map(unrelated).collect::<Vec<_>>()
    };
    let mut groups: Vec<Vec<usize>> = (0..=hint::UNRELATED).map(beyond).collect();
    let said = unstated(scenario, failing);
    if !said.is_empty() {
        let changes = said.into_iter().flat_map(|edit| edit.changes).collect();
        groups.iter_mut().for_each(|group| group.push(edits.len()));
        groups.push(vec![edits.len()]);
        edits.push(Edit {
            changes,
            ..Edit::default()
        });
    }
    let groups = groups.into_iter().map(|edits| Group {
        edits,
        halve: false,
    });
    Search::new(edits, groups.collect())
}

/// Returns the scenario without one of its parts, and without what cannot be without that. The
/// steps but for `failing` say nothing of their answers, which may be others now.
pub(crate) fn without(
    scenario: &Scenario,
    links: &Links,
    failing: Option<usize>,
    node: usize,
) -> Scenario {
    let mut edits = unstated(scenario, failing);
    edits.push(Edit::drop(node));
    edit::apply(scenario, links, None, edits.iter()).unwrap_or_default()
}

/// Returns the scenario without the steps that are to go, and without what cannot be without those.
/// The others say nothing of their answers, which may be others now.
pub(crate) fn without_steps(scenario: &Scenario, goes: impl Fn(&Action) -> bool) -> Scenario {
    let links = Links::of(scenario, &[]);
    let steps = scenario.steps.iter().enumerate();
    let nodes = steps.filter(|(_, step)| goes(&step.action));
    let nodes = nodes.filter_map(|(index, _)| links.step(index));
    let mut edits = unstated(scenario, None);
    edits.extend(nodes.map(Edit::drop));
    edit::apply(scenario, &links, None, edits.iter()).unwrap_or_default()
}

/// Has the steps say nothing of their answers, but for the one that failed.
fn unstated(scenario: &Scenario, failing: Option<usize>) -> Vec<Edit> {
    let steps = scenario.steps.iter().enumerate();
    let stated = steps.filter(|(index, step)| {
        let is_said = step.expect != Expect::Any;
        is_said && Some(*index) != failing && !matches!(step.action, Action::Check(_))
    });
    stated
        .map(|(index, _)| Edit::change(Part::Step(index), Change::Expect(Expect::Any)))
        .collect()
}

/// Takes out everything that the step that failed can be without.
fn parts(links: &Links, failing: Option<usize>) -> Search<Edit> {
    let mut fixed = vec![false; links.nodes.len()];
    if let Some(node) = failing.and_then(|index| links.step(index)) {
        fixed[node] = true;
        links.reach(&mut fixed, false);
    }
    let free = (0..links.nodes.len()).filter(|node| !fixed[*node]);
    let edits: Vec<Edit> = free.clone().map(Edit::drop).collect();
    let is_disk = |index: usize| {
        let node = edits[index].drop[0];
        matches!(links.nodes[node].part, Part::Disk(_))
    };
    let (disks, rest): (Vec<usize>, Vec<usize>) = (0..edits.len()).partition(|edit| is_disk(*edit));
    let size = rest.len().div_ceil(GROUPS).max(1);
    let chunks = rest.rchunks(size).map(<[usize]>::to_vec);
    let disks = disks.into_iter().map(|disk| vec![disk]);
    let groups = disks
        .chain(chunks)
        .map(|edits| Group { edits, halve: true });
    let groups = groups.collect();
    Search::new(edits, groups)
}

/// Has the steps say what they were answered, which is the shortest way to write most of them.
fn answers(scenario: &Scenario, hint: Option<&Failure>) -> Vec<Edit> {
    let steps = scenario.steps.iter().enumerate();
    let failing = hint.and_then(|failure| hint::failing(failure, scenario));
    let changes = steps.filter_map(|(index, step)| {
        let answer = match hint {
            Some(failure) if Some(index) == failing => answer_of_failing(failure, index)?,
            Some(failure) => stated(*failure.replies.get(index)?),
            None => Expect::Done,
        };
        let change = Change::Expect(answer);
        (step.expect == Expect::Any && answer != step.expect).then_some((Part::Step(index), change))
    });
    let changes: Vec<_> = changes.collect();
    if changes.is_empty() {
        return Vec::new();
    }
    vec![Edit {
        changes,
        ..Edit::default()
    }]
}

fn stated(reply: Reply) -> Expect {
    match reply {
        Reply::Done => Expect::Done,
        Reply::Refused(refusal) => Expect::Refused(Some(refusal)),
        Reply::Failed(errno) => Expect::Failed(Some(errno)),
        Reply::Pending => Expect::Pending,
        Reply::Cut => Expect::Cut,
    }
}

/// The answer of the step that failed may be what is wrong with it; where contents are wrong, it is
/// not.
fn answer_of_failing(failure: &Failure, index: usize) -> Option<Expect> {
    let contents = |finding: &Finding| match finding {
        Finding::Violation(violation) => !violation.mismatches.is_empty(),
        _ => false,
    };
    let is_right = failure.findings.iter().all(contents);
    let reply = failure.replies.get(index).filter(|_| is_right)?;
    Some(stated(*reply))
}
