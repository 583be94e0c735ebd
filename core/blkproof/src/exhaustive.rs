//! All small scenarios: a bound that is small enough to leave nothing out of it.
//!
//! Most bugs of incremental backup need one disk of a few clusters, two or three guest writes and
//! two backups. This module enumerates every such scenario, each once, in a fixed order; with
//! [`sweep`](crate::sweep), every single fault of each can be tried too.
//!
//! **In the bound:** one qcow2 disk of four 64 KiB clusters whose second cluster holds data; a
//! bitmap; a full backup; an incremental backup that is stepped through; a second incremental
//! backup; a restart at the end. Up to `n` guest steps, in every order and each at every moment of
//! [`Moment`]: before the full backup, between the backups, after three moments of the first
//! increment, and between the increments. Each guest step is one of [`GuestStep`]: a whole cluster,
//! a sector, a write across a cluster border, the last cluster, zeroes, a discard, growing and
//! shrinking by a cluster, and a flush.
//!
//! **Not in it:** several disks, transactions, several bitmaps, other cluster sizes, requests in
//! flight, error policies other than the default, and two faults at once. Those are for campaigns.

use blkproof_spec::step::Create;
use blkproof_spec::{Format, Length, SECTOR, Scenario};

use crate::build::{ScenarioBuilder, backup, scenario, stamp};

const CLUSTER: u64 = 64 << 10;
const SIZE: u64 = 4 * CLUSTER;

/// A guest step of the enumeration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GuestStep {
    /// The first cluster is written.
    WriteFirst,
    /// The last sector of the second cluster and the first of the third are written.
    WriteAcross,
    /// A sector of the second cluster is written, over what is there.
    WriteSector,
    /// The last cluster is written.
    WriteLast,
    /// The second cluster is zeroed.
    Zero,
    /// The second and the third cluster are discarded.
    Discard,
    /// The disk grows by a cluster.
    Grow,
    /// The disk shrinks by a cluster.
    Shrink,
    /// The disk is flushed.
    Flush,
}

impl GuestStep {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::WriteFirst,
        Self::WriteAcross,
        Self::WriteSector,
        Self::WriteLast,
        Self::Zero,
        Self::Discard,
        Self::Grow,
        Self::Shrink,
        Self::Flush,
    ];
}

/// When a guest step happens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Moment {
    /// Before the full backup, after the bitmap was added.
    BeforeFull,
    /// Between the full backup and the first increment.
    BeforeFirst,
    /// The first increment was started and did nothing yet.
    FirstStarted,
    /// The first increment did two units of its work.
    FirstBegun,
    /// The first increment did six units of its work.
    FirstUnderWay,
    /// Between the increments.
    BeforeSecond,
}

impl Moment {
    /// All of them, in the order in which they come.
    pub const ALL: [Self; 6] = [
        Self::BeforeFull,
        Self::BeforeFirst,
        Self::FirstStarted,
        Self::FirstBegun,
        Self::FirstUnderWay,
        Self::BeforeSecond,
    ];
}

/// Returns every scenario with exactly this many guest steps: `9^n` orders of steps at each of the
/// ways to spread `n` steps over six moments.
pub fn scenarios(guest_steps: u32) -> impl Iterator<Item = Scenario> {
    spreads(guest_steps).flat_map(move |moments| {
        let orders = (GuestStep::ALL.len() as u64).pow(guest_steps);
        (0..orders).map(move |order| make(&moments, order))
    })
}

/// Returns how many scenarios there are with exactly this many guest steps.
#[must_use]
pub fn count(guest_steps: u32) -> u64 {
    let orders = (GuestStep::ALL.len() as u64).pow(guest_steps);
    orders * spreads(guest_steps).count() as u64
}

/// Returns the moments of `count` steps, never descending, in every way.
fn spreads(count: u32) -> impl Iterator<Item = Vec<Moment>> {
    let mut next = Some(vec![0; count as usize]);
    core::iter::from_fn(move || {
        let indexes = next.take()?;
        let moments = indexes.iter().map(|index| Moment::ALL[*index]).collect();
        next = successor(indexes);
        Some(moments)
    })
}

/// Returns what follows these ascending indexes of moments in lexicographic order.
fn successor(mut indexes: Vec<usize>) -> Option<Vec<usize>> {
    let last = Moment::ALL.len() - 1;
    let place = indexes.iter().rposition(|index| *index < last)?;
    let value = indexes[place] + 1;
    indexes[place..].fill(value);
    Some(indexes)
}

