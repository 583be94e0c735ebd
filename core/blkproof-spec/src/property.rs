//! The properties that a subject is held to: one file each, with its sentence and its check.
//!
//! The checks are called by the model, which knows what ought to be; a check compares that with
//! what was seen and says so in a [`Violation`](crate::model::Violation).

pub(crate) mod answers_exact;
pub(crate) mod bitmap_honest;
pub(crate) mod claims_true;
pub(crate) mod completed_survives;
pub(crate) mod copy_minimal;
pub(crate) mod deterministic;
pub(crate) mod dirty_precise;
pub(crate) mod dirty_recovers;
pub(crate) mod dirty_sound;
pub(crate) mod errors_caused;
pub(crate) mod fault_surfaces;
pub(crate) mod flushed_survives;
pub(crate) mod guest_reads_writes;
pub(crate) mod guest_unharmed;
pub(crate) mod image_sound;
pub(crate) mod job_lifecycle;
pub(crate) mod no_crash;
pub(crate) mod one_moment;
pub(crate) mod pause_exact;
pub(crate) mod point_in_time;
pub(crate) mod progress;
pub(crate) mod refusal_harmless;
pub(crate) mod refused_not_wrong;
pub(crate) mod restore_exact;
pub(crate) mod restore_points_survive;
pub(crate) mod transaction_atomic;

use core::fmt;

macro_rules! properties {
    ($($(#[$doc:meta])* $variant:ident = $name:literal in $module:ident),+ $(,)?) => {
        /// A property of a correct backup engine, by its stable name.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Property { $($(#[$doc])* $variant),+ }

        impl Property {
            /// All properties, in the oracle's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns its stable name, as scenario texts and reports use it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Returns the sentence that says what must hold.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $module::SENTENCE),+ }
            }

            /// Returns a phrase that says when it is checked.
            #[must_use]
            pub fn when(self) -> &'static str {
                match self { $(Self::$variant => $module::WHEN),+ }
            }
        }
    };
}

properties! {
    /// A read returns a value that the guest may see there.
    GuestReadsWrites = "guest-reads-writes" in guest_reads_writes,
    /// No backup, bitmap command or transaction disturbs the guest.
    GuestUnharmed = "guest-unharmed" in guest_unharmed,
    /// Without faults, every answer equals the model's.
    AnswersExact = "answers-exact" in answers_exact,
    /// Every failure is explained by a fault or an illegal command.
    ErrorsCaused = "errors-caused" in errors_caused,
    /// A target restores exactly.
    RestoreExact = "restore-exact" in restore_exact,
    /// Every live restore point still restores after every later step.
    RestorePointsSurvive = "restore-points-survive" in restore_points_survive,
    /// No later guest write shows in a target.
    PointInTime = "point-in-time" in point_in_time,
    /// All backups of a transaction share one moment.
    OneMoment = "one-moment" in one_moment,
    /// Every granule that has to be dirty is reported dirty.
    DirtySound = "dirty-sound" in dirty_sound,
    /// No granule is reported dirty that nothing dirtied.
    DirtyPrecise = "dirty-precise" in dirty_precise,
    /// A job gives its bitmap back as its outcome and mode say.
    DirtyRecovers = "dirty-recovers" in dirty_recovers,
    /// No backup copies what is neither dirty nor forced by rounding.
    CopyMinimal = "copy-minimal" in copy_minimal,
    /// A bitmap that outlived a restart is true, or says that it is not.
    BitmapHonest = "bitmap-honest" in bitmap_honest,
    /// Jobs move along allowed edges and end once.
    JobLifecycle = "job-lifecycle" in job_lifecycle,
    /// Transactions and groups happen as one or not at all.
    TransactionAtomic = "transaction-atomic" in transaction_atomic,
    /// A refused command changes nothing.
    RefusalHarmless = "refusal-harmless" in refusal_harmless,
    /// A job that stops on an error keeps what it holds until it goes on.
    PauseExact = "pause-exact" in pause_exact,
    /// Every injected error shows somewhere.
    FaultSurfaces = "fault-surfaces" in fault_surfaces,
    /// A fault may make a command fail, never succeed wrongly.
    RefusedNotWrong = "refused-not-wrong" in refused_not_wrong,
    /// Once all faults are lifted, backups work again.
    Progress = "progress" in progress,
    /// What was flushed survives a loss of power.
    FlushedSurvives = "flushed-survives" in flushed_survives,
    /// A completed backup survives a loss of power.
    CompletedSurvives = "completed-survives" in completed_survives,
    /// Closed images are structurally valid.
    ImageSound = "image-sound" in image_sound,
    /// No step panics, hangs or exceeds its bound of work without a reason.
    NoCrash = "no-crash" in no_crash,
    /// A subject does what it claims, and nothing that it does not claim.
    ClaimsTrue = "claims-true" in claims_true,
    /// The same scenario gives the same trace.
    Deterministic = "deterministic" in deterministic,
}

/// Properties of which something was judged.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Exercised(u32);

impl Exercised {
    pub(crate) fn add(&mut self, property: Property) {
        self.0 |= 1 << property as u32;
    }

    /// Tells whether something of this property was judged.
    #[must_use]
    pub fn has(self, property: Property) -> bool {
        self.0 & 1 << property as u32 != 0
    }
}

impl Property {
    /// Returns the property of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
