//! The end of a run: everything is brought to an end and looked at for the last time.

use std::collections::BTreeMap;

use blkproof_spec::model::{Demand, ImageReport, Scope, Target};
use blkproof_spec::{Format, ImageName, StepNumber};

use super::compare::Look;
use super::{Cleanup, Run, Stop};
use crate::inspect::{InspectError, Inspected, Soundness};
use crate::outcome::{Finding, Moment};

/// How many steps the model may add. More is a bug of the model.
const CLEANUP_MAX: u64 = 100_000;

impl Run<'_> {
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        if self.needs_cleanup() {
            self.cleanup()?;
        }
        self.moment = Moment::End;
        self.buffers.judgement.clear();
        self.model.finish(&mut self.buffers.judgement);
        self.take_violations();
        let demands = self.buffers.judgement.demands.clone();
        self.fulfil_demands(Look::Last);
        // What was looked at is to be closed in good health, whatever rules are left, and whatever
        // errors of them nobody was told yet.
        self.world.lift_all();
        self.world.forget_waits();
        self.subject("closing the disks", |subject| subject.close());
        self.go_on()?;
        self.inspect_images(&demands);
        self.go_on()
    }

    fn needs_cleanup(&self) -> bool {
        match self.options.cleanup {
            Cleanup::Never => false,
            Cleanup::Always => true,
            Cleanup::AfterTrouble => {
                !self.buffers.firings.is_empty()
                    || !self.buffers.suspended.is_empty()
                    || self.model.jobs().next().is_some()
                    || self.model.requests().next().is_some()
            }
        }
    }

    fn cleanup(&mut self) -> Result<(), Stop> {
        while let Some(action) = self.model.next_cleanup() {
            assert!(
                self.counts.cleanup_steps < CLEANUP_MAX,
                "the model brings a scenario to its end"
            );
            let done = self.counts.steps + self.counts.cleanup_steps + 1;
            let number = StepNumber(u32::try_from(done).unwrap_or(u32::MAX));
            self.moment = Moment::Cleanup(Box::new(action.clone()));
            self.observe(number, &action);
            self.counts.cleanup_steps += 1;
            self.go_on()?;
        }
        Ok(())
    }

    /// Looks at every image with eyes of our own, now that all are closed: at the contents of the
    /// disks, and at the structure of all.
    fn inspect_images(&mut self, demands: &[Demand]) {
        // The images whose chains were opened to their ends.
        let mut opened = BTreeMap::new();
        for name in self.world.names() {
            let Some(image) = self.buffers.known.get(&name) else {
                continue;
            };
            let format = image.format;
            let Some(image) = self.open_chain(&name, format, &mut opened) else {
                return;
            };
            let result = image.and_then(|mut image| {
                self.inspect_disk(&name, demands, &mut *image)?;
                image.soundness()
            });
            let found = result.unwrap_or_else(|error| Soundness {
                errors: vec![error.message],
                leaks: 0,
            });
            self.judge_structure(name, found);
        }
    }

    /// Opens an image with its chain, or without it where nothing but the image itself will be
    /// looked at and the chain below was opened before. `None` without an inspector.
    fn open_chain(
        &mut self,
        name: &ImageName,
        format: Format,
        opened: &mut BTreeMap<ImageName, Format>,
    ) -> Option<Result<Box<dyn Inspected>, InspectError>> {
        let inspector = self.inspector.as_mut()?;
        let images = self.world.images();
        let known = &self.buffers.known;
        if known.get(name).is_some_and(|image| !image.is_disk) {
            let image = match inspector.open_alone(images, name, format) {
                Ok(image) => image,
                Err(error) => return Some(Err(error)),
            };
            let is_whole = image.backing().is_none_or(|below| {
                let format = opened.get(&below.image);
                format.is_some() && format == below.format.as_ref()
            });
            if is_whole {
                opened.insert(name.clone(), format);
                return Some(Ok(image));
            }
        }
        let image = inspector.open(images, name, format);
        let chain = image
            .as_ref()
            .map(|image| image.chain())
            .unwrap_or_default();
        for name in chain {
            if let Some(image) = known.get(name) {
                opened.insert(name.clone(), image.format);
            }
        }
        Some(image)
    }

    fn inspect_disk(
        &mut self,
        name: &ImageName,
        demands: &[Demand],
        image: &mut dyn Inspected,
    ) -> Result<(), InspectError> {
        for demand in demands {
            let is_disk = matches!(&demand.target, Target::Disk(disk) if disk == name);
            if is_disk && demand.scope != Scope::Allocation {
                self.buffers.judgement.clear();
                self.look_at(demand, image)?;
                self.take_violations();
            }
        }
        Ok(())
    }

    pub(super) fn judge_structure(&mut self, image: ImageName, found: Soundness) {
        let report = ImageReport {
            corruptions: found.errors.len() as u64,
            leaks: found.leaks,
        };
        // What the model wants to see compared is still to be looked at.
        self.buffers.judgement.violations.clear();
        self.model
            .judge_image(&image, report, &mut self.buffers.judgement);
        if self.buffers.judgement.violations.is_empty() {
            return;
        }
        let mut complaints = found.errors;
        if found.leaks > 0 {
            complaints.push(format!("{} clusters leaked", found.leaks));
        }
        self.findings.push(Finding::Unsound { image, complaints });
    }
}
