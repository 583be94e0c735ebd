//! Edits: what makes a scenario smaller or simpler, a few of them at once.
//!
//! All edits of one search refer to the parts of one scenario, so that any set of them can be
//! applied together, in any order in which they were found to be good.

use blkproof_spec::step::{
    Action, Backup, BitmapCommand, BitmapStep, Create, Expect, GuestOp, Run, TransactionAction,
};
use blkproof_spec::{
    At, ByteRange, DiskSetup, FaultRule, ImageName, Length, Scenario, Setup, Step,
};

use super::links::{Links, Node, Part};
use super::search::Rivalry;

/// Something that may be taken out or made simpler; all of it or nothing.
#[derive(Clone, Default, Debug)]
pub(super) struct Edit {
    /// The nodes that are taken out, with whatever cannot be without them.
    pub(super) drop: Vec<usize>,
    /// What becomes simpler.
    pub(super) changes: Vec<(Part, Change)>,
    /// Where several edits have the same number here, at most one of them is applied.
    pub(super) rival: Option<usize>,
}

/// What becomes simpler of a part. A change to something that the part is not does nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// Any step.
    Step(fn(&mut Step)),
    /// A guest request; it is told the cluster size of its disk.
    Op(fn(&mut GuestOp, u64), u64),
    /// A backup, also within a transaction.
    Backup(fn(&mut Backup)),
    /// A bitmap command, also within a transaction.
    Bitmap(fn(&mut BitmapStep)),
    /// An image that is made.
    Create(fn(&mut Create)),
    /// A fault rule, of the setup or installed by a step.
    Rule(fn(&mut FaultRule)),
    /// A disk of the setup.
    Disk(fn(&mut DiskSetup)),
    /// The setup as a whole.
    Setup(fn(&mut Setup)),
    /// A disk or an image that is made gets this size.
    Size(Length),
    /// A guest request goes here.
    Range(ByteRange),
    /// A step says this of its answer.
    Expect(Expect),
}

impl Rivalry for Edit {
    fn rival(&self) -> Option<usize> {
        self.rival
    }
}

impl Edit {
    /// Takes out a node.
    pub(super) fn drop(node: usize) -> Self {
        Self {
            drop: vec![node],
            ..Self::default()
        }
    }

    /// Makes a part simpler.
    pub(super) fn change(part: Part, change: Change) -> Self {
        Self {
            changes: vec![(part, change)],
            ..Self::default()
        }
    }
}

/// Applies edits to the scenario that they refer to. Returns `None` where that takes out the node
/// that must stay.
pub(super) fn apply<'a>(
    base: &Scenario,
    links: &Links,
    stays: Option<usize>,
    edits: impl Iterator<Item = &'a Edit> + Clone,
) -> Option<Scenario> {
    let mut dropped = vec![false; links.nodes.len()];
    for node in edits.clone().flat_map(|edit| &edit.drop) {
        dropped[*node] = true;
    }
    links.close(&mut dropped);
    if stays.is_some_and(|node| dropped[node]) {
        return None;
    }
    let mut out = base.clone();
    for (part, change) in edits.flat_map(|edit| &edit.changes) {
        make(&mut out, *part, *change);
    }
    take_out(&mut out, links, &dropped);
    Some(out)
}

/// Makes one part simpler.
pub(super) fn make(scenario: &mut Scenario, part: Part, change: Change) {
    match (change, part) {
        (Change::Setup(simpler), _) => simpler(&mut scenario.setup),
        (Change::Disk(simpler), Part::Disk(index)) => simpler(&mut scenario.setup.disks[index]),
        (Change::Size(size), Part::Disk(index)) => {
            let disk = &mut scenario.setup.disks[index];
            disk.geometry.size = size;
            clip(&mut disk.contents, size);
        }
        (Change::Rule(simpler), Part::Rule(index)) => simpler(&mut scenario.setup.rules[index]),
        (change, Part::Step(index)) => make_step(&mut scenario.steps[index], None, change),
        (change, Part::Action(step, index)) => {
            make_step(&mut scenario.steps[step], Some(index), change);
        }
        _ => {}
    }
}

/// Leaves of a disk's contents what lies on it.
fn clip(contents: &mut Vec<(ByteRange, u8)>, size: Length) {
    for (range, _) in contents.iter_mut() {
        *range = range.intersect(ByteRange::new(0, size.0));
    }
    contents.retain(|(range, _)| !range.is_empty());
}

/// Makes a step, or one action of its transaction, simpler.
pub(super) fn make_step(step: &mut Step, action: Option<usize>, change: Change) {
    if let Some(index) = action {
        if let Action::Transaction { actions, .. } = &mut step.action {
            make_action(&mut actions[index], change);
        }
        return;
    }
    match (change, &mut step.action) {
        (Change::Step(simpler), _) => simpler(step),
        (Change::Expect(expect), _) => step.expect = expect,
        (Change::Op(simpler, cluster), Action::Guest { op, .. } | Action::Start { op, .. }) => {
            simpler(op, cluster);
        }
        (Change::Range(to), Action::Guest { op, .. } | Action::Start { op, .. }) => {
            if let Some(range) = range_mut(op) {
                *range = to;
            }
        }
        (Change::Backup(simpler), Action::Backup { backup, .. }) => simpler(backup),
        (Change::Bitmap(simpler), Action::Bitmap(bitmap)) => simpler(bitmap),
        (Change::Create(simpler), Action::Create(create)) => simpler(create),
        (Change::Size(size), Action::Create(create)) => create.size = Some(size),
        (Change::Size(size), Action::Resize { size: old, .. }) => *old = size,
        (Change::Rule(simpler), Action::Install(rule)) => simpler(rule),
        _ => {}
    }
}

