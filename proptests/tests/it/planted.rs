//! The built-in engine with a bug planted in front of it: what passes by is altered.

use blkproof::device::Store;
use blkproof::spec::step::{Action, BitmapCommand, BitmapStep, GuestOp, Run};
use blkproof::spec::{
    At, BitmapName, ByteRange, Capabilities, JobEvent, Reply, Setup, Status, StepNumber,
};
use blkproof::{Subject, SubjectError};
use blkproof_engine::Engine;

/// What the engine does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    /// Writes of more than 64 KiB lose their last sector.
    LongWritesLoseTheirTail,
    /// Discards do nothing.
    DiscardsDoNothing,
    /// A write that touches two clusters is forgotten by the disk's bitmaps.
    StraddlingWritesStayClean,
    /// A write while a job runs is forgotten by the disk's bitmaps.
    WritesBesideJobsStayClean,
    /// A failed backup by bitmap clears its bitmap.
    FailureClearsTheBitmap,
    /// Merges succeed and merge nothing.
    MergesDoNothing,
    /// A resize clears the disk's bitmaps.
    ResizesCleanBitmaps,
    /// A bitmap that is enabled again is cleared.
    EnablingClears,
    /// The second full backup of a disk is not made.
    SecondBackupIsEmpty,
    /// What was granted to a bitmap by a transaction that is taken back stays.
    AbortsKeepTheirAdds,
}

impl Bug {
    pub(crate) const ALL: [Self; 10] = [
        Self::LongWritesLoseTheirTail,
        Self::DiscardsDoNothing,
        Self::StraddlingWritesStayClean,
        Self::WritesBesideJobsStayClean,
        Self::FailureClearsTheBitmap,
        Self::MergesDoNothing,
        Self::ResizesCleanBitmaps,
        Self::EnablingClears,
        Self::SecondBackupIsEmpty,
        Self::AbortsKeepTheirAdds,
    ];
}

/// The built-in engine behind a bug.
#[derive(Debug)]
pub(crate) struct Planted {
    bug: Bug,
    engine: Engine,
    /// The bitmaps that were added, with their disks.
    bitmaps: Vec<(At, BitmapName)>,
    fulls: u32,
}

impl Planted {
    pub(crate) fn new(bug: Bug) -> Self {
        Self {
            bug,
            engine: Engine::new(),
            bitmaps: Vec::new(),
            fulls: 0,
        }
    }

    fn command(&mut self, number: StepNumber, at: &At, name: &BitmapName, command: BitmapCommand) {
        let step = BitmapStep {
            at: at.clone(),
            name: name.clone(),
            command,
        };
        let mut read = Vec::new();
        self.engine.apply(number, &Action::Bitmap(step), &mut read);
    }

    fn each_bitmap(&mut self, number: StepNumber, at: &At, command: &BitmapCommand) {
        for (disk, name) in self.bitmaps.clone() {
            if disk.name() == at.name() {
                self.command(number, &disk, &name, command.clone());
            }
        }
    }

    /// Carries out a write that no bitmap records.
    fn unrecorded(
        &mut self,
        number: StepNumber,
        at: &At,
        action: &Action,
        read: &mut Vec<u8>,
    ) -> Reply {
        let mut status = Status::default();
        self.engine.status(&mut status);
        let mut stopped = Vec::new();
        for (disk, name) in self.bitmaps.clone() {
            let recording = status
                .bitmap(disk.name(), &name)
                .is_some_and(|bitmap| bitmap.recording && !bitmap.busy);
            if disk.name() == at.name() && recording {
                self.command(number, &disk, &name, BitmapCommand::Disable);
                stopped.push((disk, name));
            }
        }
        let reply = self.engine.apply(number, action, read);
        for (disk, name) in stopped {
            self.command(number, &disk, &name, BitmapCommand::Enable);
        }
        reply
    }

    fn is_busy(&mut self) -> bool {
        let mut status = Status::default();
        self.engine.status(&mut status);
        !status.jobs.is_empty()
    }