/// Makes the scenario of guest steps at these moments; `order` has the steps as its digits.
fn make(moments: &[Moment], mut order: u64) -> Scenario {
    let kinds = GuestStep::ALL.len() as u64;
    let guest: Vec<(Moment, GuestStep)> = moments
        .iter()
        .map(|moment| {
            let kind = usize::try_from(order % kinds).expect("a digit is small");
            order /= kinds;
            (*moment, GuestStep::ALL[kind])
        })
        .collect();
    let names: Vec<String> = guest
        .iter()
        .map(|(moment, step)| format!("{step:?} {moment:?}"))
        .collect();
    let mut made = Made {
        guest,
        size: SIZE,
        builder: scenario(&names.join(", ")).disk("d", SIZE),
    };
    made.builder = made.builder.write("d", CLUSTER, CLUSTER, stamp());
    made.step(|builder, _| builder.bitmap_add("d", "b"));
    made.guest_at(Moment::BeforeFull);
    made.step(|builder, _| builder.backup(backup("d").full("full")));
    made.step(|builder, _| builder.bitmap_clear("d", "b"));
    made.guest_at(Moment::BeforeFirst);
    made.step(|builder, size| increment_target(builder, "inc0", "full", size));
    made.step(|builder, _| {
        builder.start_backup(backup("d").incremental("b", "inc0").existing().id("j"))
    });
    made.guest_at(Moment::FirstStarted);
    made.step(|builder, _| builder.advance("j", 2));
    made.guest_at(Moment::FirstBegun);
    made.step(|builder, _| builder.advance("j", 4));
    made.guest_at(Moment::FirstUnderWay);
    made.step(|builder, _| builder.finish_job("j"));
    made.guest_at(Moment::BeforeSecond);
    made.step(|builder, size| increment_target(builder, "inc1", "inc0", size));
    made.step(|builder, _| builder.backup(backup("d").incremental("b", "inc1").existing()));
    made.step(|builder, _| builder.restart());
    made.builder.finish()
}

/// A scenario in the making. The scenario states nothing about its steps: a disk that changed its
/// size between the backups makes some of them illegal, which the model knows.
struct Made {
    guest: Vec<(Moment, GuestStep)>,
    size: u64,
    builder: ScenarioBuilder,
}

impl Made {
    fn step(&mut self, add: impl FnOnce(ScenarioBuilder, u64) -> ScenarioBuilder) {
        let builder = core::mem::replace(&mut self.builder, scenario(""));
        self.builder = add(builder, self.size).may_do_anything();
    }

    fn guest_at(&mut self, moment: Moment) {
        let guest = core::mem::take(&mut self.guest);
        for (_, step) in guest.iter().filter(|(when, _)| *when == moment) {
            // A disk that is being backed up cannot be resized.
            let still = matches!(
                moment,
                Moment::BeforeFull | Moment::BeforeFirst | Moment::BeforeSecond
            );
            let resized = match step {
                GuestStep::Grow => self.size + CLUSTER,
                GuestStep::Shrink => self.size.saturating_sub(CLUSTER).max(CLUSTER),
                _ => self.size,
            };
            self.step(|builder, size| guest_step(builder, *step, size, resized));
            if still {
                self.size = resized;
            }
        }
        self.guest = guest;
    }
}

fn guest_step(
    builder: ScenarioBuilder,
    step: GuestStep,
    size: u64,
    resized: u64,
) -> ScenarioBuilder {
    match step {
        GuestStep::WriteFirst => builder.write("d", 0, CLUSTER, stamp()),
        GuestStep::WriteAcross => builder.write("d", 2 * CLUSTER - SECTOR, 2 * SECTOR, stamp()),
        GuestStep::WriteSector => builder.write("d", CLUSTER + 4 * SECTOR, SECTOR, stamp()),
        GuestStep::WriteLast => builder.write("d", size - CLUSTER, CLUSTER, stamp()),
        GuestStep::Zero => builder.write_zeroes("d", CLUSTER, CLUSTER, true),
        GuestStep::Discard => builder.discard("d", CLUSTER, 2 * CLUSTER),
        GuestStep::Grow | GuestStep::Shrink => builder.resize("d", resized),
        GuestStep::Flush => builder.flush("d"),
    }
}

fn increment_target(
    builder: ScenarioBuilder,
    name: &str,
    base: &str,
    size: u64,
) -> ScenarioBuilder {
    builder.create_with(Create {
        image: name.into(),
        size: Some(Length(size)),
        format: Format::Qcow2,
        cluster: Length(CLUSTER),
        backing: Some(base.into()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{count, scenarios};

    #[test]
    fn nothing_is_enumerated_twice_or_left_out() {
        for steps in 0..=2 {
            let print = |mut scenario: blkproof_spec::Scenario| {
                scenario.title = None;
                crate::text::print(&scenario)
            };
            let texts: Vec<String> = scenarios(steps).map(print).collect();
            let distinct: BTreeSet<&String> = texts.iter().collect();
            assert_eq!(distinct.len(), texts.len());
            assert_eq!(texts.len() as u64, count(steps));
        }
        // Multisets of 3 of 6 moments, times 9 * 9 * 9.
        assert_eq!(count(3), 56 * 729);
    }
}
