//! Choices by chance, each a hash of what it concerns, so that none moves another.

use blkproof_spec::fault::{Effect, Extended, Kept};
use blkproof_spec::{ByteRange, FaultRule, Layer};

use super::request::Request;
use crate::desk::Whose;

/// What a request is to chance: on whose behalf it is made and which one of that.
///
/// Below a format, where something lies follows from all that was written before. A request there
/// is told from others by the request to the format that it is part of, and by how many of its kind
/// that made before; any other by its own range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Identity {
    whose: Whose,
    kind: u64,
    start: u64,
    len: u64,
}

impl Identity {
    pub(crate) fn of(request: &Request, whose: Whose, side: Layer) -> Self {
        let is_part = side == Layer::File && whose.enclosing != 0;
        let range = if is_part {
            ByteRange::default()
        } else {
            request.range
        };
        Self {
            // Above a format, the request that its layer sees is the enclosing one itself.
            whose: Whose {
                actor: whose.actor,
                enclosing: if is_part { whose.enclosing } else { 0 },
            },
            kind: request.kind as u64,
            start: range.start,
            len: range.len,
        }
    }

    fn words(self) -> [u64; 5] {
        let Whose { actor, enclosing } = self.whose;
        [actor, enclosing, self.kind, self.start, self.len]
    }
}

/// Mixes one more word into a hash (the finaliser of SplitMix64).
pub(crate) fn mix(hash: u64, word: u64) -> u64 {
    let mut z = (hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(crate) fn mix_all(hash: u64, words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(hash, mix)
}

pub(crate) fn mix_text(hash: u64, text: &str) -> u64 {
    let hash = mix(hash, text.len() as u64);
    mix_all(hash, text.bytes().map(u64::from))
}

/// Returns the identity of a rule: what it says, and not when it was installed.
pub(crate) fn rule_identity(rule: &FaultRule, extended: &Extended) -> u64 {
    let hash = mix_text(0, rule.place.image.as_str());
    let hash = mix(hash, u64::from(rule.place.layer == Layer::Format));
    let hash = mix_text(hash, rule.name.as_ref().map_or("", |name| name.as_str()));
    let hash = mix_all(hash, extended.iotypes.iter().map(|kind| kind as u64));
    let range = extended
        .range
        .map_or((0, 0), |range| (range.start, range.len));
    let hash = mix_all(hash, [range.0, range.1]);
    mix_all(hash, effect_words(extended.effect))
}

/// Writes an effect as numbers.
fn effect_words(effect: Effect) -> [u64; 3] {
    match effect {
        Effect::Error(errno) => [1, errno.0.into(), 0],
        Effect::Delay(span) => [2, span.0, 0],
        Effect::Partial { bytes, errno } => [3, bytes, errno.0.into()],
        Effect::Torn { kept, errno } => {
            let kept = match kept {
                Kept::Left => 1,
                Kept::Right => 2,
                Kept::Middle => 3,
                Kept::Some(seed) => mix(4, seed),
            };
            [4, kept, errno.0.into()]
        }
        Effect::AppliedButFailed(errno) => [5, errno.0.into(), 0],
        Effect::Misdirected { by } => [6, by.cast_unsigned(), 0],
        Effect::Phantom => [7, 0, 0],
        Effect::LyingFlush => [8, 0, 0],
        Effect::BitRot { seed } => [9, seed, 0],
        Effect::StaleRead => [10, 0, 0],
        Effect::Capacity { bytes } => [11, bytes, 0],
    }
}

/// Tells whether chance selects a request that was seen `times` before.
pub(crate) fn selects(seed: u64, per_million: u32, rule: u64, who: Identity, times: u64) -> bool {
    let hash = mix_all(mix(seed, rule), who.words());
    let hash = mix(hash, times);
    // The upper half of the product of a 32-bit fraction and a million is uniform below a million.
    ((hash >> 32) * 1_000_000) >> 32 < u64::from(per_million)
}

/// Tells whether a torn write keeps a sector.
pub(crate) fn keeps(seed: u64, sector: u64) -> bool {
    mix(seed, sector) & 1 == 0
}

/// Returns which bit of a sector has rotted, if any: every other sector has one, counted from its
/// start.
pub(crate) fn rotten_bit(seed: u64, sector: u64) -> Option<u64> {
    let hash = mix(seed, sector);
    (hash & 1 == 0).then_some(hash >> 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blkproof_spec::IoType;

    #[test]
    fn chance_is_about_as_likely_as_said() {
        let hits = |per_million| {
            let chosen = (0..10_000).filter(|start| {
                let range = ByteRange::new(*start, 512);
                let request = Request::new(IoType::Read, range);
                let who = Identity::of(&request, Whose::default(), Layer::File);
                selects(7, per_million, 3, who, 0)
            });
            chosen.count()
        };
        assert_eq!(hits(0), 0);
        assert_eq!(hits(1_000_000), 10_000);
        assert!((2_300..2_700).contains(&hits(250_000)));
    }

    #[test]
    fn a_rotten_bit_lies_in_its_sector() {
        let rotten = (0..1000).filter_map(|sector| rotten_bit(1, sector));
        assert!(rotten.clone().all(|bit| bit < 4096));
        assert!((400..600).contains(&rotten.count()));
    }
}