    fn guest(
        &mut self,
        number: StepNumber,
        at: &At,
        op: &GuestOp,
        action: &Action,
        read: &mut Vec<u8>,
    ) -> Reply {
        let cluster = 64 << 10;
        match (self.bug, op) {
            (Bug::LongWritesLoseTheirTail, GuestOp::Write { range, .. }) if range.len > cluster => {
                let mut shorter = op.clone();
                if let GuestOp::Write { range, .. } = &mut shorter {
                    *range = ByteRange::new(range.start, range.len - 512);
                }
                let at = at.clone();
                let action = Action::Guest { at, op: shorter };
                self.engine.apply(number, &action, read)
            }
            (Bug::DiscardsDoNothing, GuestOp::Discard { .. }) => Reply::Done,
            (Bug::StraddlingWritesStayClean, GuestOp::Write { range, .. })
                if range.start / cluster != (range.end() - 1) / cluster =>
            {
                self.unrecorded(number, at, action, read)
            }
            (Bug::WritesBesideJobsStayClean, GuestOp::Write { .. }) if self.is_busy() => {
                self.unrecorded(number, at, action, read)
            }
            _ => self.engine.apply(number, action, read),
        }
    }

    fn note(&mut self, step: &BitmapStep) {
        if matches!(step.command, BitmapCommand::Add { .. }) {
            self.bitmaps.push((step.at.clone(), step.name.clone()));
        }
    }

    fn bitmap(
        &mut self,
        number: StepNumber,
        step: &BitmapStep,
        action: &Action,
        read: &mut Vec<u8>,
    ) -> Reply {
        if self.bug == Bug::MergesDoNothing && matches!(step.command, BitmapCommand::Merge { .. }) {
            return Reply::Done;
        }
        let reply = self.engine.apply(number, action, read);
        if reply == Reply::Done {
            self.note(step);
            if self.bug == Bug::EnablingClears && step.command == BitmapCommand::Enable {
                self.command(number, &step.at, &step.name, BitmapCommand::Clear);
            }
        }
        reply
    }

    fn backup(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        let Action::Backup { backup, run } = action else {
            return Reply::Done;
        };
        self.fulls += u32::from(backup.bitmap.is_none());
        if self.bug == Bug::SecondBackupIsEmpty && self.fulls == 2 && backup.bitmap.is_none() {
            let mut other = backup.clone();
            other.sync = blkproof::spec::step::Sync::None;
            let action = Action::Backup {
                backup: other,
                run: *run,
            };
            return self.engine.apply(number, &action, read);
        }
        let reply = self.engine.apply(number, action, read);
        let failed = matches!(reply, Reply::Failed(_)) && *run == Run::Finish;
        let clears = self.bug == Bug::FailureClearsTheBitmap && failed;
        if let Some(bitmap) = backup.bitmap.as_ref().filter(|_| clears) {
            self.command(number, &backup.at, bitmap, BitmapCommand::Clear);
        }
        reply
    }

    fn transaction(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        use blkproof::spec::step::TransactionAction;
        let reply = self.engine.apply(number, action, read);
        let Action::Transaction { actions, .. } = action else {
            return reply;
        };
        let adds: Vec<BitmapStep> = actions
            .iter()
            .filter_map(|action| match action {
                TransactionAction::Bitmap(step) => Some(step.clone()),
                _ => None,
            })
            .collect();
        for step in adds {
            let kept = self.bug == Bug::AbortsKeepTheirAdds && reply != Reply::Done;
            if kept && matches!(step.command, BitmapCommand::Add { .. }) {
                self.command(number, &step.at, &step.name, step.command.clone());
            }
            if reply == Reply::Done || kept {
                self.note(&step);
            }
        }
        reply
    }
}

impl Subject for Planted {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.fulls = 0;
        self.engine.prepare(store, setup)
    }

    fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.bitmaps.clear();
        self.engine.open(store, setup)
    }

    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        match action {
            Action::Guest { at, op } => self.guest(number, at, op, action, read),
            Action::Bitmap(step) => self.bitmap(number, step, action, read),
            Action::Backup { .. } => self.backup(number, action, read),
            Action::Transaction { .. } => self.transaction(number, action, read),
            Action::Resize { at, .. } => {
                let reply = self.engine.apply(number, action, read);
                if self.bug == Bug::ResizesCleanBitmaps && reply == Reply::Done {
                    self.each_bitmap(number, at, &BitmapCommand::Clear);
                }
                reply
            }
            _ => self.engine.apply(number, action, read),
        }
    }

    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        self.engine.peek(at, range, buf)
    }

    fn status(&mut self, status: &mut Status) {
        self.engine.status(status);
    }

    fn drain_events(&mut self, events: &mut Vec<JobEvent>) {
        self.engine.drain_events(events);
    }

    fn close(&mut self) -> Result<(), SubjectError> {
        self.engine.close()
    }
}
