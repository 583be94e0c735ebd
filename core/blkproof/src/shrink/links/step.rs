//! What a step needs, and what it brings about.

use blkproof_spec::step::{
    Action, Backup, BitmapCommand, BitmapStep, Check, Create, Reference, TargetMode,
    TransactionAction, Work,
};
use blkproof_spec::{ImageName, JobName};

use super::{Maker, Part};

impl<'a> Maker<'a> {
    pub(super) fn step(&mut self, node: usize, index: usize, action: &'a Action) {
        match action {
            Action::Guest { at, .. } | Action::Resize { at, .. } => {
                self.need_image(node, at.name());
            }
            Action::Start { request, at, .. } => {
                self.need_image(node, at.name());
                if !self.refused {
                    self.known.requests.insert(request, node);
                }
            }
            Action::Settle { request }
            | Action::Advance {
                work: Work::Request(request),
                ..
            } => {
                let made = self.known.requests.get(request).copied();
                self.need(node, made);
            }
            Action::Bitmap(step) => self.bitmap(node, step),
            Action::Create(create) => self.create(node, create),
            Action::Rebase { image, backing } => {
                self.need_image(node, image);
                self.rebase(node, image, backing.as_ref());
            }
            Action::Remove { image } => {
                self.need_image(node, image);
                if !self.refused {
                    self.known.images.remove(image);
                }
            }
            Action::Backup { backup, .. } => self.backup(node, backup),
            Action::Job { job, .. }
            | Action::Finish { job }
            | Action::Advance {
                work: Work::Job(job),
                ..
            } => self.need_job(node, job),
            Action::Transaction { actions, .. } => self.transaction(node, index, actions),
            Action::Install(rule) => self.rule(node, rule),
            Action::Lift(name) => {
                let made = self.known.rules.get(name).copied();
                self.need(node, made);
            }
            Action::WaitFor(tag) | Action::ResumeTag(tag) => {
                let made = self.known.tags.get(tag).copied();
                self.need(node, made);
            }
            Action::Check(check) => self.check(node, check),
            _ => {}
        }
    }

    fn transaction(&mut self, step: usize, index: usize, actions: &'a [TransactionAction]) {
        for (action_index, action) in actions.iter().enumerate() {
            let node = self.node(Part::Action(index, action_index));
            self.need(node, Some(step));
            match action {
                TransactionAction::Abort => {}
                TransactionAction::Bitmap(bitmap) => self.bitmap(node, bitmap),
                TransactionAction::Backup(backup) => self.backup(node, backup),
            }
        }
    }

    fn bitmap(&mut self, node: usize, step: &'a BitmapStep) {
        self.need_image(node, step.at.name());
        let key = (step.at.name(), &step.name);
        match &step.command {
            BitmapCommand::Add { .. } => {
                if !self.refused {
                    self.known.bitmaps.insert(key, node);
                }
                return;
            }
            BitmapCommand::Merge { sources } => {
                let made = sources.iter().map(|(at, name)| {
                    let disk = at.as_ref().unwrap_or(&step.at).name();
                    self.known.bitmaps.get(&(disk, name)).copied()
                });
                self.nodes[node].sources = made.collect();
            }
            _ => {}
        }
        self.need_bitmap(node, &step.at, &step.name);
        if step.command == BitmapCommand::Remove && !self.refused {
            self.known.bitmaps.remove(&key);
        }
    }

    fn create(&mut self, node: usize, create: &'a Create) {
        let backing = create.backing.as_ref();
        let below = backing.and_then(|name| self.known.images.get(name)?.size);
        self.stand_on(node, backing);
        if self.refused {
            return;
        }
        self.image(node, &create.image, backing);
        self.size(node, &create.image, create.size.or(below));
    }

    fn rebase(&mut self, node: usize, image: &'a ImageName, backing: Option<&'a ImageName>) {
        if let Some(backing) = backing {
            self.need_image(node, backing);
        }
        let known = self.known.images.get_mut(image);
        if let Some(image) = known.filter(|_| !self.refused) {
            image.backing = backing;
        }
    }

    fn backup(&mut self, node: usize, backup: &'a Backup) {
        self.need_image(node, backup.at.name());
        if let Some(bitmap) = &backup.bitmap {
            self.need_bitmap(node, &backup.at, bitmap);
        }
        let is_made = matches!(backup.mode, TargetMode::Create { .. });
        if is_made && !self.known.images.contains_key(&backup.target) {
            let source = self.known.images.get(backup.at.name());
            let size = source.and_then(|image| image.size);
            self.image(node, &backup.target, None);
            self.size(node, &backup.target, size);
        } else {
            self.need_image(node, &backup.target);
        }
        let below = self.known.images.get(&backup.target);
        let below = below.and_then(|image| image.backing);
        let writers = self
            .chain(below)
            .flat_map(|(_, image)| image.writers.clone());
        let writers: Vec<_> = writers.collect();
        self.nodes[node].builds_on.extend(writers);
        if self.refused {
            return;
        }
        if let Some(image) = self.known.images.get_mut(&backup.target) {
            image.writers.push(node);
        }
        self.known.jobs.insert(job_of(backup), node);
    }

    fn check(&mut self, node: usize, check: &'a Check) {
        match check {
            Check::Image { image, equals } => {
                self.need_contents(node, image);
                match equals {
                    Reference::Now(image) => self.need_contents(node, image),
                    Reference::Point { disk, job } => {
                        self.need_image(node, disk);
                        self.need_job(node, job);
                    }
                }
            }
            Check::Digest { image, .. } | Check::Allocated { image, .. } => {
                self.need_contents(node, image);
            }
            Check::Bitmap { at, name, .. } => {
                self.need_image(node, at.name());
                self.need_bitmap(node, at, name);
            }
            Check::NoBitmap { at, .. } => self.need_image(node, at.name()),
            Check::Job { job, .. } | Check::Event { job, .. } => self.need_job(node, job),
            Check::NoJobs | Check::NoEvents => {}
        }
    }

    /// A statement about contents is about everything that gave an image its contents: without one
    /// of those backups it may be wrong by itself, and say nothing of the subject any more.
    fn need_contents(&mut self, node: usize, name: &'a ImageName) {
        let chain = self.chain(Some(name));
        let needs = chain.flat_map(|(_, image)| {
            let writers = image.writers.iter().copied();
            core::iter::once(image.node).chain(writers)
        });
        let needs: Vec<_> = needs.collect();
        self.nodes[node].needs.extend(needs);
    }
}

/// Returns the name of a backup's job.
pub(super) fn job_of(backup: &Backup) -> JobName {
    let given = backup.job.clone();
    given.unwrap_or_else(|| JobName::new(backup.at.name().as_str()))
}
