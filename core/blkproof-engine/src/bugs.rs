//! Seeded bugs: mistakes that real backup software made, to be switched on by name.
//!
//! The engine is right with none of them on. Each is one `if` at the place where the mistake was
//! made elsewhere; where it is off it costs the test of a bit, once a request or less. A judge that
//! does not catch one of them is not good enough: `blkproof bugs` finds out.
//!
//! `entry` is the number in the catalogue of historical bugs that the project keeps
//! (`C01` to `C92`), where it is from there; [`OUT_OF_SCOPE`] says which of them are not here and
//! why.

use core::fmt;

use blkproof_qcow2::Mistake;
use blkproof_spec::Property;

macro_rules! bugs {
    ($($variant:ident = $name:literal, $entry:literal, $property:ident, $sentence:literal,
       $source:literal;)+) => {
        /// A seeded bug.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Bug {
            $(#[doc = $sentence] $variant),+
        }

        impl Bug {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Returns its number in the catalogue of historical bugs; empty if it is not of them.
            #[must_use]
            pub fn entry(self) -> &'static str {
                match self { $(Self::$variant => $entry),+ }
            }

            /// Returns the property that must be among those that catch it.
            #[must_use]
            pub fn property(self) -> Property {
                match self { $(Self::$variant => Property::$property),+ }
            }

            /// Returns what it does wrong, in a sentence.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),+ }
            }

            /// Returns where it happened.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self { $(Self::$variant => $source),+ }
            }
        }
    };
}

