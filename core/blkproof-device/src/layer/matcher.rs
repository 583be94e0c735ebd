//! Finding the rules that a request matches, at a cost that does not follow their number.
//!
//! Up to 64 rules form a block, one bit each, lowest first in the order of installation. The ends
//! of their ranges cut a device into segments, of which each knows the rules that it lies in. The
//! rules of a request are those of its segments: the first is searched for by halving, and each
//! further one means that a rule's range starts or ends within the request.

use blkproof_spec::fault::IoTypes;
use blkproof_spec::{ByteRange, IoType};

use super::request::Request;

/// How many rules a block holds.
const SEATS: usize = 64;

/// A list of rules, in the order of installation, each known by a number of its owner's.
#[derive(Clone, Default)]
pub(crate) struct Matcher {
    blocks: Vec<Block>,
}

/// Up to 64 rules, as bits.
#[derive(Clone)]
struct Block {
    /// The numbers of the rules, ascending.
    rules: Vec<usize>,
    /// The rules that were not taken out.
    there: u64,
    /// Those of them that may match for the time being.
    armed: u64,
    /// Those that are about to be armed.
    chosen: u64,
    /// The rules that look at each kind of request.
    kinds: [u64; IoType::ALL.len()],
    /// The rules that match whatever a request touches.
    anywhere: u64,
    /// Where the segments start, in order, the first at 0.
    starts: Vec<u64>,
    /// The rules in whose ranges each segment lies.
    within: Vec<u64>,
}

/// The bytes from `start` up to `end`.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: u64,
    end: u64,
}

impl Matcher {
    /// Adds a rule, numbered above all others, which matches requests of `kinds` that touch
    /// `range`, or any such request. It does so as soon as it is armed.
    pub(crate) fn add(&mut self, rule: usize, kinds: IoTypes, range: Option<ByteRange>) {
        if self.blocks.last().is_none_or(Block::is_full) {
            self.blocks.push(Block::new());
        }
        let block = self.blocks.last_mut().expect("there is one with a seat");
        block.add(rule, kinds, range);
    }

    /// Tells whether there is no rule.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.iter().all(|block| block.there == 0)
    }

    /// Has all rules match.
    pub(crate) fn arm_all(&mut self) {
        for block in &mut self.blocks {
            block.armed = block.there;
        }
    }

    /// Has only the chosen rules match, and tells whether that changes anything; `None`, and
    /// everything stays as it is, if none is chosen.
    pub(crate) fn arm_only(&mut self, mut chosen: impl FnMut(usize) -> bool) -> Option<bool> {
        let mut any = 0;
        for block in &mut self.blocks {
            block.chosen = block.choose(&mut chosen);
            any |= block.chosen;
        }
        let mut changes = false;
        for block in &mut self.blocks {
            changes |= block.armed != block.chosen;
            block.armed = if any == 0 { block.armed } else { block.chosen };
        }
        (any != 0).then_some(changes)
    }

    /// Takes a rule out.
    pub(crate) fn remove(&mut self, rule: usize) {
        for block in &mut self.blocks {
            if let Ok(seat) = block.rules.binary_search(&rule) {
                block.there &= !(1 << seat);
                block.armed &= block.there;
            }
        }
        self.blocks
            .retain(|block| !block.is_full() || block.there != 0);
    }

    /// Returns the first rule from the seat `from` on that matches a request, and the seat behind
    /// it. Seats are counted from 0 on, and move only when a rule is taken out.
    pub(crate) fn next(&self, from: usize, request: &Request) -> Option<(usize, usize)> {
        let mut unseen = u64::MAX << (from % SEATS);
        for (number, block) in self.blocks.iter().enumerate().skip(from / SEATS) {
            let found = block.matching(request) & unseen;
            if found != 0 {
                let seat = found.trailing_zeros() as usize;
                return Some((block.rules[seat], number * SEATS + seat + 1));
            }
            unseen = u64::MAX;
        }
        None
    }

    /// Tells whether a rule matches a request. If none does, narrows `calm` to bytes around it in
    /// which none matches any request of its kind.
    pub(crate) fn meets(&self, kind: IoType, range: ByteRange, calm: &mut Span) -> bool {
        let mut blocks = self.blocks.iter();
        blocks.any(|block| block.meets(kind, range, calm))
    }
}

