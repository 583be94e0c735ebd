//! The checks that a scenario states.

use blkproof_spec::model::Difference;
use blkproof_spec::step::{Check, EventPattern, Expect};
use blkproof_spec::{ByteRange, ImageName, JobEvent, JobName, Reply};

use super::Run;
use super::carry::guarded;
use super::compare::Look;
use super::trace::sha256_hex;
use crate::outcome::Finding;

impl Run<'_> {
    /// Carries out a check. Where anything may come of it, nothing is looked at.
    pub(super) fn check(&mut self, check: &Check, expect: Expect) {
        self.buffers.replies.push(Reply::Done);
        if expect == Expect::Any {
            return;
        }
        match check {
            Check::Image { .. } => {
                self.buffers.judgement.clear();
                self.model.check(check, &mut self.buffers.judgement);
                self.take_violations();
                self.fulfil_demands(Look::Stated);
            }
            Check::Digest { image, sha256 } => match self.digest(image) {
                Ok(seen) if seen == *sha256 => {}
                Ok(seen) => self.not_as_said("digest", sha256_hex(sha256), sha256_hex(&seen)),
                Err(finding) => self.findings.push(finding),
            },
            Check::Allocated { image, ranges } => self.check_allocated(image, ranges),
            Check::Event { job, event } => self.check_event(job, event),
            Check::NoEvents => {
                if let Some(event) = self.buffers.unchecked.first() {
                    let seen = format!("{event:?}");
                    self.not_as_said("event", "no event".to_owned(), seen);
                }
            }
            Check::Bitmap { .. } | Check::NoBitmap { .. } | Check::Job { .. } | Check::NoJobs => {
                self.check_status(check);
            }
        }
    }

    /// Checks what an image itself has allocated, if an inspector can tell.
    fn check_allocated(&mut self, name: &ImageName, ranges: &[ByteRange]) {
        let problem = |message: String| Finding::Subject {
            doing: format!("looking at what {name} has allocated"),
            message,
        };
        let Some(inspector) = self.inspector.as_mut() else {
            return;
        };
        let Some(image) = self.buffers.known.get(name) else {
            self.findings
                .push(problem("there is no such image".to_owned()));
            return;
        };
        let mut seen = Vec::new();
        let found = inspector
            .open_alone(self.world.images(), name, image.format)
            .and_then(|mut image| image.allocated(&mut seen));
        match found {
            Ok(()) if seen == ranges => {}
            Ok(()) => self.not_as_said("allocated", ranges_text(ranges), ranges_text(&seen)),
            Err(error) => self.findings.push(problem(error.message)),
        }
    }

    fn not_as_said(&mut self, aspect: &'static str, expected: String, seen: String) {
        self.findings.push(Finding::Expectation {
            aspect,
            expected,
            seen,
        });
    }

    fn differences(&mut self, differences: Vec<Difference>) {
        for (aspect, expected, seen) in differences {
            self.not_as_said(aspect, expected.to_string(), seen.to_string());
        }
    }

    /// Checks what the subject reports, unless its reports are kept from the judge.
    fn check_status(&mut self, check: &Check) {
        if !self.capabilities.bitmap_status {
            return;
        }
        let status = &mut self.buffers.status;
        status.bitmaps.clear();
        status.jobs.clear();
        if let Err(panic) = guarded(self.world, self.allowance, || self.subject.status(status)) {
            self.findings.push(panic);
            return;
        }
        let status = &self.buffers.status;
        match check {
            Check::Bitmap { at, name, report } => match status.bitmap(at.name(), name) {
                Some(seen) => {
                    let differences = report.mismatches(seen);
                    self.differences(differences);
                }
                None => self.not_as_said("bitmap", name.to_string(), "no such bitmap".to_owned()),
            },
            Check::NoBitmap { at, name } => {
                if status.bitmap(at.name(), name).is_some() {
                    self.not_as_said("bitmap", "no such bitmap".to_owned(), name.to_string());
                }
            }
            Check::Job { job, report } => match status.job(job) {
                Some(seen) => {
                    let differences = report.mismatches(seen);
                    self.differences(differences);
                }
                None => self.not_as_said("job", job.to_string(), "no such job".to_owned()),
            },
            _ => {
                if let Some(job) = status.jobs.first() {
                    let seen = job.job.to_string();
                    self.not_as_said("job", "no job".to_owned(), seen);
                }
            }
        }
    }

    fn check_event(&mut self, job: &JobName, pattern: &EventPattern) {
        if !self.capabilities.events {
            return;
        }
        let unchecked = &mut self.buffers.unchecked;
        let next = unchecked.iter().position(|event| event.job() == job);
        let event = next.map(|index| unchecked.remove(index));
        if event.as_ref().is_some_and(|event| pattern.matches(event)) {
            return;
        }
        let seen = event.map_or_else(
            || format!("no event of {job} is left"),
            |event: JobEvent| format!("{event:?}"),
        );
        self.not_as_said("event", format!("{pattern:?}"), seen);
    }
}

fn ranges_text(ranges: &[ByteRange]) -> String {
    if ranges.is_empty() {
        return "nothing".to_owned();
    }
    let texts = ranges.iter().map(ToString::to_string);
    texts.collect::<Vec<_>>().join(", ")
}
