//! Transactions: all actions at one moment, or none.

use super::Model;
use super::backup::Company;
use super::images::{ImageId, Presence};
use super::judgement::{About, Fact, Judgement, Observation};
use super::names::Refusals;
use super::persistence::judge_refusal;
use crate::name::JobName;
use crate::property::{answers_exact, refusal_harmless};
use crate::reply::{Refusal, Reply};
use crate::step::{CompletionMode, StepNumber, TransactionAction};

impl Model {
    /// Takes in that a transaction was refused because something would have had to wait: the jobs
    /// before that were created, and taken back.
    fn take_back(&mut self, actions: &[TransactionAction]) {
        self.scope.refused = true;
        for action in actions {
            let TransactionAction::Backup(backup) = action else {
                continue;
            };
            self.doubt_target(backup);
            let name = match &backup.job {
                Some(name) => name.clone(),
                None => JobName::new(backup.at.name().as_str()),
            };
            if self.job_index(&name).is_none() {
                self.scope.rolled_back.push(name);
            }
        }
    }

    /// Judges a transaction, and carries it out or rolls it back.
    pub(super) fn transaction(
        &mut self,
        number: StepNumber,
        actions: &[TransactionAction],
        mode: CompletionMode,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        self.scope.transaction = true;
        if self.cannot_drain(seen) {
            self.take_back(actions);
            return;
        }
        let foreign = |action: &TransactionAction| !matches!(action, TransactionAction::Backup(_));
        if mode == CompletionMode::Grouped && actions.iter().any(foreign) {
            self.scope.refused = true;
            let why = Refusal::GroupedUnsupported.into();
            return refusal_harmless::check(&why, seen.reply, out);
        }
        let backups = actions.iter().filter(|action| !foreign(action)).count();
        self.groups += 1;
        let company = Company {
            group: (mode == CompletionMode::Grouped).then_some(self.groups),
            shared: backups > 1,
        };
        let (bitmaps, jobs, points) = (self.bitmaps.clone(), self.jobs.len(), self.points.len());
        let images = self.images.count();
        let unknown = self.names_unknown(actions);
        let refused = actions
            .iter()
            .find_map(|action| self.prepare(number, action, company).err());
        let by_fault = matches!(
            seen.reply,
            Reply::Failed(_) | Reply::Refused(Refusal::ImageUnreadable)
        ) && seen.fired.iter().any(|firing| firing.errno.is_some());
        if refused.is_none() && !by_fault && !(unknown && seen.reply != Reply::Done) {
            answers_exact::reply(About::Step, Fact::Reply(Reply::Done), seen.reply, out);
            self.bitmaps.retain(|bitmap| !bitmap.removed);
            for index in jobs..self.jobs.len() {
                self.blame_job(index, false, seen.fired);
            }
            return;
        }
        // Which action was refused nobody knows where a target of one may not be there.
        if by_fault || unknown {
            self.doubt_images(images);
        }
        if let Some(why) = refused
            && !by_fault
            && !unknown
        {
            judge_refusal(&why, seen.reply, out);
        }
        self.scope.refused = true;
        self.bitmaps = bitmaps;
        let rolled_back = self.jobs.drain(jobs..).map(|job| job.name);
        self.scope.rolled_back.extend(rolled_back);
        // Names mean what they meant before there were jobs.
        self.doubt_removed(actions);
        self.points.truncate(points);
    }

    /// Tells whether a backup's target may or may not be there, so that the answer cannot be told.
    fn names_unknown(&self, actions: &[TransactionAction]) -> bool {
        actions.iter().any(|action| match action {
            TransactionAction::Backup(backup) => self
                .images
                .find(&backup.target)
                .is_some_and(|id| self.images.is_doubtful(id)),
            _ => false,
        })
    }

    /// Leaves open whether the images made since there were this many are there.
    fn doubt_images(&mut self, first: u32) {
        for index in first..self.images.count() {
            self.images.get_mut(ImageId(index)).presence = Presence::Unknown;
        }
    }

    /// Does what an action's preparation does; later actions see it.
    fn prepare(
        &mut self,
        number: StepNumber,
        action: &TransactionAction,
        company: Company,
    ) -> Result<(), Refusals> {
        match action {
            TransactionAction::Abort => Err(Refusal::TransactionAborted.into()),
            TransactionAction::Bitmap(step) => match self.refuse_bitmap(step) {
                Some(why) if !why.or_done => Err(why),
                _ => {
                    self.apply_bitmap(step);
                    Ok(())
                }
            },
            TransactionAction::Backup(backup) => match self.plan(backup) {
                Ok(plan) => {
                    self.open_job(number, backup, plan, company);
                    Ok(())
                }
                Err(refused) => {
                    let why = refused.why.clone();
                    self.refuse_backup(backup, refused, false);
                    Err(why)
                }
            },
        }
    }
}
