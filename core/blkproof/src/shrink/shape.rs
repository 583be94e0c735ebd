//! The shape of a scenario: smaller disks, and one step where there were two.

use blkproof_spec::step::{Action, GuestOp, Run, TargetMode, Work};
use blkproof_spec::{At, ByteRange, Content, ImageName, Length, SECTOR, Scenario, Step};

use super::edit::{Change, Edit, flatten};
use super::links::{Links, Part};
use super::values::cluster;

/// Returns the edits that change the shape, but for `failing`, whose kind has to stay.
pub(super) fn edits(scenario: &Scenario, links: &Links, failing: Option<usize>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        if Some(index) == failing {
            continue;
        }
        match &step.action {
            Action::Transaction { actions, .. } if actions.len() == 1 => {
                edits.push(Edit::change(Part::Step(index), Change::Step(flatten)));
            }
            Action::Start { .. } => edits.extend(at_once(links, index)),
            Action::Backup { .. } => {
                edits.extend(run_at_once(scenario, links, index));
                edits.extend(own_target(scenario, links, index));
            }
            Action::Resize { at, size } => edits.extend(sized(scenario, links, index, at, *size)),
            Action::Guest { at, op } => edits.extend(merged(scenario, links, index, at, op)),
            _ => {}
        }
    }
    edits
}

/// A request that is submitted is carried out at once; nothing is left to settle.
fn at_once(links: &Links, index: usize) -> Option<Edit> {
    let node = links.step(index)?;
    Some(Edit {
        drop: users(links, node),
        changes: vec![(Part::Step(index), Change::Step(carried_out))],
        rival: None,
    })
}

fn carried_out(step: &mut Step) {
    if let Action::Start { at, op, .. } = &step.action {
        step.action = Action::Guest {
            at: at.clone(),
            op: op.clone(),
        };
    }
}

/// A job is run to its end by the step that starts it.
fn run_at_once(scenario: &Scenario, links: &Links, index: usize) -> Option<Edit> {
    let node = links.step(index)?;
    let works = |user: &usize| match links.nodes[*user].part {
        Part::Step(step) => matches!(
            scenario.steps[step].action,
            Action::Finish { .. }
                | Action::Advance {
                    work: Work::Job(_),
                    ..
                }
        ),
        _ => false,
    };
    let drop: Vec<usize> = users(links, node).into_iter().filter(works).collect();
    let started = matches!(
        scenario.steps[index].action,
        Action::Backup {
            run: Run::Start,
            ..
        }
    );
    started.then(|| Edit {
        drop,
        changes: vec![(Part::Step(index), Change::Step(run_to_its_end))],
        rival: None,
    })
}

fn run_to_its_end(step: &mut Step) {
    if let Action::Backup { run, .. } = &mut step.action {
        *run = Run::Finish;
    }
}

/// A job makes its target itself.
fn own_target(scenario: &Scenario, links: &Links, index: usize) -> Option<Edit> {
    let Action::Backup { backup, .. } = &scenario.steps[index].action else {
        return None;
    };
    if matches!(backup.mode, TargetMode::Create { .. }) {
        return None;
    }
    let node = links.step(index)?;
    let makes = |need: &&usize| match links.nodes[**need].part {
        Part::Step(step) => match &scenario.steps[step].action {
            Action::Create(create) => create.image == backup.target,
            _ => false,
        },
        _ => false,
    };
    let made = *links.nodes[node].needs.iter().find(makes)?;
    // The step that makes the target would take the backup along: it is made harmless instead.
    let Part::Step(create) = links.nodes[made].part else {
        return None;
    };
    Some(Edit {
        changes: vec![
            (Part::Step(index), Change::Backup(made_by_the_job)),
            (Part::Step(create), Change::Step(harmless)),
        ],
        ..Edit::default()
    })
}

fn made_by_the_job(backup: &mut blkproof_spec::step::Backup) {
    backup.mode = TargetMode::Create { format: None };
}

/// Nothing is done; a step that does nothing is taken out by the next search.
fn harmless(step: &mut Step) {
    step.action = Action::Tick(blkproof_spec::Millis(0));
}

