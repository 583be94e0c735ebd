//! What faults that struck ask of a subject, within the survivable budget and beyond it.

use blkproof_spec::Model;
use blkproof_spec::fault::{Firing, Verdict};

/// How often faults struck that ask the same of a subject.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Struck {
    /// A disk: what jobs read.
    pub disk: u64,
    /// Another image: what jobs write, and what disks stand on.
    pub image: u64,
}

/// The counts of all verdicts, in their order.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Strikes([Struck; Verdict::ALL.len()]);

impl Strikes {
    /// Counts what fired in a step; `model` stands where it stood before it.
    pub(super) fn note(&mut self, model: &Model, fired: &[Firing]) {
        for firing in fired {
            let index = Verdict::ALL.iter().position(|of| *of == firing.verdict);
            let struck = &mut self.0[index.expect("every verdict is among all")];
            if super::is_disk(model, &firing.place.image) {
                struck.disk += 1;
            } else {
                struck.image += 1;
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Verdict, Struck)> {
        Verdict::ALL.into_iter().zip(self.0)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.into_iter().flat_map(|of| [of.disk, of.image])
    }

    pub(super) fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.0
            .iter_mut()
            .flat_map(|of| [&mut of.disk, &mut of.image])
    }
}
