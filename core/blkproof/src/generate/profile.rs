//! How a campaign leans.

use blkproof_spec::Format;

/// How a campaign leans: which shapes and steps it makes up, and how often.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// The fewest and the most steps of a scenario.
    pub steps: (u64, u64),
    /// The most disks of a scenario.
    pub disks_max: u64,
    /// The fewest and the most clusters of a disk.
    pub clusters: (u64, u64),
    /// The image formats of disks.
    pub formats: &'static [Format],
    /// The weights of the kinds of steps.
    pub weights: Weights,
}

/// How often each kind of step is made up, relative to the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Weights {
    /// Writes of data.
    pub write: u64,
    /// Writes of zeroes.
    pub zeroes: u64,
    /// Discards.
    pub discard: u64,
    /// Reads.
    pub read: u64,
    /// Flushes.
    pub flush: u64,
    /// Resizes.
    pub resize: u64,
    /// Bitmap commands.
    pub bitmap: u64,
    /// Full backups.
    pub full: u64,
    /// Incremental backups.
    pub incremental: u64,
    /// Jobs that stay running while other steps happen.
    pub job: u64,
    /// Transactions.
    pub transaction: u64,
    /// Fault rules.
    pub fault: u64,
    /// Requests that stay in flight.
    pub in_flight: u64,
    /// Clean restarts.
    pub restart: u64,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 4] = [Self::SMALL, Self::FAULTS, Self::TRANSACTIONS, Self::LARGE];

    /// Small disks, everything but faults.
    pub const SMALL: Self = Self {
        name: "small",
        steps: (8, 24),
        disks_max: 2,
        clusters: (1, 10),
        formats: &[Format::Qcow2, Format::Qcow2, Format::Raw],
        weights: Weights {
            write: 30,
            zeroes: 6,
            discard: 6,
            read: 4,
            flush: 3,
            resize: 3,
            bitmap: 12,
            full: 5,
            incremental: 14,
            job: 12,
            transaction: 3,
            fault: 0,
            in_flight: 3,
            restart: 1,
        },
    };

    /// Small disks and errors on either side of a job.
    pub const FAULTS: Self = Self {
        name: "faults",
        weights: Weights {
            fault: 12,
            ..Self::SMALL.weights
        },
        ..Self::SMALL
    };

    /// Several disks and transactions.
    pub const TRANSACTIONS: Self = Self {
        name: "transactions",
        disks_max: 3,
        weights: Weights {
            transaction: 20,
            fault: 5,
            ..Self::SMALL.weights
        },
        ..Self::SMALL
    };

    /// Disks of up to a thousand clusters.
    pub const LARGE: Self = Self {
        name: "large",
        clusters: (64, 1024),
        ..Self::SMALL
    };

    /// Returns the profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name == name)
    }
}