impl Span {
    /// Not even an empty request lies here.
    pub(crate) const NOWHERE: Self = Self { start: 1, end: 0 };

    pub(crate) const EVERYWHERE: Self = Self {
        start: 0,
        end: u64::MAX,
    };

    /// Tells whether a range lies here.
    #[inline]
    pub(crate) fn holds(self, range: ByteRange) -> bool {
        self.start <= range.start && range.end() <= self.end
    }
}

impl Block {
    fn new() -> Self {
        Self {
            rules: Vec::new(),
            there: 0,
            armed: 0,
            chosen: 0,
            kinds: [0; IoType::ALL.len()],
            anywhere: 0,
            starts: vec![0],
            within: vec![0],
        }
    }

    fn is_full(&self) -> bool {
        self.rules.len() == SEATS
    }

    fn add(&mut self, rule: usize, kinds: IoTypes, range: Option<ByteRange>) {
        let bit = 1 << self.rules.len();
        self.rules.push(rule);
        self.there |= bit;
        for kind in kinds.iter() {
            self.kinds[kind as usize] |= bit;
        }
        match range {
            None => self.anywhere |= bit,
            // Nothing touches an empty range.
            Some(range) if range.is_empty() => {}
            Some(range) => {
                let start = self.cut(range.start);
                let end = self.cut(range.end());
                for rules in &mut self.within[start..end] {
                    *rules |= bit;
                }
            }
        }
    }

    fn choose(&self, mut chosen: impl FnMut(usize) -> bool) -> u64 {
        let mut left = self.there;
        let mut bits = 0;
        while left != 0 {
            let seat = left.trailing_zeros();
            left &= left - 1;
            bits |= u64::from(chosen(self.rules[seat as usize])) << seat;
        }
        bits
    }

    /// Has a segment start at `position`, and returns its index.
    fn cut(&mut self, position: u64) -> usize {
        let behind = self.starts.partition_point(|cut| *cut < position);
        if self.starts.get(behind) != Some(&position) {
            self.starts.insert(behind, position);
            self.within.insert(behind, self.within[behind - 1]);
        }
        behind
    }

    /// Returns the rules that look at requests of a kind.
    fn concerned(&self, kind: IoType) -> u64 {
        self.armed & self.kinds[kind as usize]
    }

    /// Returns the rules that match a request.
    fn matching(&self, request: &Request) -> u64 {
        let mut touched = Span::EVERYWHERE;
        self.concerned(request.kind) & self.touched(request.range, &mut touched)
    }

    /// See [`Matcher::meets`].
    #[inline]
    fn meets(&self, kind: IoType, range: ByteRange, calm: &mut Span) -> bool {
        let concerned = self.concerned(kind);
        concerned != 0 && concerned & self.touched(range, calm) != 0
    }

    /// Returns the rules, of whatever kind, that requests in `range` match, and narrows `span` to
    /// the segments that it touches.
    #[inline]
    fn touched(&self, range: ByteRange, span: &mut Span) -> u64 {
        let (start, end) = (range.start, range.end());
        if range.is_empty() {
            *span = Span { start, end };
            return self.anywhere;
        }
        let mut index = self.starts.partition_point(|cut| *cut <= start) - 1;
        span.start = span.start.max(self.starts[index]);
        let mut rules = self.anywhere;
        while index < self.starts.len() {
            if self.starts[index] >= end {
                span.end = span.end.min(self.starts[index]);
                break;
            }
            rules |= self.within[index];
            index += 1;
        }
        rules
    }
}

#[cfg(test)]
mod tests;
