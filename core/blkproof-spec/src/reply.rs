//! Answers to steps, and the documented reasons for refusals.

use core::fmt;

use crate::errno::Errno;

/// The answer to a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// It was done.
    Done,
    /// It was refused before anything happened.
    Refused(Refusal),
    /// It was tried and failed.
    Failed(Errno),
    /// It is under way: a request waits, or a job is not over.
    Pending,
    /// Nobody heard: the power was cut, or the process killed, in its midst.
    Cut,
}

/// The class of a refusal, as QMP has them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ErrorClass {
    /// `GenericError`.
    GenericError,
    /// `DeviceNotActive`.
    DeviceNotActive,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// Why a command is refused: one value per documented message of QEMU 10.0.
        ///
        /// The word is what scenario texts say; the messages themselves stand in the documentation
        /// of each value, with `%` for what varies.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Refusal { $($(#[$doc])* $variant),+ }

        impl Refusal {
            /// All refusals.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the word that scenario texts use for it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

refusals! {
    /// `Cannot find device='%' nor node-name='%'`
    NoSuchDevice = "no-such-device",
    /// `Node '%' not found`
    NoSuchNode = "no-such-node",
    /// `Dirty bitmap '%' not found`
    NoSuchBitmap = "no-such-bitmap",
    /// `Bitmap '%' could not be found` (when a backup names it)
    BackupBitmapNotFound = "backup-bitmap-not-found",
    /// `Bitmap name cannot be empty`
    EmptyBitmapName = "empty-bitmap-name",
    /// `Bitmap name too long: %`
    BitmapNameTooLong = "bitmap-name-too-long",
    /// `Bitmap already exists: %`
    BitmapExists = "bitmap-exists",
    /// `Granularity must be power of 2 and at least 512`
    BadGranularity = "bad-granularity",
    /// `Parameter 'granularity' expects uint32_t`
    GranularityTooLarge = "granularity-too-large",
    /// `Can't store persistent bitmaps to %: Operation not supported`
    CannotPersist = "cannot-persist",
    /// `Can't make bitmap '%' persistent in '%': %`, for one that the image cannot hold
    BitmapTooLarge = "bitmap-too-large",
    /// `Bitmap '%' is currently in use by another operation and cannot be used`
    BitmapBusy = "bitmap-busy",
    /// `Bitmap '%' is readonly and cannot be modified`
    BitmapReadonly = "bitmap-readonly",
    /// `Bitmap '%' is inconsistent and cannot be used`
    BitmapInconsistent = "bitmap-inconsistent",
    /// `Bitmaps are of different sizes (%) and can't be merged`
    BitmapSizesDiffer = "bitmap-sizes-differ",
    /// `must provide a valid bitmap name for 'incremental' sync mode`
    BitmapRequired = "bitmap-required",
    /// `Bitmap sync mode must be 'on-success' when using sync mode 'incremental'`
    BitmapModeNotOnSuccess = "bitmap-mode-not-on-success",
    /// `Bitmap sync mode must be given when providing a bitmap`
    BitmapModeRequired = "bitmap-mode-required",
    /// `sync mode 'none' does not produce meaningful bitmap outputs`
    BitmapWithSyncNone = "bitmap-with-sync-none",
    /// `Bitmap sync mode 'never' has no meaningful effect when combined with sync mode '%'`
    BitmapModeNeverUseless = "bitmap-mode-never-useless",
    /// `Cannot specify bitmap sync mode without a bitmap`
    BitmapModeWithoutBitmap = "bitmap-mode-without-bitmap",
    /// `Source and target cannot be the same`
    SourceIsTarget = "source-is-target",
    /// `Source and target image have different sizes`
    SizesDiffer = "sizes-differ",
    /// `Compression is not supported for this drive %`
    CompressionUnsupported = "compression-unsupported",
    /// `Node '%' is busy: block device is in use by block job: backup`
    NodeBusy = "node-busy",
    /// `Permission conflict on node '%': permissions '%' are both required by ...`
    PermissionConflict = "permission-conflict",
    /// `Could not open '%': No such file or directory`
    ImageMissing = "image-missing",
    /// `Could not open '%': %`, for an image that is damaged or that this program cannot read
    ImageUnreadable = "image-unreadable",
    /// The image is there already (blkproof's own: QEMU would overwrite it)
    ImageExists = "image-exists",
    /// The image is open (QEMU: `Failed to get "write" lock`)
    ImageInUse = "image-in-use",
    /// `The new size must be a multiple of 512`
    SizeUnaligned = "size-unaligned",
    /// `offset(%) exceeds maximum(%)`, or a size that the format cannot hold
    SizeTooLarge = "size-too-large",
    /// A cluster size that is no power of two from 512 to 2 MiB
    BadCluster = "bad-cluster",
    /// `Could not create node: Cannot create block-copy-state: min-cluster-size needs to be a
    /// power of 2`
    BadMinCluster = "bad-min-cluster",
    /// `Parameter 'speed' expects a non-negative value`
    NegativeSpeed = "negative-speed",
    /// `Job ID '%' already in use`
    JobIdInUse = "job-id-in-use",
    /// `Invalid job ID '%'`
    InvalidJobId = "invalid-job-id",
    /// `Block job '%' not found` (class `DeviceNotActive`)
    NoSuchJob = "no-such-job",
    /// `Job '%' in state '%' cannot accept command verb '%'`
    WrongJobState = "wrong-job-state",
    /// `Job is already paused`
    AlreadyPaused = "already-paused",
    /// `Can't resume a job that was not paused`
    NotPaused = "not-paused",
    /// `The block job for device '%' is currently paused`
    JobPaused = "job-paused",
    /// `Transaction aborted using Abort action`
    TransactionAborted = "transaction-aborted",
    /// `Action '%' does not support transaction property completion-mode = grouped`
    GroupedUnsupported = "grouped-unsupported",
    /// A request of this name is in flight already, or none is (blkproof's own)
    BadRequest = "bad-request",
    /// No request is suspended under this tag
    NoSuchTag = "no-such-tag",
    /// No rule of this name is installed
    NoSuchRule = "no-such-rule",
    /// A suspended or delayed request keeps the disk from being drained (QEMU would wait for it)
    CannotDrain = "cannot-drain",
    /// The subject does not do this
    Unsupported = "unsupported",
}

impl Refusal {
    /// Returns the class that QMP gives it.
    #[must_use]
    pub fn class(self) -> ErrorClass {
        match self {
            Self::NoSuchJob => ErrorClass::DeviceNotActive,
            _ => ErrorClass::GenericError,
        }
    }

    /// Returns the refusal of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.word() == word)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
