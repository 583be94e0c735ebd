//! Every loss of power of a write log: at each of its operations, with each policy.
//!
//! A log tells what a device was asked for, and nobody tells why: there is no scenario and no
//! model. What has to hold all the same, wherever power is lost:
//!
//! - The image opens, by the inspector and by a subject, who see the same in it, and nothing is
//!   wrong with its structure; clusters may be leaked.
//! - What a guest saw when the device was last flushed it sees again, but where it would have seen
//!   something else at one of the operations since, had nothing been lost. There it may see
//!   anything.
//! - Its size is one of those that it had since.
//! - A bitmap that it calls consistent is one that it called so since, and if that is one of
//!   before, nothing that a guest sees has changed.
//!
//! Before the first flush behind which the image opens there is none, and nothing is judged.

mod view;

use std::collections::BTreeSet;

use blkproof_device::{Digests, MemStore, Operation, Recorded, StoreError};
use blkproof_spec::power::{Cache, PowerCut};
use blkproof_spec::{Format, ImageName};

use super::power::cuts;
use crate::inspect::Inspector;
use crate::subject::Subject;
use view::{Looks, Since};

/// What is swept, and how.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    /// The image in the store to which the log belongs.
    pub image: &'a ImageName,
    /// Its format.
    pub format: Format,
    /// How many ways by chance are tried at each operation.
    pub random: u64,
    /// What the device promises about a loss of power.
    pub cache: Cache,
}

/// A state that is not as it must be.
#[derive(Clone, Debug)]
pub struct Broken<'a> {
    /// The cut that led to it.
    pub cut: &'a PowerCut,
    /// The number of the operation in whose midst it came, from 1.
    pub number: u64,
    /// That operation.
    pub operation: &'a Operation,
    /// What is left.
    pub store: &'a MemStore,
    /// What is wrong with it, in words.
    pub problems: &'a [String],
}

/// What a sweep comes to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// The operations in whose midst power was cut.
    pub positions: u64,
    /// Those before there was an image, at which nothing is judged.
    pub before: u64,
    /// The cuts: at each position one for each policy.
    pub cuts: u64,
    /// How many of them left a state that no other had left before since the last flush.
    pub distinct: u64,
    /// The states in which everything held.
    pub held: u64,
    /// Those in which something did not.
    pub failed: u64,
    /// Whether every cut was tried: nobody ended the sweep early.
    pub complete: bool,
}

/// Why a sweep could not go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SweepError<E> {
    /// The log could not be read.
    Log(E),
    /// An operation could not be carried out.
    Store(StoreError),
}

impl<E> From<StoreError> for SweepError<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Cuts the power at every operation of a log, with every deterministic policy and with the random
/// ones up to a number.
///
/// `store` holds the image as it was before the log, with a volatile cache, and holds it as it is
/// at the log's end afterwards. `fresh` makes a subject. `each` is told of each state in which
/// something does not hold and says whether to go on.
///
/// # Errors
///
/// If the log cannot be read, or says what no store can do.
pub fn sweep<S: Subject, E>(
    log: Log<'_>,
    store: &MemStore,
    operations: impl IntoIterator<Item = Result<Operation, E>>,
    mut fresh: impl FnMut() -> S,
    inspector: &mut dyn Inspector,
    mut each: impl FnMut(&Broken<'_>) -> bool,
) -> Result<Tally, SweepError<E>> {
    let mut sweep = Sweep {
        log,
        since: None,
        digests: Digests::default(),
        seen: BTreeSet::new(),
        tally: Tally {
            complete: true,
            ..Tally::default()
        },
    };
    let mut looks = Looks {
        image: log.image,
        format: log.format,
        inspector,
        fresh: &mut fresh,
    };
    sweep.flushed(store, &mut looks);
    for (operation, number) in operations.into_iter().zip(1..) {
        let recorded = Recorded {
            number,
            image: log.image.clone(),
            what: operation.map_err(SweepError::Log)?,
            struck: false,
        };
        let midst = store.fork();
        midst.redo(&recorded, false)?;
        if !sweep.position(&recorded, &midst, &mut looks, &mut each) {
            sweep.tally.complete = false;
            break;
        }
        store.redo(&recorded, true)?;
        if recorded.what == Operation::Flush {
            sweep.flushed(store, &mut looks);
        }
    }
    Ok(sweep.tally)
}

struct Sweep<'a> {
    log: Log<'a>,
    /// What is known since the last flush; nothing before there is an image.
    since: Option<Since>,
    /// Follows the store from position to position.
    digests: Digests,
    /// The states since the last flush.
    seen: BTreeSet<[u64; 2]>,
    tally: Tally,
}

impl Sweep<'_> {
    /// Takes in that all that `store` holds is durable.
    fn flushed<S: Subject>(&mut self, store: &MemStore, looks: &mut Looks<'_, S>) {
        self.seen.clear();
        // What cannot be looked at was told of already: it is judged by what was there before.
        if let Some(since) = looks.begin(store) {
            self.since = Some(since);
        }
    }

    /// Tries every cut in the midst of one operation; `midst` is the store then.
    fn position<S: Subject>(
        &mut self,
        recorded: &Recorded,
        midst: &MemStore,
        looks: &mut Looks<'_, S>,
        each: &mut impl FnMut(&Broken<'_>) -> bool,
    ) -> bool {
        self.tally.positions += 1;
        let Some(since) = &mut self.since else {
            self.tally.before += 1;
            return true;
        };
        looks.add(since, midst);
        self.digests.follow(midst);
        for cut in cuts(&recorded.what, midst, self.log.random) {
            self.tally.cuts += 1;
            let remains = midst.fork();
            // Memory does not fail.
            let _ = remains.cut_power(&cut, self.log.cache);
            if !self.seen.insert(self.digests.of(&remains)) {
                continue;
            }
            self.tally.distinct += 1;
            let problems = looks.judge(since, &remains);
            if problems.is_empty() {
                self.tally.held += 1;
                continue;
            }
            self.tally.failed += 1;
            let broken = Broken {
                cut: &cut,
                number: recorded.number,
                operation: &recorded.what,
                store: &remains,
                problems: &problems,
            };
            if !each(&broken) {
                return false;
            }
        }
        true
    }
}