bugs! {
    CancelIsSuccess = "cancel-is-success", "C01", DirtyRecovers,
        "A job that is cancelled gives its bitmap up as if it had succeeded.",
        "QEMU 17d9716d7b (2015)";
    CompletedSiblingCommits = "completed-sibling-commits", "C02", TransactionAtomic,
        "A job that had done its work commits its bitmap although its group fails.",
        "QEMU 35d6b368f2 (2018)";
    GroupEndsAlone = "group-ends-alone", "C03", TransactionAtomic,
        "A failing job does not cancel the others of its group.",
        "the purpose of QEMU's iotest 124";
    EmptyJobDoesNotWait = "empty-job-does-not-wait", "C04", TransactionAtomic,
        "A job of a group that has nothing to copy ends without waiting for the others.",
        "QEMU e8a40bf71d (2016)";
    RollbackKeepsBusy = "rollback-keeps-busy", "C05", TransactionAtomic,
        "A job that is taken back before it ran leaves its bitmap busy.",
        "QEMU 0df62f45c1 (2020), generalised";
    ClearedAtStart = "cleared-at-start", "C07", DirtyRecovers,
        "A job clears its bitmap at its creation, and has nothing to give back when it fails.",
        "found in several tools";
    UndoOfWhatNeverRan = "undo-of-what-never-ran", "C08", TransactionAtomic,
        "A transaction also takes back the action that was refused, and so empties its bitmap.",
        "QEMU 184dd9c49b (2017)";
    UndoForward = "undo-forward", "C09", TransactionAtomic,
        "A transaction is taken back in the order in which it was carried out.",
        "QEMU f4de0f8c40 (2019)";
    RemoveKeeps = "remove-keeps", "C10", AnswersExact,
        "Removing a bitmap in a transaction says that it is done, and the bitmap stays.",
        "QEMU f56281abd9 (2019)";
    MergeFromBusy = "merge-from-busy", "C11", RefusalHarmless,
        "A merge takes a bitmap that a job holds, without what is written meanwhile.",
        "QEMU cb8e58e3de (2019)";
    MergeStopsAtEmpty = "merge-stops-at-empty", "C12", DirtySound,
        "A merge ends at the first source that is empty.",
        "QEMU 3bde4b010e (2019)";
    PauseCounts = "pause-counts", "C14", ErrorsCaused,
        "Every request that fails pauses the job once more, so that one resume does not do.",
        "QEMU 8d9648cbf3 (2019)";
    CancelOfPausedHangs = "cancel-of-paused-hangs", "C15", NoCrash,
        "A job that a user paused stays paused when it is cancelled.",
        "QEMU e321c0597c (2018)";
    ErrorIsCancel = "error-is-cancel", "C16", ErrorsCaused,
        "The job of a group that fails reports that it was cancelled.",
        "pve-qemu cd7676f";
    GrowthIsNotCopied = "growth-is-not-copied", "C17", RestoreExact,
        "A job looks for dirty granules only below the size at which the bitmap was made.",
        "QEMU 4e4de22279 (2019)";
    GrowthIsNotMarked = "growth-is-not-marked", "C18", DirtySound,
        "Writes are marked only below the size at which the bitmap was made.",
        "QEMU 7f8f03ef6d (2018)";
    RegrownIsClean = "regrown-is-clean", "C19, C67", DirtySound,
        "What was cut off and grew back is clean.",
        "openzfs #4996; QEMU 10.0 does so";
    DiscardCleans = "discard-cleans", "C20", DirtySound,
        "A discard clears dirty bits.",
        "QEMU 508249952c (2015)";
    JobCleansAll = "job-cleans-all", "C23", DirtySound,
        "A job that succeeds clears every bitmap of its disk.",
        "QEMU c4237dfa63 (2014)";
    SecondDiskUntracked = "second-disk-untracked", "C24", AnswersExact,
        "Of the backups of one transaction only the first uses its bitmap.",
        "pve-qemu f257cc0 (2020)";
    TailIsForgotten = "tail-is-forgotten", "C25", RestoreExact,
        "A disk that is no whole number of clusters loses its tail.",
        "pve-qemu b570f1c (2020)";
    CountIn32Bits = "count-in-32-bits", "C27", DirtySound,
        "The count of a bitmap is computed in 32 bits.",
        "QEMU 570542ecb1 (2019)";
    LoadedIsUncounted = "loaded-is-uncounted", "C28", BitmapHonest,
        "A bitmap that was loaded counts as empty until something is recorded.",
        "QEMU 3260cdfffb (2018)";
    FailedWriteIsClean = "failed-write-is-clean", "C32", DirtySound,
        "A write that fails is not marked.",
        "QEMU ec050f77a5 (2016), the note in it";
    ClusterIs64k = "cluster-is-64k", "C33", AnswersExact,
        "A job copies in units of 64 KiB whatever the clusters of its target.",
        "QEMU 4c9bca7e39 (2016)";
    ScanHangsAtTail = "scan-hangs-at-tail", "C34", NoCrash,
        "The scan of a top backup hangs where a disk ends within a cluster.",
        "QEMU d40593dd90 (2014)";
    CopyBehindEnd = "copy-behind-end", "C35", ErrorsCaused,
        "The last cluster is copied in full although the disk ends within it.",
        "QEMU 1048ddf0a3 (2019)";
    CopiedTwice = "copied-twice", "C36", PointInTime,
        "The pass copies clusters again that a guest request has saved already.",
        "QEMU 4a5b91ca02 (2019)";
    DiscardIsNotGuarded = "discard-is-not-guarded", "C37", RestoreExact,
        "A discard does not save what it gives up.",
        "QEMU ec050f77a5 (2016)";
    ZeroesAreNotGuarded = "zeroes-are-not-guarded", "C38", RestoreExact,
        "A write of zeroes does not save what it overwrites.",
        "QEMU 4bc267a7c7 (2020)";
    CopySetMadeLate = "copy-set-made-late", "C40", AnswersExact,
        "What a job has to copy is set up with its first unit; until then, nothing is saved.",
        "QEMU 06e0a9c164, pve-qemu 27199bd (2022)";
    GuardCopiesItsPart = "guard-copies-its-part", "C41", RestoreExact,
        "A guest request saves what it overwrites, and counts the whole cluster as copied.",
        "QEMU 7661a886a1 (2020)";
    TopCopiesHoles = "top-copies-holes", "C42", CopyMinimal,
        "During a top backup guest requests save clusters that the top image does not have.",
        "QEMU 7e30dd618e (2019)";
    FlyingIsForgotten = "flying-is-forgotten", "C44", AnswersExact,
        "The length of a job leaves out what is on its way.",
        "QEMU d0ebeca14a (2020)";
    StatusIsStale = "status-is-stale", "C47, C68", RestoreExact,
        "What was once found to be zeroes is taken for zeroes ever after.",
        "QEMU 0bc329fbb0 (2022), openzfs #15526";
    GrowthExposes = "growth-exposes", "C45", GuestReadsWrites,
        "An overlay that grows shows what a longer backing file has there.",
        "QEMU 955c7d6687 (2020)";
    ZeroesByTheFirst4k = "zeroes-by-the-first-4k", "C50", RestoreExact,
        "A chunk counts as zeroes where its first 4 KiB are.",
        "QEMU e8b6535533";
    FilterComesLate = "filter-comes-late", "C51", PointInTime,
        "The filter of a job is in place only once the job did its first unit of work.",
        "QEMU 167ef239fb";
    OpenedUnflagged = "opened-unflagged", "C53", BitmapHonest,
        "The bitmaps of an image that is opened are not flagged in its file.",
        "QEMU 644ddbb754 (2019)";
    InUseIsValid = "in-use-is-valid", "C55", BitmapHonest,
        "A bitmap that is flagged as in use is loaded as if it had been stored.",
        "QEMU a505475b95 (2019), turned round";
    TooLargeIsAdded = "too-large-is-added", "C56", RefusalHarmless,
        "A bitmap is added as persistent that its image cannot hold.",
        "QEMU a1db8733d2 (2019)";
    RollbackKeepsJob = "rollback-keeps-job", "C57", TransactionAtomic,
        "A transaction that is taken back leaves the jobs behind that it had created.",
        "QEMU 0abf258171 (2020)";
    GrowthDropsLast = "growth-drops-last", "C59", DirtySound,
        "A disk that grows past a power of two loses its last dirty granules.",
        "VMware KB 2090639";
    LoadedIsNotStored = "loaded-is-not-stored", "C63", BitmapHonest,
        "Of a bitmap that was loaded only what was recorded since is stored again.",
        "Linux de89afc1e40f";
    FlagIsVolatile = "flag-is-volatile", "C64", BitmapHonest,
        "Guest requests do not wait until the flags of bitmaps are durable.",
        "Linux, dm-era: update the bitset after the commit";
    ZeroesAreSkipped = "zeroes-are-skipped", "C65, C75", RestoreExact,
        "An increment leaves out what became zeroes.",
        "illumos 6370, benji #14";
    HoleIsNotMarked = "hole-is-not-marked", "C66", DirtySound,
        "A write into a hole is not marked.",
        "illumos 6513";
    GapIsZeroed = "gap-is-zeroed", "C69", RestoreExact,
        "A clean cluster between two dirty ones is written as zeroes.",
        "Linux bf54f412f0";
    FirstWriteIsEarly = "first-write-is-early", "C74", DirtySound,
        "The first write after a bitmap was loaded is not marked in it.",
        "Ceph PR #39577, generalised";
    TailDiscardIsClean = "tail-discard-is-clean", "C70", DirtySound,
        "A discard up to the end of the disk is not marked.",
        "fstests c37f9a66df";
    OverwriteIsClean = "overwrite-is-clean", "C72", DirtySound,
        "What was backed up once is not marked when it is written again.",
        "Ceph PR #4603";
    FailedCopyIsClean = "failed-copy-is-clean", "C77", DirtyRecovers,
        "What a job copied before it failed stays clean although its target is thrown away.",
        "borg #1860";
    ShrinkDropsPart = "shrink-drops-part", "C80", DirtySound,
        "A granule that the disk keeps in part is cleared when the disk shrinks.",
        "QEMU 48557b1383 (2019), generalised";
    MergedIsEmpty = "merged-is-empty", "C81", DirtySound,
        "What got its dirty granules by a merge counts as empty in the next merge.",
        "QEMU d1dde7149e (2018)";
    NothingMarks = "nothing-marks", "C82", DirtyPrecise,
        "A write of no bytes marks a granule.",
        "QEMU fed33bd175";
    CountInSectors = "count-in-sectors", "C83", DirtySound,
        "The count of a bitmap is told in sectors.",
        "QEMU 6c98c57af3 (2017)";
    GuardCopiesClean = "guard-copies-clean", "C84", CopyMinimal,
        "Guest requests save clean clusters during an increment.",
        "QEMU 8cc6dc6215 (2017)";
    StartIsNotDrained = "start-is-not-drained", "C85", DirtySound,
        "Requests in flight are not carried out before a job is created.",
        "QEMU cf3129323f (2019)";
    BitsBehindHeader = "bits-behind-header", "C89", BitmapHonest,
        "The header leads to stored bitmaps before their bits are written.",
        "QEMU 1a0c2bfb03 (2018)";
    LiftedLimitSleeps = "lifted-limit-sleeps", "C86", NoCrash,
        "A job that waits for its speed limit sleeps on when the limit is lifted.",
        "QEMU d4fce18844 (2018)";
    FinalizeTwice = "finalize-twice", "C90", RefusalHarmless,
        "A job that is concluded can be finalized.",
        "QEMU 37aa19b63c (2018)";
    ErrorOfAnother = "error-of-another", "C91", ErrorsCaused,
        "The event of an error has its sides swapped.",
        "QEMU 823c686356 (2014)";
    SizeAsWished = "size-as-wished", "C92", DirtySound,
        "Where a resize fails, bitmaps follow the size that was asked for.",
        "QEMU 1b6cc579de (2017)";
    StoredShort = "stored-short", "", BitmapHonest,
        "The last run of a bitmap that has several is not stored.",
        "the purpose of the property";
    FrozenIsStored = "frozen-is-stored", "", BitmapHonest,
        "Bitmaps are stored before the jobs that hold them are over.",
        "the purpose of the property";
    FlagClearedEarly = "flag-cleared-early", "", BitmapHonest,
        "The flags of bitmaps are cleared before their bits are stored.",
        "the purpose of the property";
    DisabledComesBack = "disabled-comes-back", "", AnswersExact,
        "A bitmap that was switched off is on again after a restart.",
        "generalised from QEMU's flag auto";
    RemovedComesBack = "removed-comes-back", "", AnswersExact,
        "A bitmap that is removed stays in the file.",
        "generalised from C10";
    TargetIsVolatile = "target-is-volatile", "", CompletedSurvives,
        "A job reports success before its target is flushed.",
        "the purpose of the property";
    FlushIsKept = "flush-is-kept", "", FlushedSurvives,
        "A guest's flush is acknowledged and not passed on.",
        "the purpose of the property";
    ThroughIsIgnored = "through-is-ignored", "", FlushedSurvives,
        "A write that is to be durable at once is acknowledged like any other.",
        "the purpose of the property";
    ThroughWithoutTables = "through-without-tables", "", FlushedSurvives,
        "A write is durable at once, and the tables that lead to it are not.",
        "the purpose of the property";
    FlushBeforeTables = "flush-before-tables", "", FlushedSurvives,
        "A flush is answered before the cached tables are written.",
        "the purpose of the property";
    FirstFlushIsSkipped = "first-flush-is-skipped", "", FlushedSurvives,
        "A flush of an image in which nothing changed since it was opened is not passed on.",
        "QEMU 10.0 does so";
    SiblingIsVolatile = "sibling-is-volatile", "", CompletedSurvives,
        "Of the jobs of a group only the one that is ready last flushes its target.",
        "the purpose of the property";
    RebasedIsVolatile = "rebased-is-volatile", "", FlushedSurvives,
        "A rebase is reported before the header is durable that names the new backing file.",
        "the purpose of the property";
    TableWithData = "table-with-data", "", FlushedSurvives,
        "A table reaches the medium before the data that it leads to.",
        "the purpose of the property";
    CountsComeLate = "counts-come-late", "", ImageSound,
        "Reference counts are written behind the tables that rely on them.",
        "the purpose of the property";
    FreedAtOnce = "freed-at-once", "", FlushedSurvives,
        "A cluster is used anew while the table on the medium still leads to it.",
        "the purpose of the property";
    SizeBeforeTable = "size-before-table", "", ImageSound,
        "An image that grows has its new size before the tables that map it.",
        "the purpose of the property";
    ResizeIsVolatile = "resize-is-volatile", "", FlushedSurvives,
        "A resize is reported before the size is durable.",
        "QEMU 10.0 does so with raw images";
    HeaderBeforeDirectory = "header-before-directory", "", ImageSound,
        "The header leads to a directory of bitmaps that may not have reached the medium.",
        "generalised from C89";
    DirectoryInPlace = "directory-in-place", "", ImageSound,
        "The directory of stored bitmaps is overwritten where it lies.",
        "generalised from C89";
    StoppedIsUnguarded = "stopped-is-unguarded", "", PauseExact,
        "While an error stops a job, nothing is saved of what the guest overwrites.",
        "the purpose of the property";
    SiblingComesLate = "sibling-comes-late", "", OneMoment,
        "Of the jobs of a transaction, all but the first are in place only once they copied.",
        "generalised from C40";
    FailureKeepsFilter = "failure-keeps-filter", "", Progress,
        "A job that failed leaves its filter behind, and its disk counts as busy ever after.",
        "generalised from C05";
    BaseIsDiscarded = "base-is-discarded", "", RestorePointsSurvive,
        "What an increment holds is discarded from the backing file of its target.",
        "the purpose of the property";
    IgnoredErrorEnds = "ignored-error-ends", "", RefusedNotWrong,
        "A job that is to ignore errors ends by one.",
        "the purpose of the property";
    RecoveredIsClean = "recovered-is-clean", "", BitmapHonest,
        "Whoever opens an image calls its bitmaps consistent before it flags those that are not.",
        "the purpose of the property";
}

