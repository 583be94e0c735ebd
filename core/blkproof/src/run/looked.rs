//! Looks at images that need not be repeated.

use std::collections::BTreeMap;

use blkproof_device::Version;
use blkproof_spec::ImageName;
use blkproof_spec::model::{Demand, Scope};

/// The looks that found nothing wrong. An image whose chain was not changed since, compared with
/// contents that are frozen, would come out the same.
#[derive(Debug, Default)]
pub(super) struct Looked {
    looks: BTreeMap<ImageName, Vec<Look>>,
    links: Vec<Link>,
    /// Grows whenever somebody may have changed an image.
    moment: u64,
}

#[derive(Debug)]
struct Look {
    demand: Demand,
    chain: Chain,
}

/// An image as it was at a look, with all that lay below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chain(usize);

/// An image as it was at a look.
#[derive(Debug)]
struct Link {
    state: State,
    below: Option<Chain>,
    /// The moment at which it, and all below it, were last seen to be unchanged.
    seen: u64,
}

/// An image as it was at a look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub(super) name: ImageName,
    /// Which image of this name it was.
    pub(super) birth: u64,
    pub(super) version: Version,
}

impl Looked {
    pub(super) fn clear(&mut self) {
        self.looks.clear();
        self.links.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.looks.is_empty()
    }

    /// Takes in that images may be changed from here on.
    pub(super) fn pass(&mut self) {
        self.moment += 1;
    }

    /// Returns a chain of images, as they are now: `state` on what lies below it.
    pub(super) fn link(&mut self, state: State, below: Option<Chain>) -> Chain {
        self.links.push(Link {
            state,
            below,
            seen: self.moment,
        });
        Chain(self.links.len() - 1)
    }

    /// Remembers a look that found nothing wrong.
    pub(super) fn remember(&mut self, demand: &Demand, chain: Chain) {
        let looks = self.looks.entry(demand.target.name().clone()).or_default();
        looks.retain(|look| !look.demand.is_same_look(demand));
        looks.push(Look {
            demand: demand.clone(),
            chain,
        });
    }

    /// Tells whether the same look found nothing wrong, and nothing has changed since. `now` says
    /// how an image is now, if it is there.
    pub(super) fn still_holds(
        &mut self,
        demand: &Demand,
        now: impl Fn(&ImageName) -> Option<State>,
    ) -> bool {
        let looks = self.looks.get(demand.target.name());
        let same = |look: &&Look| look.demand.is_same_look(demand);
        let chain = looks.and_then(|looks| looks.iter().find(same));
        let chain = chain.map(|look| look.chain);
        chain.is_some_and(|chain| self.is_unchanged(chain, now))
    }

    /// Returns what the whole of an image was last found to hold, with its chain, if nothing of
    /// that has changed since.
    pub(super) fn whole(
        &mut self,
        image: &ImageName,
        now: impl Fn(&ImageName) -> Option<State>,
    ) -> Option<(&Demand, Chain)> {
        let whole = |look: &&Look| look.demand.scope == Scope::Whole;
        let chain = self.looks.get(image)?.iter().rfind(whole)?.chain;
        if !self.is_unchanged(chain, now) {
            return None;
        }
        let look = self.looks.get(image)?.iter().rfind(whole)?;
        Some((&look.demand, look.chain))
    }

    fn is_unchanged(&mut self, chain: Chain, now: impl Fn(&ImageName) -> Option<State>) -> bool {
        let mut at = Some(chain);
        while let Some(Chain(index)) = at {
            let link = &self.links[index];
            if link.seen == self.moment {
                break;
            }
            if now(&link.state.name).as_ref() != Some(&link.state) {
                return false;
            }
            at = link.below;
        }
        let mut at = Some(chain);
        while let Some(Chain(index)) = at {
            let link = &mut self.links[index];
            if link.seen == self.moment {
                break;
            }
            link.seen = self.moment;
            at = link.below;
        }
        true
    }
}
