//! Transactions: several actions at one moment, all or none.
//!
//! All disks are drained for the whole of it. Actions are prepared in order, and what one did is
//! seen by the next; then all are committed, or those that were prepared taken back, in reverse
//! order.

use blkproof_spec::step::{CompletionMode, TransactionAction};
use blkproof_spec::{JobState, Refusal, Reply};

use crate::bitmaps::Undo;
use crate::job::JobSerial;
use crate::machine::Machine;

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
    ) -> Result<Reply, Refusal> {
        let grouped = mode == CompletionMode::Grouped;
        let only_backups = actions
            .iter()
            .all(|action| matches!(action, TransactionAction::Backup(_)));
        if grouped && !only_backups {
            return Err(Refusal::GroupedUnsupported);
        }
        self.drain(|_| true).map_err(|_| Refusal::CannotDrain)?;
        let group = grouped.then(|| {
            self.groups_made += 1;
            self.groups_made
        });
        let mut prepared = Vec::with_capacity(actions.len());
        for action in actions {
            match self.prepare_action(action, group) {
                Ok(done) => prepared.push(done),
                Err(refusal) => {
                    for done in prepared.into_iter().rev() {
                        self.abort_action(done);
                    }
                    return Err(refusal);
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
    ) -> Result<Prepared, Refusal> {
        match action {
            TransactionAction::Abort => Err(Refusal::TransactionAborted),
            TransactionAction::Bitmap(step) => self.prepare_bitmap(step).map(Prepared::Bitmap),
            TransactionAction::Backup(backup) => {
                self.create_job(backup, group).map(Prepared::Backup)
            }
        }
    }

    fn commit_action(&mut self, action: &Prepared) {
        match action {
            Prepared::Bitmap(undo) => self.commit_bitmap(undo),
            Prepared::Backup(job) => self.start_job(*job),
        }
    }

    fn abort_action(&mut self, action: Prepared) {
        match action {
            Prepared::Bitmap(undo) => self.abort_bitmap(undo),
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
