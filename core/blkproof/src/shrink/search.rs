//! The search for a large set of edits that are good together.
//!
//! Edits are tried in groups. A group that is no good is halved; what is good stays applied while
//! the rest is tried. Where one half of a bad group turns out to be good, the other half with it is
//! the group that was bad: the shrinker, which never tries a candidate twice, knows that without
//! running it.

/// Edits that are tried together.
#[derive(Debug)]
pub(crate) struct Group {
    /// The indices of the edits.
    pub(crate) edits: Vec<usize>,
    /// Whether its halves are tried where it is no good.
    pub(crate) halve: bool,
}

/// Something that makes a scenario smaller or simpler.
pub(crate) trait Rivalry {
    /// Where several edits have the same number here, at most one of them is applied.
    fn rival(&self) -> Option<usize>;
}

/// A search over the edits of one scenario.
#[derive(Debug)]
pub(crate) struct Search<E> {
    edits: Vec<E>,
    taken: Vec<bool>,
    /// Which edits may still be tried.
    open: Vec<bool>,
    /// The groups to try, the next one last.
    groups: Vec<Group>,
    current: Option<Group>,
}

impl<E: Rivalry> Search<E> {
    /// Starts a search; the groups are tried in their order.
    pub(crate) fn new(edits: Vec<E>, mut groups: Vec<Group>) -> Self {
        groups.reverse();
        Self {
            taken: vec![false; edits.len()],
            open: vec![true; edits.len()],
            edits,
            groups,
            current: None,
        }
    }

    /// Starts a search that tries everything at once first.
    pub(crate) fn all(edits: Vec<E>) -> Self {
        let all = Group {
            edits: (0..edits.len()).collect(),
            halve: true,
        };
        Self::new(edits, vec![all])
    }

    /// Starts a search that tries each edit by itself.
    pub(crate) fn each(edits: Vec<E>) -> Self {
        let single = |edit| Group {
            edits: vec![edit],
            halve: false,
        };
        let groups = (0..edits.len()).map(single).collect();
        Self::new(edits, groups)
    }

    /// Goes to the next group of which something is left to try.
    pub(crate) fn advance(&mut self) -> bool {
        while let Some(mut group) = self.groups.pop() {
            group.edits.retain(|edit| self.open[*edit]);
            if !group.edits.is_empty() {
                self.current = Some(group);
                return true;
            }
        }
        false
    }

    /// Returns the edits to apply: those found to be good, and those of the current group.
    pub(crate) fn to_apply(&self) -> impl Iterator<Item = &E> + Clone {
        let current = self.current.as_ref().map(|group| group.edits.as_slice());
        let taken = self.taken.iter().enumerate();
        let taken = taken.filter_map(|(index, taken)| taken.then_some(index));
        let all = taken.chain(current.unwrap_or_default().iter().copied());
        all.map(|index| &self.edits[index])
    }

    /// Takes in whether the current group was good.
    pub(crate) fn report(&mut self, good: bool) {
        let Some(mut group) = self.current.take() else {
            return;
        };
        if good {
            for edit in group.edits {
                self.taken[edit] = true;
                self.close(edit);
            }
        } else if group.halve && group.edits.len() > 1 {
            let second = group.edits.split_off(group.edits.len().div_ceil(2));
            let halves = [second, group.edits];
            self.groups
                .extend(halves.map(|edits| Group { edits, halve: true }));
        }
    }

    /// Tries an edit and its rivals no more.
    fn close(&mut self, edit: usize) {
        self.open[edit] = false;
        let rival = self.edits[edit].rival();
        for (other, open) in self.edits.iter().zip(&mut self.open) {
            *open &= rival.is_none() || other.rival() != rival;
        }
    }
}