/// A disk has its new size from the start.
fn sized(scenario: &Scenario, links: &Links, index: usize, at: &At, size: Length) -> Option<Edit> {
    let mut disks = scenario.setup.disks.iter();
    let disk = disks.position(|disk| disk.name == *at.name())?;
    Some(Edit {
        drop: vec![links.step(index)?],
        changes: vec![(Part::Disk(disk), Change::Size(size))],
        rival: None,
    })
}

/// Two writes beside each other, or over each other, are one.
fn merged(scenario: &Scenario, links: &Links, index: usize, at: &At, op: &GuestOp) -> Option<Edit> {
    let next = scenario.steps.get(index + 1)?;
    let Action::Guest {
        at: other_at,
        op: other,
    } = &next.action
    else {
        return None;
    };
    let (one, two) = (stamped(op)?, stamped(other)?);
    let apart = one.end() < two.start || two.end() < one.start;
    if at != other_at || apart {
        return None;
    }
    let hull = ByteRange::between(one.start.min(two.start), one.end().max(two.end()));
    Some(Edit {
        drop: vec![links.step(index)?],
        changes: vec![(Part::Step(index + 1), Change::Range(hull))],
        rival: None,
    })
}

fn stamped(op: &GuestOp) -> Option<ByteRange> {
    match op {
        GuestOp::Write {
            range,
            content: Content::Stamp,
            ..
        } => Some(*range),
        _ => None,
    }
}

/// Returns the nodes that need this one.
fn users(links: &Links, node: usize) -> Vec<usize> {
    let uses =
        |(index, user): (usize, &super::links::Node)| user.needs.contains(&node).then_some(index);
    links.nodes.iter().enumerate().filter_map(uses).collect()
}

/// Returns the edits that make disks smaller: what the guest does is moved to the start, and the
/// disk ends behind it, with the images that have its size.
pub(super) fn sizes(scenario: &Scenario) -> Vec<Edit> {
    let disks = scenario.setup.disks.iter().enumerate();
    let edits = disks.flat_map(|(index, disk)| {
        let unit = cluster(scenario, &disk.name);
        let size = disk.geometry.size.0;
        let touched = touched(scenario, &disk.name);
        let moved = touched.start - touched.start % unit;
        let fit = |end: u64, unit: u64| end.max(1).next_multiple_of(unit);
        let end = touched.end();
        let mut wanted = vec![
            (moved, fit(end - moved, unit)),
            (0, fit(end, unit)),
            (0, fit(end, SECTOR)),
            (0, size - size % unit),
        ];
        if end > size {
            // What goes beyond the end does so on any smaller disk.
            wanted = vec![(0, SECTOR), (0, fit(size / 2, SECTOR))];
        }
        wanted.dedup();
        let smaller = move |&(moved, to): &(u64, u64)| to > 0 && (to < size || moved > 0);
        wanted
            .into_iter()
            .filter(smaller)
            .map(move |(moved, to)| smaller_disk(scenario, index, moved, to.min(size)))
    });
    edits.collect()
}

/// Returns the smallest range around everything that the guest touches of a disk.
fn touched(scenario: &Scenario, disk: &ImageName) -> ByteRange {
    let ranges = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Guest { at, op } | Action::Start { at, op, .. } if at.name() == disk => {
            Some(op.range()).filter(|range| !range.is_empty())
        }
        _ => None,
    });
    let around = |one: ByteRange, other: ByteRange| {
        ByteRange::between(one.start.min(other.start), one.end().max(other.end()))
    };
    ranges.reduce(around).unwrap_or_default()
}

fn smaller_disk(scenario: &Scenario, disk: usize, moved: u64, to: u64) -> Edit {
    let setup = &scenario.setup.disks[disk];
    let mut changes = vec![(Part::Disk(disk), Change::Size(Length(to)))];
    for (index, step) in scenario.steps.iter().enumerate() {
        let change = match &step.action {
            Action::Create(create) if create.size == Some(setup.geometry.size) => {
                Change::Size(Length(to))
            }
            Action::Guest { at, op } | Action::Start { at, op, .. }
                if *at.name() == setup.name && moved > 0 && !op.range().is_empty() =>
            {
                let range = op.range();
                Change::Range(ByteRange::new(range.start - moved, range.len))
            }
            _ => continue,
        };
        changes.push((Part::Step(index), change));
    }
    Edit {
        drop: Vec::new(),
        changes,
        rival: Some(disk),
    }
}
