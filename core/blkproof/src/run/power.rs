//! Losses of power: striking, and starting the subject again on what is left.

use blkproof_spec::model::{About, Fact, Violation};
use blkproof_spec::power::{Cache, Moment as At, PowerCut};
use blkproof_spec::step::Action;
use blkproof_spec::{ImageName, Property, Reply, Scenario, StepNumber};

use super::Run;
use super::carry::guarded;
use crate::inspect::Soundness;
use crate::outcome::Finding;

/// The aspect of a violation that says that disks did not open.
const OPENING: &str = "opening the disks again";

/// Returns what the subject said if this is that it could not open the disks after a loss of power.
pub(super) fn not_opened(finding: &Finding) -> Option<String> {
    match finding {
        Finding::Violation(violation) if violation.aspect == OPENING => {
            Some(violation.seen.to_string())
        }
        _ => None,
    }
}

/// What happens at a loss of power.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Loss {
    /// The process is killed.
    Kill,
    /// The power is cut, as this step asked for.
    Cut(PowerCut, StepNumber),
    /// It happened already, to the store.
    Over,
}

/// The losses of power of one run.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Power may be lost in this scenario.
    expected: bool,
    /// Those to come, each with the number of its operation, in that order.
    armed: Vec<(u64, Loss)>,
    /// What the inspector found in each image after the last one, before anybody opened it again.
    found: Vec<(ImageName, Soundness)>,
    /// What happens instead of the next step.
    forced: Option<Loss>,
    /// In the step under way the process was killed only.
    killed: bool,
    /// Power was lost in the step under way.
    struck: bool,
}

impl Losses {
    /// Power may be lost in a run that is recorded.
    pub(super) fn expected() -> Self {
        Self {
            expected: true,
            ..Self::default()
        }
    }

    /// Power is lost in the next step, whatever it is.
    pub(super) fn forced(loss: Loss) -> Self {
        Self {
            forced: Some(loss),
            ..Self::expected()
        }
    }

    pub(super) fn killed(&self) -> bool {
        self.killed
    }

    /// Power may be lost where a step says so, and where the scenario says what its devices promise
    /// then, or `always`.
    pub(super) fn of(scenario: &Scenario, always: bool) -> Self {
        let mut steps = scenario.steps.iter();
        let promised = scenario.setup.cache != Cache::default();
        Self {
            expected: always || promised || steps.any(|step| is_loss(&step.action)),
            ..Self::default()
        }
    }
}

/// Tells whether a step is a kill or a cut of the power.
pub(crate) fn is_loss(action: &Action) -> bool {
    matches!(action, Action::Kill { .. } | Action::PowerCut(_))
}

/// Tells whether the subject is started anew by a step.
pub(crate) fn is_start(action: &Action) -> bool {
    *action == Action::Restart || is_loss(action)
}

