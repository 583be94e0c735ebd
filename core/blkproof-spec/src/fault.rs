//! Faults as plain data: `blkdebug`'s rules, and what goes beyond them.
//!
//! Nothing here acts; the fault layer of blkproof-device interprets these rules. Per request at
//! most one rule acts: `blkdebug`'s rules decide first, extended rules next, in the order of
//! installation.

use core::fmt;

use crate::errno::Errno;
use crate::name::{ImageName, RuleName, Tag};
use crate::units::{ByteRange, Millis, SectorNumber};

/// The side of the image format on which a rule sits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Layer {
    /// Below the format: the image file (`drive0.file`). Format drivers raise their events here.
    File,
    /// Above the format: what the guest and jobs call (`drive0`).
    Format,
}

/// Where a rule sits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The image.
    pub image: ImageName,
    /// The side of the format.
    pub layer: Layer,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Layer::File => write!(f, "{}.file", self.image),
            Layer::Format => write!(f, "{}", self.image),
        }
    }
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[allow(missing_docs, reason = "each variant is documented by the name QEMU gives it")]
        pub enum $name { $($variant),+ }

        impl $name {
            /// All values, in the order of QEMU's schema.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the name QEMU gives it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Returns the value of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

named! {
    /// An event that a format driver, or the write path above a `blkdebug` node, raises.
    ///
    /// The names are those of QEMU 10.0's `BlkdebugEvent`.
    Event {
        L1Update = "l1_update",
        L1GrowAllocTable = "l1_grow_alloc_table",
        L1GrowWriteTable = "l1_grow_write_table",
        L1GrowActivateTable = "l1_grow_activate_table",
        L2Load = "l2_load",
        L2Update = "l2_update",
        L2UpdateCompressed = "l2_update_compressed",
        L2AllocCowRead = "l2_alloc_cow_read",
        L2AllocWrite = "l2_alloc_write",
        ReadAio = "read_aio",
        ReadBackingAio = "read_backing_aio",
        ReadCompressed = "read_compressed",
        WriteAio = "write_aio",
        WriteCompressed = "write_compressed",
        VmstateLoad = "vmstate_load",
        VmstateSave = "vmstate_save",
        CowRead = "cow_read",
        CowWrite = "cow_write",
        ReftableLoad = "reftable_load",
        ReftableGrow = "reftable_grow",
        ReftableUpdate = "reftable_update",
        RefblockLoad = "refblock_load",
        RefblockUpdate = "refblock_update",
        RefblockUpdatePart = "refblock_update_part",
        RefblockAlloc = "refblock_alloc",
        RefblockAllocHookup = "refblock_alloc_hookup",
        RefblockAllocWrite = "refblock_alloc_write",
        RefblockAllocWriteBlocks = "refblock_alloc_write_blocks",
        RefblockAllocWriteTable = "refblock_alloc_write_table",
        RefblockAllocSwitchTable = "refblock_alloc_switch_table",
        ClusterAlloc = "cluster_alloc",
        ClusterAllocBytes = "cluster_alloc_bytes",
        ClusterFree = "cluster_free",
        FlushToOs = "flush_to_os",
        FlushToDisk = "flush_to_disk",
        PwritevRmwHead = "pwritev_rmw_head",
        PwritevRmwAfterHead = "pwritev_rmw_after_head",
        PwritevRmwTail = "pwritev_rmw_tail",
        PwritevRmwAfterTail = "pwritev_rmw_after_tail",
        Pwritev = "pwritev",
        PwritevZero = "pwritev_zero",
        PwritevDone = "pwritev_done",
        EmptyImagePrepare = "empty_image_prepare",
        L1ShrinkWriteTable = "l1_shrink_write_table",
        L1ShrinkFreeL2Clusters = "l1_shrink_free_l2_clusters",
        CorWrite = "cor_write",
        ClusterAllocSpace = "cluster_alloc_space",
        None = "none",
    }
}

named! {
    /// The kind of a request at a device.
    IoType {
        Read = "read",
        Write = "write",
        WriteZeroes = "write-zeroes",
        Discard = "discard",
        Flush = "flush",
        BlockStatus = "block-status",
    }
}

/// A set of request kinds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoTypes(u8);

impl IoTypes {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Every kind but block-status queries: what a `blkdebug` rule without `iotype` matches.
    pub const ALL_BUT_BLOCK_STATUS: Self = Self(0b01_1111);

    /// Returns the set of this one kind.
    #[must_use]
    pub fn only(kind: IoType) -> Self {
        Self::NONE.with(kind)
    }

    /// Returns the set with `kind` added.
    #[must_use]
    pub fn with(self, kind: IoType) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Tells whether `kind` is in the set.
    #[must_use]
    pub fn contains(self, kind: IoType) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// Returns the kinds in the set.
    pub fn iter(self) -> impl Iterator<Item = IoType> {
        IoType::ALL
            .iter()
            .copied()
            .filter(move |kind| self.contains(*kind))
    }
}

impl fmt::Debug for IoTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A fault rule with its place.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FaultRule {
    /// The name by which it can be lifted.
    pub name: Option<RuleName>,
    /// Where it sits.
    pub place: Place,
    /// What it does.
    pub rule: Rule,
}

/// What a fault rule does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Rule {
    /// `blkdebug`'s `set-state`.
    SetState {
        /// The event that triggers it.
        event: Event,
        /// The state in which it acts; 0 means any.
        state: u32,
        /// The state that holds after the event.
        new_state: u32,
    },
    /// `blkdebug`'s `inject-error`.
    InjectError(InjectError),
    /// A breakpoint, as `qemu-io`'s `break`: the next request to raise `event`, in whatever state,
    /// is suspended under `tag`. The rule is used up by that.
    Break {
        /// The event at which the request is suspended.
        event: Event,
        /// The tag by which it is resumed.
        tag: Tag,
    },
    /// What `blkdebug` does not have.
    Extended(Extended),
}

