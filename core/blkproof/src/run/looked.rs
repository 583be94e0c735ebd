//! Looks at images that need not be repeated.

use blkproof_spec::ImageName;
use blkproof_spec::model::Demand;

/// The looks that found nothing wrong. An image whose chain was not changed since, compared with
/// contents that are frozen, would come out the same.
#[derive(Debug, Default)]
pub(super) struct Looked(Vec<Look>);

#[derive(Debug)]
struct Look {
    demand: Demand,
    chain: Vec<State>,
}

/// An image as it was at a look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub(super) name: ImageName,
    /// Which image of this name it was.
    pub(super) birth: u64,
    /// How often its device had been changed.
    pub(super) changes: u64,
}

impl Looked {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Remembers a look that found nothing wrong.
    pub(super) fn remember(&mut self, demand: &Demand, chain: Vec<State>) {
        self.0.retain(|look| !look.demand.is_same_look(demand));
        self.0.push(Look {
            demand: demand.clone(),
            chain,
        });
    }

    /// Tells whether the same look found nothing wrong, and nothing has changed since. `now` says
    /// how an image is now, if it is there.
    pub(super) fn still_holds(
        &self,
        demand: &Demand,
        now: impl Fn(&ImageName) -> Option<State>,
    ) -> bool {
        let mut looks = self.0.iter();
        looks
            .find(|look| look.demand.is_same_look(demand))
            .is_some_and(|look| {
                look.chain
                    .iter()
                    .all(|was| now(&was.name).as_ref() == Some(was))
            })
    }
}