impl Bug {
    /// Returns the bug of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The seeded bugs that are on.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Bugs(u128);

impl Bugs {
    /// None: the engine as it should be.
    pub const NONE: Self = Self(0);

    /// Returns the set with `bug` added.
    #[must_use]
    pub fn with(self, bug: Bug) -> Self {
        Self(self.0 | 1 << bug as u32)
    }

    /// Tells whether a bug is on.
    #[must_use]
    pub fn has(self, bug: Bug) -> bool {
        self.0 & 1 << bug as u32 != 0
    }
}

impl Bugs {
    /// Returns the mistake that images make by one of them.
    pub(crate) fn mistake(self) -> Option<Mistake> {
        let mistakes = [
            (Bug::OpenedUnflagged, Mistake::UnflaggedBitmaps),
            (Bug::FlagIsVolatile, Mistake::VolatileFlags),
            (Bug::FlagClearedEarly, Mistake::EarlyFlags),
            (Bug::BitsBehindHeader, Mistake::BitsBehindHeader),
            (Bug::HeaderBeforeDirectory, Mistake::HeaderBeforeDirectory),
            (Bug::DirectoryInPlace, Mistake::DirectoryInPlace),
            (Bug::RecoveredIsClean, Mistake::RecoveredIsClean),
            (Bug::FlushBeforeTables, Mistake::FlushBeforeTables),
            (Bug::FirstFlushIsSkipped, Mistake::FirstFlushIsSkipped),
            (Bug::ThroughWithoutTables, Mistake::ThroughWithoutTables),
            (Bug::CountsComeLate, Mistake::CountsComeLate),
            (Bug::TableWithData, Mistake::TableWithData),
            (Bug::FreedAtOnce, Mistake::FreedAtOnce),
            (Bug::SizeBeforeTable, Mistake::SizeBeforeTable),
            (Bug::ResizeIsVolatile, Mistake::ResizeIsVolatile),
            (Bug::GrowthExposes, Mistake::GrowthExposes),
        ];
        let mut made = mistakes.iter().filter(|(bug, _)| self.has(*bug));
        made.next().map(|(_, mistake)| *mistake)
    }
}

impl From<Bug> for Bugs {
    fn from(bug: Bug) -> Self {
        Self::NONE.with(bug)
    }
}

/// The entries of the catalogue that are not seeded here, each with the reason.
pub const OUT_OF_SCOPE: &[(&str, &str)] = &[
    (
        "C06, C61, C62, C78",
        "about a controller above the engine: when it adds bitmaps and trusts checkpoints",
    ),
    (
        "C21",
        "needs a copier that clears bits while a request is in flight; commands drain here",
    ),
    ("C22", "internal snapshots are not loaded here"),
    (
        "C26",
        "this engine does not decide whether a backup may be incremental; it is told",
    ),
    (
        "C29",
        "an engine has no NBD server; the one in blkproof-qemu tests its own extents",
    ),
    (
        "C30",
        "is what QEMU does, and so does the engine: such a bitmap is the filter's own",
    ),
    ("C31, C79", "migration of bitmaps"),
    ("C39, C49", "a reader of the frozen contents beside the job"),
    ("C43", "offloaded copies and their limits"),
    ("C46", "copy-on-read"),
    ("C48", "time-outs of copy-before-write"),
    ("C52", "the format carries out one request at a time"),
    ("C54, C60", "commit of one image into another"),
    ("C71", "deduplication by reference"),
    ("C73", "queries of dirty ranges that start within a granule"),
    ("C76", "tracking by time stamps"),
    (
        "C88",
        "the format takes any number of whole clusters at once",
    ),
    (
        "C87",
        "the fault layer's own; its tests have a naive interpreter beside it",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Bug, Bugs, OUT_OF_SCOPE};

    #[test]
    fn every_entry_of_the_catalogue_is_seeded_or_explained() {
        let seeded = Bug::ALL.iter().map(|bug| bug.entry());
        let explained = OUT_OF_SCOPE.iter().map(|(entries, _)| *entries);
        let mut found = BTreeSet::new();
        let seeded = seeded.filter(|entry| !entry.is_empty());
        for entry in seeded
            .chain(explained)
            .flat_map(|entries| entries.split(", "))
        {
            let number: u32 = entry.strip_prefix('C').unwrap().parse().unwrap();
            assert!(found.insert(number), "{entry} is there twice");
        }
        // The catalogue has no 13 and no 58.
        let catalogue: BTreeSet<u32> = (1..=92).filter(|n| ![13, 58].contains(n)).collect();
        assert_eq!(found, catalogue);
    }

    #[test]
    fn each_bug_is_a_switch_of_its_own() {
        for bug in Bug::ALL {
            assert_eq!(Bug::from_name(bug.name()), Some(*bug));
            let bugs = Bugs::from(*bug);
            let on: Vec<_> = Bug::ALL.iter().filter(|bug| bugs.has(**bug)).collect();
            assert_eq!(on, [bug]);
        }
        assert!(Bug::ALL.iter().all(|bug| !Bugs::NONE.has(*bug)));
    }
}