/// `blkdebug`'s `inject-error` rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct InjectError {
    /// The event that activates it.
    pub event: Event,
    /// The state in which it is activated; 0 means any.
    pub state: u32,
    /// The kinds of request it fails; QEMU's default is all but block-status.
    pub iotypes: IoTypes,
    /// The error; `None` (QEMU's 0) matches and lets the request pass.
    pub errno: Option<Errno>,
    /// The sector that a request has to touch; `None` is any.
    pub sector: Option<SectorNumber>,
    /// Whether the rule is gone after its first injection.
    pub once: bool,
    /// Whether the request fails at once or after other requests had a chance to run. Observable
    /// only through interleaving; requests here fail at once in both cases.
    pub immediately: bool,
}

impl InjectError {
    /// Returns the rule that QEMU makes of `event` alone.
    #[must_use]
    pub fn new(event: Event) -> Self {
        Self {
            event,
            state: 0,
            iotypes: IoTypes::ALL_BUT_BLOCK_STATUS,
            errno: Some(Errno::EIO),
            sector: None,
            once: false,
            immediately: false,
        }
    }
}

/// A fault rule that needs no event: it looks at requests alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Extended {
    /// The kinds of request it looks at.
    pub iotypes: IoTypes,
    /// The bytes that a request has to touch; `None` is any.
    pub range: Option<ByteRange>,
    /// Which of the matching requests it acts on.
    pub when: When,
    /// What it does to them.
    pub effect: Effect,
}

/// Which of a rule's matching requests it acts on. Matches are counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum When {
    /// All.
    Always,
    /// Only the n-th.
    Nth(u64),
    /// The n-th and all behind it.
    From(u64),
    /// Every n-th.
    Every(u64),
    /// By chance: decided by a hash of the seed, the rule and the request's identity, never by a
    /// shared stream of numbers, so that removing one step of a scenario moves no other fault. The
    /// identity is on whose behalf it is made (a step in its words, or a job), its kind, its range,
    /// and how often this very request was seen before; below a format, where ranges follow from
    /// all that was written, the range of the request to the format that it is part of.
    Chance {
        /// The seed.
        seed: u64,
        /// The probability in millionths.
        per_million: u32,
    },
}

/// What an extended rule does to a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// The request fails; nothing of it is applied.
    Error(Errno),
    /// The request takes this much virtual time before it is carried out.
    Delay(Millis),
    /// The first `bytes` are transferred, then the request fails.
    Partial {
        /// How many bytes are transferred.
        bytes: u64,
        /// The error.
        errno: Errno,
    },
    /// Some sectors of a write are applied, then it fails.
    Torn {
        /// Which sectors are applied.
        kept: Kept,
        /// The error.
        errno: Errno,
    },
    /// The request is carried out in full and reported as failed.
    AppliedButFailed(Errno),
    /// A write lands elsewhere, shifted by this many bytes (clipped to the device), and succeeds.
    Misdirected {
        /// The shift, towards the end where positive.
        by: i64,
    },
    /// The request is acknowledged and not carried out.
    Phantom,
    /// A flush is acknowledged and makes nothing durable.
    LyingFlush,
    /// Reads return flipped bits: one per sector that the hash of (seed, sector) selects, the same
    /// at each re-read until the sector is written again.
    BitRot {
        /// The seed.
        seed: u64,
    },
    /// Reads return what stood there before the last write of each sector.
    StaleRead,
    /// The device holds this many bytes of data; a write that would need more fails with ENOSPC.
    Capacity {
        /// The capacity in bytes.
        bytes: u64,
    },
}

