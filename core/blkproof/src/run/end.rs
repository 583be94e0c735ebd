//! The end of a run: everything is brought to an end and looked at for the last time.

use blkproof_spec::StepNumber;
use blkproof_spec::model::{ImageReport, Scope, Target};

use super::compare::Look;
use super::{Cleanup, Run, Stop};
use crate::inspect::Soundness;
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
        // What was looked at is to be closed in good health, whatever rules are left.
        self.world.lift_all();
        self.subject("closing the disks", |subject| subject.close());
        self.go_on()?;
        self.inspect_disks(&demands);
        self.inspect_structure();
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

    /// Looks at the closed disks with eyes of our own.
    fn inspect_disks(&mut self, demands: &[blkproof_spec::model::Demand]) {
        for demand in demands {
            let is_disk = matches!(demand.target, Target::Disk(_));
            if is_disk && demand.scope != Scope::Allocation {
                self.buffers.judgement.clear();
                self.inspect(demand);
                self.take_violations();
            }
        }
    }

    /// Looks at the structure of every image.
    fn inspect_structure(&mut self) {
        let Some(inspector) = &mut self.inspector else {
            return;
        };
        for name in self.world.names() {
            let Some(image) = self.buffers.known.get(&name) else {
                continue;
            };
            let opened = inspector.open(self.world.images(), &name, image.format);
            let found = match opened.and_then(|mut image| image.soundness()) {
                Ok(found) => found,
                Err(error) => Soundness {
                    errors: vec![error.message],
                    leaks: 0,
                },
            };
            let report = ImageReport {
                corruptions: found.errors.len() as u64,
                leaks: found.leaks,
            };
            self.buffers.judgement.clear();
            self.model
                .judge_image(&name, report, &mut self.buffers.judgement);
            if !self.buffers.judgement.violations.is_empty() {
                let mut complaints = found.errors;
                if found.leaks > 0 {
                    complaints.push(format!("{} clusters leaked", found.leaks));
                }
                self.findings.push(Finding::Unsound {
                    image: name,
                    complaints,
                });
            }
        }
    }
}
