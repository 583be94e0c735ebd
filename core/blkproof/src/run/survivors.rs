//! Restore points, looked at behind each step: those that it made, and a few others in turn.
//!
//! An image whose chain nothing touched since it was found right is not read again, so such a look
//! costs hardly anything unless the step touched what it had no business with. To see that nothing
//! did takes a walk down the chain, so what is walked is bounded too: a scenario of thousands of
//! increments, each on the one before, costs no more a step than a short one. At the end all of
//! them are looked at.

use super::Run;

/// How many restore points a step has looked at besides those that it made.
const IN_TURN: usize = 4;

/// How many images of chains a step may look at, on the average of steps, and how many where the
/// steps before looked at none.
const LINKS: i64 = 4;
const LINKS_MAX: i64 = 64;

/// Which restore points are to be looked at.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Survivors {
    /// How many there were at the last step.
    known: usize,
    /// How many were looked at in turn.
    turn: usize,
    /// How many images of chains may still be looked at; below zero where the last chain was
    /// longer.
    links: i64,
}

impl Run<'_> {
    /// Looks at some restore points, where an inspector can tell what nothing touched, and nothing
    /// is wrong yet.
    pub(super) fn look_at_survivors(&mut self) {
        if self.inspector.is_none() || !self.findings.is_empty() {
            return;
        }
        let made = self.model.restore_points_made();
        let known = self.buffers.survivors.known;
        let links = &mut self.buffers.survivors.links;
        *links = (*links + LINKS).min(LINKS_MAX);
        for number in known..made {
            self.look_at_survivor(number);
        }
        for _ in 0..known.min(IN_TURN) {
            if self.buffers.survivors.links <= 0 {
                break;
            }
            let number = self.buffers.survivors.turn % known;
            self.buffers.survivors.turn += 1;
            self.look_at_survivor(number);
        }
        self.buffers.survivors.known = made;
    }

    fn look_at_survivor(&mut self, number: usize) {
        if self.buffers.survivors.links <= 0 {
            return;
        }
        let Some((demand, links)) = self.model.survivor(number) else {
            return;
        };
        self.buffers.survivors.links -= i64::try_from(links).unwrap_or(i64::MAX);
        self.buffers.judgement.clear();
        self.inspect(&demand);
        self.take_violations();
    }
}
