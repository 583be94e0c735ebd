//! What a failure says of where to look: which steps can have to do with it, in ranks.

use blkproof_spec::model::About;
use blkproof_spec::step::Action;
use blkproof_spec::{ByteRange, ImageName, Scenario};

use super::links::{Links, Part};
use crate::outcome::{Failure, Finding, Moment};

/// How far a part is from the failure: 0 is what it directly stands on.
pub(super) type Rank = u8;

/// Has nothing to do with it, as far as can be seen.
pub(super) const UNRELATED: Rank = 3;

/// Returns the index of the step that failed.
pub(crate) fn failing(failure: &Failure, scenario: &Scenario) -> Option<usize> {
    let Moment::Step(number) = failure.moment else {
        return None;
    };
    let index = usize::try_from(number.0).ok()?.checked_sub(1)?;
    (index < scenario.steps.len()).then_some(index)
}

/// Returns the rank of each node.
pub(super) fn ranks(failure: &Failure, scenario: &Scenario, links: &Links) -> Vec<Rank> {
    let mut near = vec![false; links.nodes.len()];
    for seed in seeds(failure, scenario, links) {
        near[seed] = true;
    }
    links.reach(&mut near, true);
    let wrong = wrong_ranges(failure);
    let mut ranks: Vec<Rank> = Vec::with_capacity(links.nodes.len());
    for (index, node) in links.nodes.iter().enumerate() {
        let tied = node.needs.iter().any(|need| near[*need]);
        // What a request or job leads to is as near as it is itself.
        let work = node
            .needs
            .iter()
            .filter(|need| is_work(scenario, links, **need));
        let work = work.map(|need| ranks[*need]).min();
        let rank = match node.part {
            _ if near[index] => 0,
            _ if !tied && work.is_none() => UNRELATED,
            Part::Step(step) => of_step(&scenario.steps[step].action, &wrong, work),
            _ => 1,
        };
        ranks.push(if fired(failure, scenario, node.part) {
            rank.min(1)
        } else {
            rank
        });
    }
    ranks
}

fn of_step(action: &Action, wrong: &[ByteRange], work: Option<Rank>) -> Rank {
    match action {
        Action::Guest { op, .. } | Action::Start { op, .. } => {
            let hit = wrong.is_empty() || wrong.iter().any(|range| range.overlaps(op.range()));
            Rank::from(!hit)
        }
        Action::Settle { .. } | Action::Advance { .. } | Action::Finish { .. } => work.unwrap_or(1),
        Action::Job { .. } => work.unwrap_or(1).max(1),
        Action::Bitmap(_) | Action::Resize { .. } => 1,
        _ => 2,
    }
}

/// Tells whether a node starts a request or a job.
fn is_work(scenario: &Scenario, links: &Links, node: usize) -> bool {
    match links.nodes[node].part {
        Part::Step(step) => matches!(
            scenario.steps[step].action,
            Action::Start { .. } | Action::Backup { .. }
        ),
        Part::Action(..) => true,
        Part::Disk(_) | Part::Rule(_) => false,
    }
}

/// Returns the nodes that the failure names, and the step that failed.
fn seeds(failure: &Failure, scenario: &Scenario, links: &Links) -> Vec<usize> {
    let failing = failing(failure, scenario);
    let mut seeds: Vec<usize> = failing
        .and_then(|index| links.step(index))
        .into_iter()
        .collect();
    let parts = links.nodes.iter().enumerate();
    let actions = parts.filter(|(_, node)| match node.part {
        Part::Action(step, _) => Some(step) == failing,
        _ => false,
    });
    seeds.extend(actions.map(|(index, _)| index));
    for finding in &failure.findings {
        match finding {
            Finding::Violation(violation) => match &violation.about {
                About::Disk(name) | About::Image(name) => {
                    seeds.extend(makers(scenario, links, name));
                }
                About::Bitmap { disk, .. } => seeds.extend(makers(scenario, links, disk)),
                About::Fault(firing) => {
                    seeds.extend(makers(scenario, links, &firing.place.image));
                }
                _ => {}
            },
            Finding::Unsound { image, .. } => seeds.extend(makers(scenario, links, image)),
            _ => {}
        }
    }
    seeds
}

/// Returns the nodes that make an image or write it as a whole.
fn makers(scenario: &Scenario, links: &Links, name: &ImageName) -> Vec<usize> {
    let makes = |part: Part| match part {
        Part::Disk(index) => scenario.setup.disks[index].name == *name,
        Part::Rule(_) | Part::Action(..) => false,
        Part::Step(index) => match &scenario.steps[index].action {
            Action::Create(create) => create.image == *name,
            Action::Backup { backup, .. } => backup.target == *name,
            _ => false,
        },
    };
    let nodes = links.nodes.iter().enumerate();
    nodes
        .filter_map(|(index, node)| makes(node.part).then_some(index))
        .collect()
}

fn wrong_ranges(failure: &Failure) -> Vec<ByteRange> {
    let violations = failure.findings.iter().filter_map(|finding| match finding {
        Finding::Violation(violation) => Some(violation),
        _ => None,
    });
    let mismatches = violations.flat_map(|violation| &violation.mismatches);
    mismatches.map(|mismatch| mismatch.range).collect()
}

/// Tells whether a part is a rule that acted.
fn fired(failure: &Failure, scenario: &Scenario, part: Part) -> bool {
    let rule = match part {
        Part::Rule(index) => &scenario.setup.rules[index],
        Part::Step(index) => match &scenario.steps[index].action {
            Action::Install(rule) => rule,
            _ => return false,
        },
        Part::Disk(_) | Part::Action(..) => return false,
    };
    failure
        .firings
        .iter()
        .any(|(_, firing)| firing.place == rule.place && firing.name == rule.name)
}
