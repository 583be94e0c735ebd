//! Transactions: several actions at one moment, all or none.
//!
//! All disks are drained for the whole of it. Actions are prepared in order, and what one did is
//! seen by the next; then all are committed, or those that were prepared taken back, in reverse
//! order.

use blkproof_spec::step::{CompletionMode, Sync, TransactionAction};
use blkproof_spec::{JobState, Refusal, Reply};

use crate::bitmaps::Undo;
use crate::bugs::Bug;
use crate::job::JobSerial;
use crate::machine::Machine;
use crate::stop::Stop;

/// An action that was prepared.
enum Prepared {
    Bitmap(Undo),
    Backup(JobSerial),
}

impl Machine {
    /// Carries out a transaction.
    pub(crate) fn transaction(
        &mut self,
        actions: &[TransactionAction],
        mode: CompletionMode,
    ) -> Result<Reply, Stop> {
        let grouped = mode == CompletionMode::Grouped;
        let only_backups = actions
            .iter()
            .all(|action| matches!(action, TransactionAction::Backup(_)));
        if grouped && !only_backups {
            return Err(Refusal::GroupedUnsupported.into());
        }
        if !self.bugs.has(Bug::StartIsNotDrained) {
            self.drain(|_| true).map_err(|_| Refusal::CannotDrain)?;
        }
        let group = grouped.then(|| {
            self.groups_made += 1;
            self.groups_made
        });
        let mut prepared = Vec::with_capacity(actions.len());
        for action in actions {
            let alone = !prepared
                .iter()
                .any(|done| matches!(done, Prepared::Backup(_)));
            match self.prepare_action(action, group, alone) {
                Ok(done) => prepared.push(done),
                Err(stop) => {
                    self.abort_actions(prepared, action);
                    return Err(stop);
                }
            }
        }
        for done in prepared.iter().rev() {
            self.commit_action(done);
        }
        Ok(Reply::Done)
    }

    fn prepare_action(
        &mut self,
        action: &TransactionAction,
        group: Option<u32>,
        first_backup: bool,
    ) -> Result<Prepared, Stop> {
        match action {
            TransactionAction::Abort => Err(Refusal::TransactionAborted.into()),
            TransactionAction::Bitmap(step) => self.prepare_bitmap(step).map(Prepared::Bitmap),
            TransactionAction::Backup(backup)
                if self.bugs.has(Bug::SecondDiskUntracked) && !first_backup =>
            {
                let mut untracked = (**backup).clone();
                untracked.sync = Sync::Full;
                untracked.bitmap = None;
                untracked.bitmap_mode = None;
                Ok(Prepared::Backup(self.create_job(&untracked, group)?))
            }
            TransactionAction::Backup(backup) => {
                let job = self.create_job(backup, group)?;
                if self.bugs.has(Bug::SiblingComesLate)
                    && !first_backup
                    && let Some(index) = self.job_index(job)
                {
                    self.jobs[index].copier.come_late();
                }
                Ok(Prepared::Backup(job))
            }
        }
    }

    /// Takes back what was prepared before `refused` was refused, the last one first.
    fn abort_actions(&mut self, mut prepared: Vec<Prepared>, refused: &TransactionAction) {
        if self.bugs.has(Bug::UndoOfWhatNeverRan)
            && let TransactionAction::Bitmap(step) = refused
        {
            self.abort_unprepared(step);
        }
        if !self.bugs.has(Bug::UndoForward) {
            prepared.reverse();
        }
        for done in prepared {
            self.abort_action(done);
        }
    }

    fn commit_action(&mut self, action: &Prepared) {
        match action {
            Prepared::Bitmap(undo) if self.bugs.has(Bug::RemoveKeeps) && undo.is_removal() => {
                self.keep_bitmap(undo);
            }
            Prepared::Bitmap(undo) => self.commit_bitmap(undo),
            Prepared::Backup(job) => self.start_job(*job),
        }
    }

    fn abort_action(&mut self, action: Prepared) {
        match action {
            Prepared::Bitmap(undo) => self.abort_bitmap(undo),
            Prepared::Backup(job) if self.bugs.has(Bug::RollbackKeepsJob) => self.start_job(job),
            Prepared::Backup(job) => self.abort_created(job),
        }
    }

    /// Lets a job that was created run.
    pub(crate) fn start_job(&mut self, job: JobSerial) {
        if let Some(index) = self.job_index(job) {
            self.enter(index, JobState::Running);
        }
    }
}
