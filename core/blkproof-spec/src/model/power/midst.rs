//! Steps in whose midst power was lost: nobody heard how they ended.
//!
//! What such a step was to change is there or not; what it reported before counts.

use super::super::Model;
use super::super::images::{ImageId, Presence, fresh_geometry};
use super::super::judgement::{Judgement, Observation};
use super::super::plan::PlannedTarget;
use super::filled;
use crate::event::JobEvent;
use crate::name::{ImageName, JobName};
use crate::status::{JobEnd, JobState};
use crate::step::{Action, At, Backup, Create, GuestOp, JobVerb, StepNumber, TransactionAction};
use crate::units::Length;

impl Model {
    /// Takes in a step that nobody heard the answer of, since power was lost in its midst, and
    /// judges what is left.
    pub(in super::super) fn cut_in_midst(
        &mut self,
        number: StepNumber,
        step: &Action,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        match step {
            Action::Guest { at, op } | Action::Start { at, op, .. } => {
                self.request_under_way(number, at, op);
            }
            Action::Resize { at, size } => self.resize_under_way(at, *size),
            Action::Create(create) => self.create_under_way(create),
            Action::Rebase { image, .. } => self.rebase_under_way(image),
            Action::Remove { image } => self.doubt(image),
            Action::Bitmap(step) => self.doubt_file(step),
            Action::Backup { backup, .. } => self.backup_under_way(number, backup, seen, out),
            Action::Transaction { actions, .. } => {
                self.doubt_removed(actions);
                for action in actions {
                    if let TransactionAction::Backup(backup) = action {
                        self.target_under_way(backup);
                    }
                }
            }
            Action::Restart => self.before_restart(seen),
            Action::Job { job, verb } => self.command_under_way(job, *verb),
            _ => {}
        }
        self.take_known_events(seen, out);
        if *step == Action::Restart {
            self.bitmaps_under_way();
        }
        self.lose_power(number, seen.killed, out);
    }

    fn command_under_way(&mut self, name: &JobName, verb: JobVerb) {
        let Some(index) = self.job_index(name) else {
            return;
        };
        match verb {
            JobVerb::Cancel { .. } => self.jobs[index].cancelled = true,
            JobVerb::Dismiss => self.scope.dismissing = true,
            _ => {}
        }
    }

    fn request_under_way(&mut self, number: StepNumber, at: &At, op: &GuestOp) {
        let Ok((disk, by_node)) = self.admit(at, op) else {
            return;
        };
        if self.rejects(disk, op).is_some() {
            return;
        }
        if let Some(effect) = self.effect(number, disk, op) {
            self.change(disk, effect.range);
            self.unflushed(disk, effect.range, || filled(effect.range, effect.value));
            self.mark(disk, effect.dirty, by_node, false);
        }
    }

    fn resize_under_way(&mut self, at: &At, size: Length) {
        if self.refuse_resize(at, size).is_some_and(|why| !why.or_done) {
            return;
        }
        if let Some(disk) = self.images.find(at.name()) {
            self.retire(disk);
            self.images.get_mut(disk).keep_end(size.0);
            self.resizing(disk, size.0, false);
        }
    }

    fn create_under_way(&mut self, step: &Create) {
        if self.images.find(&step.image).is_some() {
            return;
        }
        let backing = step.backing.as_ref();
        let below = backing.and_then(|name| self.images.find(name));
        let below = below.map(|id| self.images.get(id).geometry.size);
        let size = step.size.or(below).unwrap_or_default();
        let geometry = fresh_geometry(size, step.format, step.cluster);
        let id = self.make_image(&step.image, geometry, step.backing.clone());
        self.images.get_mut(id).presence = Presence::Unknown;
    }

    fn rebase_under_way(&mut self, image: &ImageName) {
        if let Some(id) = self.images.find(image)
            && !self.is_open(id)
        {
            self.retire(id);
            self.power.rebased.push(image.clone());
        }
    }

    fn doubt(&mut self, image: &ImageName) {
        if let Some(id) = self.images.find(image)
            && !self.is_open(id)
        {
            self.retire(id);
            self.images.get_mut(id).presence = Presence::Unknown;
        }
    }

    /// Opens the job of a backup if it came to run; else only its target may be there.
    fn backup_under_way(
        &mut self,
        number: StepNumber,
        backup: &Backup,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        let name = match &backup.job {
            Some(name) => name.clone(),
            None => JobName::new(backup.at.name().as_str()),
        };
        let runs = |event: &JobEvent| {
            let running = JobState::Running;
            matches!(event, JobEvent::Status { job, state } if *job == name && *state == running)
        };
        if seen.events.iter().any(runs) {
            self.backup(number, backup, seen, out);
        } else {
            self.target_under_way(backup);
        }
    }

    /// Leaves open whether the target of a backup is there that was about to be started.
    fn target_under_way(&mut self, backup: &Backup) {
        let Ok(plan) = self.plan(backup) else {
            return;
        };
        match plan.target {
            PlannedTarget::New(geometry, backing) => {
                let id: ImageId = self.make_image(&backup.target, geometry, backing);
                self.images.get_mut(id).presence = Presence::Unknown;
            }
            PlannedTarget::Existing(id) => self.retire(id),
        }
    }

    /// Gives bitmaps back as jobs do that are cancelled, which a restart may have stored before
    /// anybody heard of it. How far those jobs had come nobody heard either.
    fn bitmaps_under_way(&mut self) {
        let active = self.jobs.iter().filter(|job| job.is_active());
        for mut job in active.cloned().collect::<Vec<_>>() {
            job.offset = job.len.unwrap_or(0).max(1);
            self.return_bitmap(&job, JobEnd::Cancelled);
        }
    }

    /// Takes in what jobs reported before power was lost.
    fn take_known_events(&mut self, seen: &Observation<'_>, out: &mut Judgement) {
        for event in seen.events {
            if let Some(index) = self.job_index(event.job()) {
                self.take_event(index, event, out);
            }
        }
    }
}
