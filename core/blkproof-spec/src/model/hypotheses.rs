//! What a subject does tells on which backing file an image stands whose rebase failed.
//!
//! A rebase that fails leaves either. Where an inspector looks into the file it is known at once;
//! else the old one is taken for granted until an answer comes that only the other one explains.

use super::Model;
use super::judgement::{Judgement, Observation};
use crate::name::ImageName;
use crate::step::{Action, StepNumber};

impl Model {
    /// Takes in that an image may stand on another backing file than is taken for granted.
    pub(super) fn suspect(&mut self, image: &ImageName, other: Option<ImageName>) {
        let doubt = (image.clone(), other);
        if !self.doubts.contains(&doubt) {
            self.doubts.push(doubt);
        }
    }

    /// Takes in that it is known on which backing file an image stands, or that it is gone.
    pub(super) fn settle_doubt(&mut self, image: &ImageName) {
        self.doubts.retain(|(doubtful, _)| doubtful != image);
    }

    /// Judges what was seen of a step, and takes it in, as what is taken for granted has it; if
    /// that does not explain it, as what may be so instead has it.
    pub(super) fn take_in_either_way(
        &mut self,
        number: StepNumber,
        step: &Action,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        let before = self.clone();
        let said = (out.violations.len(), out.demands.len());
        self.take_in(number, step, seen, out);
        if out.violations.len() == said.0 {
            return;
        }
        for (image, other) in &before.doubts {
            let mut instead = before.clone();
            instead.settle_backing(image, other.clone());
            let mut judgement = Judgement::default();
            instead.take_in(number, step, seen, &mut judgement);
            if judgement.violations.is_empty() {
                *self = instead;
                out.violations.truncate(said.0);
                out.demands.truncate(said.1);
                out.demands.append(&mut judgement.demands);
                return;
            }
        }
    }
}
