//! Losses of power, and of the process that has the image open.

use blkproof_spec::power::{Cache, Moment};

use super::super::outcome::{Disturbance, Property};
use super::prepare::not_judged;
use super::{Loss, Run, Stop};

impl Run<'_, '_> {
    /// Has a loss happen: now, or when the store comes to its operation.
    pub(super) fn loss(&mut self, loss: Loss, at: Option<Moment>) -> Result<(), Stop> {
        self.armed = Some(loss);
        match at {
            None => self.lose(),
            Some(at) => {
                let operation = self.store.operations().saturating_add(at.0);
                self.store.strike_at(Some(operation));
                Ok(())
            }
        }
    }

    /// Carries out the loss: whoever had the image open is gone, others look at what is left, and
    /// the library opens it.
    pub(super) fn lose(&mut self) -> Result<(), Stop> {
        let image = self.image.take();
        self.counts.losses += 1;
        let property = match self.armed.take() {
            Some(Loss::Cut(cut)) => {
                self.after = Disturbance::PowerCut;
                self.store
                    .cut_power(&cut, Cache::default())
                    .map_err(not_judged)?;
                self.model.cut();
                Property::SyncedSurvives
            }
            Some(Loss::Kill) | None => {
                self.after = Disturbance::Kill;
                self.store.kill();
                self.model.killed();
                Property::FlushedSurvives
            }
        };
        self.watch.abandon(image);
        self.inspect(property)?;
        self.open()?;
        self.look_through(property)
    }
}
