//! What one call of a subject may ask of its devices before it counts as work without end.
//!
//! A subject that never stops asking has to be stopped, and one that works legally must never be,
//! however much it was given to do. So the bound follows from the scenario: from the data that it
//! has written or read, from the tables that its images need, and from how many backups may move
//! all of that in one call. What has no end legally, a job that ignores a lasting error, strikes a
//! fault each time around: a strike allows as much again, as often as a step has units of work.

use blkproof_spec::step::{Action, Backup, Create, GuestOp, TransactionAction};
use blkproof_spec::{ByteRange, Geometry, Length, Scenario};

/// What any call may ask for.
const LEAST: u64 = 1 << 20;

/// How many requests and KiB it may take to move a KiB once: its bytes are read and written, in
/// clusters of 512 bytes at worst, each of which has an entry in two tables.
const PER_KIB: u64 = 16;

/// How much of an image is read though it holds nothing, by a subject that does not ask what it
/// holds. Nobody copies terabytes in that way.
const DENSE_MAX: u64 = 4 << 30;

/// How many bytes of tables there are to a cluster: where it lies, and how often it is used.
const TABLES_PER_CLUSTER: u64 = 16;

const KIB: u64 = 1 << 10;

/// What one call of a subject may ask of its devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Allowance {
    /// How many requests and KiB of their data, from the beginning or the last strike of a fault.
    pub(super) work: u64,
    /// How many strikes allow as much again.
    pub(super) renewals: u64,
}

impl Allowance {
    /// Returns what a call may ask for in this scenario.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let mut needs = Needs::of(scenario);
        for step in &scenario.steps {
            needs.step(&step.action);
        }
        Self {
            work: needs.work(),
            renewals: scenario.setup.limits.units_per_step.0,
        }
    }
}

/// What a scenario gives its subject to do.
struct Needs {
    /// The largest unit in which anything is copied.
    cluster: u64,
    /// The size of the largest disk or image.
    largest: u64,
    /// The bytes that are written or read.
    data: u64,
    /// The clusters that all images together have.
    clusters: u64,
    /// The backups that may run.
    backups: u64,
}

impl Needs {
    /// Returns what the setup gives to do, with the units and sizes that steps bring.
    fn of(scenario: &Scenario) -> Self {
        let setup = &scenario.setup;
        let mut needs = Self {
            cluster: Geometry::DEFAULT_CLUSTER.0,
            largest: 0,
            data: 0,
            clusters: 0,
            backups: 0,
        };
        for disk in &setup.disks {
            needs.shape(disk.geometry.size, disk.geometry.cluster);
        }
        for step in &scenario.steps {
            match &step.action {
                Action::Resize { size, .. } => needs.shape(*size, Length(0)),
                Action::Create(create) => {
                    needs.shape(create.size.unwrap_or_default(), create.cluster);
                }
                Action::Backup { backup, .. } => needs.unit(backup),
                Action::Transaction { actions, .. } => {
                    for action in actions {
                        if let TransactionAction::Backup(backup) = action {
                            needs.unit(backup);
                        }
                    }
                }
                _ => {}
            }
        }
        for disk in &setup.disks {
            needs.image(disk.geometry.cluster);
            for (range, _) in &disk.contents {
                needs.moves(*range);
            }
        }
        needs
    }

    fn shape(&mut self, size: Length, cluster: Length) {
        self.largest = self.largest.max(size.0);
        self.cluster = self.cluster.max(cluster.0);
    }

    fn unit(&mut self, backup: &Backup) {
        let cluster = backup.min_cluster.unwrap_or_default();
        self.cluster = self.cluster.max(cluster.0);
    }

    /// Takes in an image, which may be, or become, as large as any.
    fn image(&mut self, cluster: Length) {
        self.data = self.data.saturating_add(self.largest.min(DENSE_MAX));
        let clusters = self.largest.div_ceil(cluster.0.max(512));
        self.clusters = self.clusters.saturating_add(clusters);
    }

    /// Takes in that data is moved there, in whole units.
    fn moves(&mut self, range: ByteRange) {
        let moved = range.len.saturating_add(2 * self.cluster);
        self.data = self.data.saturating_add(moved);
    }

    fn step(&mut self, action: &Action) {
        match action {
            Action::Guest { op, .. } | Action::Start { op, .. } => self.guest(op),
            Action::Create(Create { cluster, .. }) => self.image(*cluster),
            Action::Backup { .. } => self.backup(),
            Action::Transaction { actions, .. } => {
                for action in actions {
                    if let TransactionAction::Backup(_) = action {
                        self.backup();
                    }
                }
            }
            _ => {}
        }
    }

    fn guest(&mut self, op: &GuestOp) {
        match op {
            GuestOp::Write { range, .. } | GuestOp::Read { range } => self.moves(*range),
            // Only the clusters at both ends are written.
            GuestOp::WriteZeroes { range, .. } | GuestOp::Discard { range } => {
                self.moves(ByteRange::new(range.start, 0));
            }
            GuestOp::Flush => {}
        }
    }

    fn backup(&mut self) {
        self.backups += 1;
        self.image(Geometry::DEFAULT_CLUSTER);
    }

    fn work(&self) -> u64 {
        let tables = self.clusters.saturating_mul(TABLES_PER_CLUSTER);
        let all = self.data.saturating_add(tables) / KIB;
        let once = all.saturating_mul(PER_KIB);
        once.saturating_mul(1 + self.backups).saturating_add(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use blkproof_spec::Units;

    use super::{Allowance, DENSE_MAX, LEAST, PER_KIB};
    use crate::build::{ScenarioBuilder, backup, fill, scenario};

    const M: u64 = 1 << 20;

    fn work(builder: ScenarioBuilder) -> u64 {
        Allowance::of(&builder.finish()).work
    }

    #[test]
    fn a_call_may_move_all_that_was_written_and_each_backup_once_more() {
        let disk = || scenario("").disk("d", 1 << 30);
        let written = work(disk().write("d", 0, 600 * M, fill(1)));
        assert!(written > LEAST + 600 * (M >> 10) * 2, "{written}");
        let copied = disk().write("d", 0, 600 * M, fill(1));
        let copied = work(copied.backup(backup("d").full("t")));
        assert!(copied > 2 * (written - LEAST), "{copied}");
    }

    #[test]
    fn what_terabytes_hold_nothing_need_is_tables() {
        let disk = |size| work(scenario("").disk("d", size).flush("d"));
        assert_eq!(disk(M), LEAST + (M >> 10) * PER_KIB);
        // A TiB has 2^24 clusters with 16 bytes of tables each.
        let tables = 1 << 18;
        assert_eq!(
            disk(1 << 40),
            LEAST + ((DENSE_MAX >> 10) + tables) * PER_KIB
        );
        let many = scenario("")
            .disk("d", M)
            .write("d", 0, u64::MAX - M, fill(1));
        assert_eq!(work(many), u64::MAX / (1 << 10) * PER_KIB + LEAST);
    }

    #[test]
    fn faults_allow_as_much_again_as_often_as_a_step_has_units() {
        let mut scenario = scenario("").disk("d", M).finish();
        scenario.setup.limits.units_per_step = Units(7);
        assert_eq!(Allowance::of(&scenario).renewals, 7);
    }
}