impl Run<'_> {
    /// Has the devices keep volatile what is not flushed, if power may be lost. The images of the
    /// setup are there already, durably.
    pub(super) fn expect_losses(&mut self) {
        if self.losses.expected && self.capabilities.power {
            self.world.set_caching(true);
            self.model.expect_power_losses();
            self.world.set_recording(self.marks.is_some());
        }
    }

    /// Carries out a kill or a cut of the power, or arms it.
    pub(super) fn lose(&mut self, number: StepNumber, action: &Action) -> Option<Reply> {
        if !self.capabilities.power {
            return Some(Reply::Refused(blkproof_spec::Refusal::Unsupported));
        }
        let (loss, at) = match action {
            Action::PowerCut(cut) => (Loss::Cut(cut.clone(), number), cut.at),
            Action::Kill { at } => (Loss::Kill, *at),
            _ => return None,
        };
        match at {
            Some(At(ahead)) => {
                let operation = self.world.operations().saturating_add(ahead.max(1));
                let armed = &mut self.losses.armed;
                let place = armed.partition_point(|(other, _)| *other <= operation);
                armed.insert(place, (operation, loss));
            }
            None => self.strike(&loss)?,
        }
        Some(Reply::Done)
    }

    /// Says at which operation power is lost next: only while the subject carries out a step.
    pub(super) fn arm(&self, on: bool) {
        if !self.losses.armed.is_empty() || !on {
            let next = self.losses.armed.first().map(|(operation, _)| *operation);
            self.world.strike_at(next.filter(|_| on));
        }
    }

    /// Carries out the loss that comes instead of the next step, if one does.
    pub(super) fn forced(&mut self) -> Option<Option<Reply>> {
        let loss = self.losses.forced.take()?;
        Some(self.strike(&loss).map(|()| Reply::Cut))
    }

    /// Carries out the loss in whose midst the subject was, and starts it again. `None` where it
    /// does not come up.
    pub(super) fn recover(&mut self) -> Option<Reply> {
        let loss = self.next_loss();
        self.strike(&loss)?;
        Some(Reply::Cut)
    }

    fn next_loss(&mut self) -> Loss {
        if self.losses.armed.is_empty() {
            return Loss::Kill;
        }
        self.losses.armed.remove(0).1
    }

    /// Has power be lost now, and opens the disks again; power may be lost while they are opened.
    fn strike(&mut self, loss: &Loss) -> Option<()> {
        let mut loss = loss.clone();
        self.losses.killed = true;
        self.losses.struck = true;
        loop {
            self.losses.killed &= loss == Loss::Kill;
            // What the subject said before was heard.
            let events = &mut self.buffers.early;
            if let Err(panic) = guarded(self.world, self.allowance, || {
                self.subject.drain_events(events)
            }) {
                self.findings.push(panic);
                return None;
            }
            self.counts.losses += 1;
            self.apply(&loss)?;
            self.look_at_remains();
            self.arm(true);
            let handle = self.world.handle();
            let setup = &self.scenario.setup;
            let opened = guarded(self.world, self.allowance, || {
                self.subject.open(handle, setup)
            });
            let off = self.world.is_off();
            self.arm(false);
            match opened {
                _ if off => loss = self.next_loss(),
                Ok(Ok(())) => break,
                Ok(Err(error)) => {
                    self.not_opened(error.message);
                    return None;
                }
                Err(panic) => {
                    self.findings.push(panic);
                    return None;
                }
            }
        }
        Some(())
    }

    fn apply(&mut self, loss: &Loss) -> Option<()> {
        self.buffers.looked.clear();
        let cache: Cache = self.scenario.setup.cache;
        let result = match loss {
            Loss::Kill => {
                self.world.kill();
                Ok(())
            }
            Loss::Over => Ok(()),
            Loss::Cut(cut, asked) => {
                let before = self.before_cut(cut, *asked);
                let result = self.world.cut_power(cut, cache);
                self.behind_cut(before);
                result
            }
        };
        if let Err(error) = result {
            self.findings.push(Finding::Subject {
                doing: "cutting the power".to_owned(),
                message: error.to_string(),
            });
            return None;
        }
        Some(())
    }

    fn not_opened(&mut self, message: String) {
        self.findings.push(Finding::Violation(Box::new(Violation {
            property: Property::ImageSound,
            about: About::Step,
            aspect: OPENING,
            expected: Fact::Text("disks that open"),
            seen: Fact::Message(message.into()),
            mismatches: Vec::new(),
            has_more: false,
        })));
    }

    /// Has the inspector look at the structure of every image, as the loss of power left it.
    fn look_at_remains(&mut self) {
        self.losses.found.clear();
        for name in self.world.names() {
            let (Some(image), Some(inspector)) =
                (self.buffers.known.get(&name), &mut self.inspector)
            else {
                continue;
            };
            let opened = inspector.open(self.world.images(), &name, image.format);
            let found = opened.and_then(|mut image| image.soundness());
            let found = found.unwrap_or_else(|error| Soundness {
                errors: vec![error.message],
                leaks: 0,
            });
            self.losses.found.push((name, found));
        }
    }

    /// Takes away the images that a step left in part in whose midst power was lost, and finds out
    /// which backing file those have that were being rebased.
    pub(super) fn clear_leftovers(&mut self) {
        for name in self.model.doubtful_backings() {
            match self.backing_of(&name) {
                Some(backing) => self.model.settle_backing(&name, backing),
                None => self.model.forget_image(&name),
            }
        }
        let mut store = self.world.handle();
        for name in self.world.names() {
            if !self.model.has_image(&name) && store.remove(&name).is_ok() {
                self.model.forget_image(&name);
                self.buffers.known.forget(&name);
            }
        }
    }

    /// Finds out which backing file an image has whose rebase failed: what that wrote may be there.
    pub(super) fn settle_failed_rebase(&mut self, name: &ImageName) {
        if let Some(backing) = self.backing_of(name) {
            self.model.settle_backing(name, backing);
        }
    }

    /// Returns the backing file that an image names, if any, with eyes of our own. `None` where
    /// nobody can tell.
    fn backing_of(&mut self, name: &ImageName) -> Option<Option<ImageName>> {
        let image = self.buffers.known.get(name)?;
        let inspector = self.inspector.as_mut()?;
        let image = inspector.open_alone(self.world.images(), name, image.format);
        let backing = image.ok()?.backing();
        Some(backing.map(|backing| backing.image))
    }

    /// Judges what was found in the images after a loss of power, now that the model knows of it.
    pub(super) fn judge_remains(&mut self) {
        for (name, found) in core::mem::take(&mut self.losses.found) {
            self.judge_structure(name, found);
        }
    }

    /// Finds out which size the disks have of which a loss of power left it open.
    pub(super) fn settle_sizes(&mut self) {
        if !self.losses.expected {
            return;
        }
        for (name, sizes) in self.model.doubtful_sizes() {
            let size = self.size_of(&name, &sizes);
            self.model.settle_size(&name, size);
            self.buffers.known.resize(&name, size.into());
            for demand in &mut self.buffers.judgement.demands {
                if *demand.target.name() == name {
                    demand.size = size.into();
                }
            }
        }
    }

    /// Judges, after a loss of power, what was reported of sizes and backing files.
    pub(super) fn judge_reported(&mut self) {
        if !core::mem::take(&mut self.losses.struck) {
            return;
        }
        for (name, size) in self.model.certain_sizes() {
            if self.size_of(&name, &[0, size.0]) < size.0 {
                self.buffers.judgement.lost_size(&name, size);
            }
        }
        for (name, backing) in self.model.reported_backings() {
            if let Some(seen) = self.backing_of(&name).filter(|seen| *seen != backing) {
                let judgement = &mut self.buffers.judgement;
                judgement.lost_backing(&name, backing.as_ref(), seen.as_ref());
            }
        }
        self.take_violations();
    }

    /// Returns the largest of these sizes at whose end the subject can read.
    fn size_of(&mut self, name: &ImageName, sizes: &[u64]) -> u64 {
        let at = blkproof_spec::At::Device(name.clone());
        let mut byte = [0];
        self.world.set_quiet(true);
        let mut found = sizes.first().copied().unwrap_or_default();
        for size in sizes.iter().rev().filter(|size| **size > 0) {
            let last = blkproof_spec::ByteRange::new(size - 1, 1);
            let read = guarded(self.world, self.allowance, || {
                self.subject.peek(&at, last, &mut byte)
            });
            if matches!(read, Ok(Ok(()))) {
                found = *size;
                break;
            }
        }
        self.world.set_quiet(false);
        found
    }
}