/// Which sectors of a torn write are applied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kept {
    /// The first half, rounded up.
    Left,
    /// The second half, rounded up.
    Right,
    /// All but the first and the last quarter.
    Middle,
    /// Those that the hash of (seed, sector) selects.
    Some(u64),
}

/// What may be asked of a subject under a fault (the table of the oracle).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// Correct, or a reported failure; full health once lifted.
    Reported,
    /// Correct.
    Correct,
    /// Asked only of subjects that claim to detect this kind.
    Silent,
}

/// Whether a subject has to get over a fault.
///
/// Within the budget, to refuse or to fail because of it is a mistake. Errors are within the budget
/// of jobs whose policy gets over them (see the property `refused-not-wrong`); who else meets them
/// may fail, and has to say so. What is beyond the budget does its damage and tells nobody, so that
/// nothing can be asked of a run in which it acts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Budget {
    /// It has to be got over.
    Within,
    /// It has to be got over where a job's policy says so, and to be told else.
    ByPolicy,
    /// Nothing is asked.
    Beyond,
}

impl Budget {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::ByPolicy => "by-policy",
            Self::Beyond => "beyond",
        }
    }
}

impl Verdict {
    /// All verdicts, in the order of what they ask: the most first.
    pub const ALL: [Self; 3] = [Self::Correct, Self::Reported, Self::Silent];

    /// Tells whether what has this verdict has to be got over.
    #[must_use]
    pub fn budget(self) -> Budget {
        match self {
            Self::Correct => Budget::Within,
            Self::Reported => Budget::ByPolicy,
            Self::Silent => Budget::Beyond,
        }
    }
}

/// What is asked of a subject that meets it.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Correct => "within the budget: nothing may come of it",
            Self::Reported => "within the budget of a policy, else told, never wrong",
            Self::Silent => "beyond the budget: of no account",
        })
    }
}

impl Effect {
    /// Returns what may be asked of a subject that meets this effect.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Error(_)
            | Self::Partial { .. }
            | Self::Torn { .. }
            | Self::AppliedButFailed(_)
            | Self::Capacity { .. } => Verdict::Reported,
            Self::Delay(_) => Verdict::Correct,
            Self::Misdirected { .. }
            | Self::Phantom
            | Self::LyingFlush
            | Self::BitRot { .. }
            | Self::StaleRead => Verdict::Silent,
        }
    }
}

impl Rule {
    /// Returns what may be asked of a subject that meets this rule.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::SetState { .. } | Self::Break { .. } => Verdict::Correct,
            Self::InjectError(_) => Verdict::Reported,
            Self::Extended(extended) => extended.effect.verdict(),
        }
    }
}

/// One entry of the ledger: a rule that acted on a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Firing {
    /// Where the rule sits.
    pub place: Place,
    /// The rule's name, if it has one.
    pub name: Option<RuleName>,
    /// The kind of the request.
    pub kind: IoType,
    /// The bytes of the request.
    pub range: ByteRange,
    /// The error that the caller saw, if any.
    pub errno: Option<Errno>,
    /// What may be asked of the subject under it.
    pub verdict: Verdict,
}

#[cfg(test)]
mod tests {
    use super::{Budget, Effect, Event, InjectError, Kept, Rule, Verdict};
    use crate::errno::Errno;
    use crate::units::Millis;

    #[test]
    fn the_budget_is_that_of_the_oracle() {
        let errno = Errno::EIO;
        let bytes = 512;
        let kept = Kept::Left;
        for (effect, verdict) in [
            (Effect::Error(errno), Verdict::Reported),
            (Effect::Partial { bytes, errno }, Verdict::Reported),
            (Effect::Torn { kept, errno }, Verdict::Reported),
            (Effect::AppliedButFailed(errno), Verdict::Reported),
            (Effect::Capacity { bytes }, Verdict::Reported),
            (Effect::Delay(Millis(1)), Verdict::Correct),
            (Effect::Misdirected { by: 512 }, Verdict::Silent),
            (Effect::Phantom, Verdict::Silent),
            (Effect::LyingFlush, Verdict::Silent),
            (Effect::BitRot { seed: 1 }, Verdict::Silent),
            (Effect::StaleRead, Verdict::Silent),
        ] {
            assert_eq!(effect.verdict(), verdict, "{effect:?}");
        }
        let inject = Rule::InjectError(InjectError::new(Event::None));
        assert_eq!(inject.verdict().budget(), Budget::ByPolicy);
        let budgets = Verdict::ALL.map(|verdict| verdict.budget().name());
        assert_eq!(budgets, ["within", "by-policy", "beyond"]);
    }
}
