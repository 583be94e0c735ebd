//! Values: each part made simpler where it stands.
//!
//! The tables list one small simplification an entry. First everything is tried at its simplest,
//! then, for what cares, finer steps: positions and lengths are halved from round to round.

mod backup;

mod guest;

mod rule;

mod setup;

mod step;

use blkproof_spec::step::{Action, TransactionAction};
use blkproof_spec::{DiskSetup, FaultRule, Geometry, ImageName, Scenario, Setup};

use super::edit::{Change, Edit, make_step};
use super::links::{Links, Part};

/// How far simplifications go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Grade {
    /// As simple as can be.
    Simplest,
    /// A little simpler than it is.
    Finer,
}

/// Returns the simplifications of all parts, each of which has an effect by itself. Those that
/// would make another kind of step of `failing` are left out.
pub(super) fn edits(
    scenario: &Scenario,
    links: &Links,
    failing: Option<usize>,
    grade: Grade,
) -> Vec<Edit> {
    let mut used = vec![false; links.nodes.len()];
    for need in links.nodes.iter().flat_map(|node| &node.needs) {
        used[*need] = true;
    }
    let mut edits = Vec::new();
    for (node, used) in links.nodes.iter().zip(used) {
        let fails = matches!(node.part, Part::Step(index) if Some(index) == failing);
        let changes = changes(scenario, node.part, used, fails, grade);
        let effective = changes
            .into_iter()
            .filter(|change| has_effect(scenario, node.part, *change));
        edits.extend(effective.map(|change| Edit::change(node.part, change)));
    }
    edits
}

/// Returns what may become simpler of a part; `used` says whether others need it.
fn changes(scenario: &Scenario, part: Part, used: bool, fails: bool, grade: Grade) -> Vec<Change> {
    match part {
        Part::Disk(_) => setup::disk(grade),
        Part::Rule(_) => rule::changes(used, grade),
        Part::Step(index) => match &scenario.steps[index].action {
            Action::Guest { at, .. } | Action::Start { at, .. } => {
                guest::changes(cluster(scenario, at.name()), fails, grade)
            }
            Action::Backup { .. } => backup::changes(used, grade),
            Action::Bitmap(_) => setup::bitmap(grade),
            Action::Create(_) => setup::create(grade),
            Action::Install(_) => rule::changes(used, grade),
            _ => step::changes(grade),
        },
        Part::Action(step, index) => match &scenario.steps[step].action {
            Action::Transaction { actions, .. } => match actions[index] {
                TransactionAction::Backup(_) => backup::changes(used, grade),
                TransactionAction::Bitmap(_) => setup::bitmap(grade),
                TransactionAction::Abort => Vec::new(),
            },
            _ => Vec::new(),
        },
    }
}

/// Returns the cluster size of a disk, by which guest requests are aligned.
pub(super) fn cluster(scenario: &Scenario, disk: &ImageName) -> u64 {
    let known = scenario
        .setup
        .disks
        .iter()
        .find(|known| known.name == *disk);
    known.map_or(Geometry::DEFAULT_CLUSTER.0, |disk| disk.geometry.cluster.0)
}

fn has_effect(scenario: &Scenario, part: Part, change: Change) -> bool {
    let on_step = |index: usize, action: Option<usize>| {
        let mut step = scenario.steps[index].clone();
        make_step(&mut step, action, change);
        step != scenario.steps[index]
    };
    match (part, change) {
        (Part::Disk(index), Change::Disk(simpler)) => {
            differs::<DiskSetup>(&scenario.setup.disks[index], simpler)
        }
        (Part::Disk(_), Change::Setup(simpler)) => differs::<Setup>(&scenario.setup, simpler),
        (Part::Rule(index), Change::Rule(simpler)) => {
            differs::<FaultRule>(&scenario.setup.rules[index], simpler)
        }
        (Part::Step(index), _) => on_step(index, None),
        (Part::Action(step, index), _) => on_step(step, Some(index)),
        _ => false,
    }
}

fn differs<T: Clone + PartialEq>(old: &T, simpler: fn(&mut T)) -> bool {
    let mut new = old.clone();
    simpler(&mut new);
    new != *old
}