fn make_action(action: &mut TransactionAction, change: Change) {
    match (change, action) {
        (Change::Backup(simpler), TransactionAction::Backup(backup)) => simpler(backup),
        (Change::Bitmap(simpler), TransactionAction::Bitmap(bitmap)) => simpler(bitmap),
        _ => {}
    }
}

/// Returns where a request goes; a flush goes nowhere.
pub(super) fn range_mut(op: &mut GuestOp) -> Option<&mut ByteRange> {
    match op {
        GuestOp::Write { range, .. }
        | GuestOp::WriteZeroes { range, .. }
        | GuestOp::Discard { range }
        | GuestOp::Read { range } => Some(range),
        GuestOp::Flush => None,
    }
}

/// Turns a transaction of one action into the step that does the same alone.
pub(super) fn flatten(step: &mut Step) {
    let Action::Transaction { actions, .. } = &mut step.action else {
        return;
    };
    if actions.len() == 1 {
        match actions.pop() {
            Some(TransactionAction::Bitmap(bitmap)) => step.action = Action::Bitmap(bitmap),
            Some(TransactionAction::Backup(backup)) => {
                step.action = Action::Backup {
                    backup,
                    run: Run::Start,
                };
            }
            other => actions.extend(other),
        }
    }
}

/// Takes parts out, and mends those that stay.
fn take_out(scenario: &mut Scenario, links: &Links, dropped: &[bool]) {
    let mut actions_left = Vec::new();
    let mut steps_left = vec![true; scenario.steps.len()];
    let mut disks_left = vec![true; scenario.setup.disks.len()];
    let mut rules_left = vec![true; scenario.setup.rules.len()];
    for (node, is_dropped) in links.nodes.iter().zip(dropped) {
        match node.part {
            Part::Disk(index) => {
                disks_left[index] = !is_dropped;
                let backing = &mut scenario.setup.disks[index].backing;
                mend_backing(backing, node, dropped);
            }
            Part::Rule(index) => rules_left[index] = !is_dropped,
            Part::Step(index) => {
                steps_left[index] = !is_dropped;
                mend(&mut scenario.steps[index].action, node, dropped);
            }
            Part::Action(step, index) => actions_left.push((step, index, !is_dropped, node)),
        }
    }
    mend_transactions(scenario, &actions_left, &mut steps_left, dropped);
    retain(&mut scenario.setup.disks, &disks_left);
    retain(&mut scenario.setup.rules, &rules_left);
    retain(&mut scenario.steps, &steps_left);
}

/// Takes actions out of transactions; one that has none left goes too.
fn mend_transactions(
    scenario: &mut Scenario,
    actions_left: &[(usize, usize, bool, &Node)],
    steps_left: &mut [bool],
    dropped: &[bool],
) {
    for group in actions_left.chunk_by(|one, other| one.0 == other.0) {
        let step = group[0].0;
        let Action::Transaction { actions, .. } = &mut scenario.steps[step].action else {
            continue;
        };
        for (action, (_, _, _, node)) in actions.iter_mut().zip(group) {
            if let TransactionAction::Bitmap(bitmap) = action {
                mend_merge(bitmap, node, dropped);
            }
        }
        let left: Vec<bool> = group.iter().map(|(_, _, left, _)| *left).collect();
        retain(actions, &left);
        steps_left[step] &= !actions.is_empty();
    }
}

fn mend(action: &mut Action, node: &Node, dropped: &[bool]) {
    match action {
        Action::Create(create) => {
            mend_backing(&mut create.backing, node, dropped);
            if create.backing.is_none() {
                create.size = create.size.or(node.size);
            }
        }
        Action::Bitmap(bitmap) => mend_merge(bitmap, node, dropped),
        _ => {}
    }
}

/// What stood on an image that is gone stands on what that one stood on.
fn mend_backing(backing: &mut Option<ImageName>, node: &Node, dropped: &[bool]) {
    let gone = node.chain.first().is_some_and(|(made, _)| dropped[*made]);
    if backing.is_some() && gone {
        let left = node.chain.iter().find(|(made, _)| !dropped[*made]);
        *backing = left.map(|(_, name)| name.clone());
    }
}

fn mend_merge(bitmap: &mut BitmapStep, node: &Node, dropped: &[bool]) {
    if let BitmapCommand::Merge { sources } = &mut bitmap.command {
        let left: Vec<bool> = node
            .sources
            .iter()
            .map(|made| made.is_none_or(|made| !dropped[made]))
            .collect();
        retain(sources, &left);
    }
}

/// Keeps the items whose mark is set; items without a mark stay.
fn retain<T>(items: &mut Vec<T>, left: &[bool]) {
    let mut marks = left.iter();
    items.retain(|_| marks.next().copied().unwrap_or(true));
}

/// Addresses a disk as a device, the plain way.
pub(super) fn as_device(at: &mut At) {
    if let At::Node(name) = at {
        *at = At::Device(name.clone());
    }
}
