//! What a cut of the power took: which bytes, and what they were to an image; and, without any cut,
//! what would be taken of what is said to be safe.

use blkproof_spec::power::{Lost, PowerCut};
use blkproof_spec::step::{Action, Backup, TransactionAction};
use blkproof_spec::{ByteRange, ImageName, JobEvent, JobName, Model, StepNumber};

use super::Run;
use crate::inspect::FilePart;
use crate::outcome::{Cut, LedBy, LostPart};

/// What a cut is about to take.
pub(super) struct Before {
    cut: Cut,
    /// What was pending of each image that loses something and will survive, and what its file
    /// holds.
    images: Vec<(ImageName, Vec<ByteRange>, Vec<FilePart>)>,
}

impl Run<'_> {
    /// Notes what a cut is about to take.
    pub(super) fn before_cut(&mut self, cut: &PowerCut, asked: StepNumber) -> Before {
        let cache = self.scenario.setup.cache;
        let lost = self.world.losses(cut, cache);
        let pending = self.world.losses(&PowerCut::new(Lost::All), cache);
        let mut images: Vec<(ImageName, Vec<ByteRange>, Vec<FilePart>)> = Vec::new();
        let tell = self.options.tell_lost;
        for (name, _) in lost.iter().filter(|_| tell) {
            if images.iter().all(|(known, ..)| known != name) {
                let survives = self.world.undurable(name);
                let survives = survives
                    .iter()
                    .flat_map(|range| without(*range, name, &lost));
                let survives = survives.collect();
                images.push((name.clone(), survives, self.parts_of(name, &lost)));
            }
        }
        let parts = Vec::new();
        let cut = Cut {
            asked,
            pending,
            lost,
            parts,
        };
        Before { cut, images }
    }

    /// Finds out, when the power was cut, what leads to what is gone.
    pub(super) fn behind_cut(&mut self, before: Before) {
        let Before { mut cut, images } = before;
        for (name, survives, was) in images {
            let is = self.parts_of(&name, &cut.lost);
            let lost = cut.lost.iter().filter(|(image, _)| *image == name);
            for (_, range) in lost {
                let here = |part: &&FilePart| part.range.overlaps(*range);
                // What leads there now counts more than what would have led there.
                let told: Vec<_> = match is.iter().find(here) {
                    Some(_) => is.iter().filter(here).collect(),
                    None => was.iter().filter(here).collect(),
                };
                cut.parts.extend(told.iter().map(|part| {
                    LostPart {
                        image: name.clone(),
                        range: part.range.intersect(*range),
                        what: part.what,
                        guest: part
                            .guest
                            .map(|guest| guest + range.start.saturating_sub(part.range.start)),
                        led_by: part.led_by.map(|(what, by)| LedBy {
                            what,
                            fresh: survives.iter().any(|kept| kept.overlaps(by)),
                            remains: is.contains(part),
                        }),
                    }
                }));
            }
        }
        self.counts.cuts.push(cut);
    }

    /// Returns what the file of an image has where something is lost of it; nothing where nobody
    /// can tell.
    fn parts_of(&mut self, name: &ImageName, lost: &[(ImageName, ByteRange)]) -> Vec<FilePart> {
        let lost = lost.iter().filter(|(image, _)| image == name);
        let wanted: Vec<_> = lost.map(|(_, range)| *range).collect();
        let (Some(image), Some(inspector)) = (self.buffers.known.get(name), &mut self.inspector)
        else {
            return Vec::new();
        };
        let opened = inspector.open_alone(self.world.images(), name, image.format);
        let parts = opened.and_then(|mut image| image.parts(&wanted));
        parts.unwrap_or_default()
    }
}

/// What is not durable although it is said to be safe.
impl Run<'_> {
    /// Judges that nothing is pending of the targets of jobs that reported success.
    pub(super) fn judge_targets(&mut self, targets: &[ImageName]) {
        for target in targets {
            let bytes = self.world.undurable(target);
            if !bytes.is_empty() {
                self.buffers.judgement.volatile_target(target, bytes);
            }
        }
    }
}

/// Returns the targets of the jobs that report success, also of those that the step itself starts.
pub(super) fn completed(events: &[JobEvent], action: &Action, model: &Model) -> Vec<ImageName> {
    let mut targets = Vec::new();
    for event in events {
        if let JobEvent::Completed {
            job, error: None, ..
        } = event
        {
            let target = model.job_target(job).or_else(|| started(action, job));
            targets.extend(target);
        }
    }
    targets
}

/// Returns the target of a job that a step starts.
fn started(action: &Action, job: &JobName) -> Option<ImageName> {
    let named = |backup: &Backup| match &backup.job {
        Some(name) => name == job,
        None => backup.at.name().as_str() == job.as_str(),
    };
    match action {
        Action::Backup { backup, .. } => named(backup).then(|| backup.target.clone()),
        Action::Transaction { actions, .. } => actions.iter().find_map(|action| match action {
            TransactionAction::Backup(backup) => named(backup).then(|| backup.target.clone()),
            _ => None,
        }),
        _ => None,
    }
}

/// Returns what of a range is not lost.
fn without(range: ByteRange, name: &ImageName, lost: &[(ImageName, ByteRange)]) -> Vec<ByteRange> {
    let mut left = vec![range];
    for (_, gone) in lost.iter().filter(|(image, _)| image == name) {
        left = left
            .into_iter()
            .flat_map(|part| {
                [
                    ByteRange::between(part.start, part.end().min(gone.start)),
                    ByteRange::between(part.start.max(gone.end()), part.end()),
                ]
            })
            .filter(|part| !part.is_empty())
            .collect();
    }
    left
}
