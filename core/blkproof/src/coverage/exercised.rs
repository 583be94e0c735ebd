//! How often something of each property was judged.

use blkproof_spec::Property;
use blkproof_spec::property::Exercised;

/// The counts of all properties, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Judged([u64; Property::ALL.len()]);

impl Default for Judged {
    fn default() -> Self {
        Self([0; Property::ALL.len()])
    }
}

impl Judged {
    pub(super) fn note(&mut self, exercised: Exercised) {
        for (property, count) in Property::ALL.iter().zip(&mut self.0) {
            *count += u64::from(exercised.has(*property));
        }
    }

    pub(super) fn add(&mut self, property: Property, times: u64) {
        let index = Property::ALL.iter().position(|known| *known == property);
        self.0[index.expect("every property is among all")] += times;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Property, u64)> {
        Property::ALL.iter().copied().zip(self.0)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.into_iter()
    }

    pub(super) fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.0.iter_mut()
    }
}
