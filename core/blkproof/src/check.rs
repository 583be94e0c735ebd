//! Judging an engine in an ordinary test.
//!
//! This is the outer layer: the one part of the libraries with a clock, threads, processes, and
//! variables of the environment (`watch`, `isolated`, `surroundings`). What is judged does not
//! depend on them.

mod campaign;

mod claims;

mod hush;

mod isolated;

mod judged;

mod kept;

mod rounds;

mod surroundings;

mod watch;

mod watched;

use core::panic::Location;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::generate::Profile;
use crate::known::{Known, KnownError};
use crate::subject::Subject;
use campaign::Campaign;
use isolated::Isolation;
pub use judged::Judged;
use kept::Kept;
use surroundings::Surroundings;
use watch::Verdict;

/// How long a scenario may take, where nothing is said.
const LIMIT: Duration = Duration::from_secs(30);

/// The address space of a process of its own, where nothing is said: 4 GiB.
const MEMORY: u64 = 4 << 30;

/// Which scenarios an engine is judged by.
///
/// What fails is shrunk and kept as a file of the crate, in `blkproof-failures/TEST/`, and tried
/// first the next time; once it holds, it can stay there as a test, or go. Variables of the
/// environment change what is judged, without a change of the test; one that makes no sense fails
/// it:
///
/// | variable | what it says |
/// | --- | --- |
/// | `BLKPROOF_CASES=N` | judge this many cases, such as more of them at night |
/// | `BLKPROOF_SEED=X` | make them up from this seed, decimal or hexadecimal after `0x` |
/// | `BLKPROOF_REPLAY=FILE` | judge this scenario and nothing else; a failure says how to call it |
/// | `BLKPROOF_TIMEOUT=N` | give a scenario this many seconds; `off` for debuggers |
///
/// An engine that panics, that asks its devices without end, or that does not come to its end has
/// failed, with a scenario that can be replayed. One that may take the process with it (it aborts,
/// overflows its stack, takes all memory) is judged in a process of its own
/// ([`Check::isolated`]).
///
/// ```should_panic
/// use blkproof::Check;
/// # use blkproof::device::IoResult;
/// # use blkproof::{SmallEngine, SmallSubject, Source};
/// # #[derive(Debug)]
/// # struct Forgetful;
/// # impl SmallEngine for Forgetful {
/// #     fn write(&mut self, _: u64, _: &[u8]) -> IoResult<()> { Ok(()) }
/// #     fn read(&mut self, _: Source<'_>, _: u64, buf: &mut [u8]) -> IoResult<()> {
/// #         buf.fill(0);
/// #         Ok(())
/// #     }
/// #     fn full(&mut self, _: &str) -> IoResult<()> { Ok(()) }
/// #     fn incremental(&mut self, _: &str) -> IoResult<()> { Ok(()) }
/// # }
///
/// // Panics with the report: this engine forgets what is written to it.
/// Check::new()
///     .cases(50)
/// #   .keep_nothing()
///     .run(|| SmallSubject::new(|_disk| Forgetful));
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is judged before `run`"]
pub struct Check {
    seed: u64,
    cases: u64,
    profile: Profile,
    keep: Keep,
    known: Known,
    known_files: Vec<PathBuf>,
    limit: Duration,
    isolation: Option<Isolation>,
    compares: bool,
}

/// Where what fails is kept.
#[derive(Clone, Debug)]
enum Keep {
    InTheCrate,
    In(PathBuf),
    Nowhere,
}

impl Default for Check {
    fn default() -> Self {
        Self::new()
    }
}

impl Check {
    /// Two hundred cases of the profile `small`, from the seed 1. An engine that declines what it
    /// cannot do gets scenarios of writes, full backups and increments instead. One case in sixteen
    /// is run twice, to compare the two ([`Check::may_differ`]).
    pub fn new() -> Self {
        Self {
            seed: 1,
            cases: 200,
            profile: Profile::built_in()[0].clone(),
            keep: Keep::InTheCrate,
            known: Known::default(),
            known_files: Vec::new(),
            limit: LIMIT,
            isolation: None,
            compares: true,
        }
    }

    /// Makes the cases up from this seed, unless `BLKPROOF_SEED` says another one.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Judges this many cases, unless `BLKPROOF_CASES` says another number.
    pub fn cases(mut self, cases: u64) -> Self {
        self.cases = cases;
        self
    }

    /// Makes the cases up as this profile says.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Keeps what fails in this folder instead of `blkproof-failures/TEST/` of the crate.
    pub fn keep_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.keep = Keep::In(folder.into());
        self
    }

    /// Keeps nothing of what fails; the report has the scenario's text.
    pub fn keep_nothing(mut self) -> Self {
        self.keep = Keep::Nowhere;
        self
    }

    /// Masks the findings that a file names, to look behind them: [`known`](crate::known) says
    /// what stands in it. A relative path begins at the folder of the crate.
    pub fn known(mut self, file: impl Into<PathBuf>) -> Self {
        self.known_files.push(file.into());
        self
    }

    /// Masks these findings, to look behind them.
    pub fn mask(mut self, known: Known) -> Self {
        self.known.extend(known);
        self
    }

    /// Gives a scenario this long, unless `BLKPROOF_TIMEOUT` says otherwise: 30 s where nothing is
    /// said. A scenario that takes longer has failed. Its thread is left to itself, since nobody
    /// can end it; the process ends with the tests all the same.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Does not compare runs. One case in sixteen, and what is kept, is run twice otherwise, and
    /// has to go the same way, request by request: else what failed once need not fail again. An
    /// engine whose threads take turns as they like cannot promise that.
    pub fn may_differ(mut self) -> Self {
        self.compares = false;
        self
    }

    /// Judges in a process of its own, so that an engine that takes the process with it is told of
    /// like any other.
    ///
    /// The program of the tests is started once more for this test alone, as `cargo test NAME --
    /// --exact` does; what the test does before it comes here happens there as well. It gets 4 GiB
    /// of address space ([`Check::memory`]), so that an engine that allocates without end comes to
    /// an end.
    pub fn isolated(mut self) -> Self {
        self.isolation.get_or_insert(Isolation { memory: MEMORY });
        self
    }

    /// As [`Check::isolated`], with this many bytes of address space; systems that cannot bound it
    /// (`RLIMIT_AS`) do not. A program of tests takes some 100 MiB before anything happens.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.isolation = Some(Isolation { memory: bytes });
        self
    }

    /// Judges the subjects that `make` makes, a new one for each scenario. They are made, used and
    /// dropped on a thread of their own, all on the same one. Returns what was judged.
    ///
    /// # Panics
    ///
    /// At the first scenario that fails, after it was shrunk and kept; the message is the report
    /// with the scenario's text and the command that replays it. If no scenario had a backup that
    /// the subject carried out: an engine that declines all of them has proved nothing. And where
    /// a variable of the environment makes no sense, or a kept scenario or a list of known findings
    /// cannot be read.
    #[track_caller]
    pub fn run<S, F>(&self, make: F) -> Judged
    where
        S: Subject,
        F: FnMut() -> S + Send + 'static,
    {
        let judged = match self.judge(make, Location::caller()) {
            Ok(judged) => judged,
            Err(report) => panic!("{report}"),
        };
        if judged.known().next().is_some() {
            say(&judged);
        }
        judged
    }

    fn judge<S, F>(&self, make: F, caller: &Location<'_>) -> Result<Judged, String>
    where
        S: Subject,
        F: FnMut() -> S + Send + 'static,
    {
        let around = Surroundings::look()?;
        let place = isolated::place(around.test.as_deref(), caller);
        let limit = around.limit.unwrap_or(self.limit);
        let (child, mut campaign) = (around.child.clone(), Arc::new(self.campaign(around)?));
        let Some(folder) = child else {
            if self.isolation.is_some() {
                return isolated::judge(&campaign, &place);
            }
            return match watch::judge(&campaign, make, limit, None) {
                Verdict::Held(judged) => Ok(judged),
                Verdict::Failed(report) => Err(report),
                Verdict::Gone(now, words) => Err(campaign.tell_gone(&now, &words, None)),
            };
        };
        // This process was started for one check, and judges nothing else.
        let told = |error| format!("cannot judge for the process that asked for it: {error}");
        let (asked, candidate) = isolated::asked(&folder).map_err(told)?;
        let Some(isolation) = self.isolation.filter(|_| asked == place) else {
            return Ok(Judged::default());
        };
        isolated::of_candidate(&mut campaign, candidate);
        let judge = |notes| watch::judge(&campaign, make, limit, Some(notes));
        isolated::serve(&folder, isolation, judge).map_err(told)?;
        Ok(Judged::default())
    }

    /// Returns what is judged here.
    fn campaign(&self, around: Surroundings) -> Result<Campaign, String> {
        let mut known = self.known.clone();
        for file in &self.known_files {
            let base = around.package.clone().unwrap_or_default();
            known.extend(load(&base.join(file), file)?);
        }
        let kept = match &self.keep {
            Keep::InTheCrate => Kept::of(&around),
            Keep::In(folder) => Some(Kept::named(folder)),
            Keep::Nowhere => None,
        };
        Ok(Campaign {
            seed: around.seed.unwrap_or(self.seed),
            cases: around.cases.unwrap_or(self.cases),
            profile: self.profile.clone(),
            kept,
            known,
            compares: self.compares,
            around,
        })
    }
}

/// Reads a list of known findings, which is `shown` like this.
fn load(path: &Path, shown: &Path) -> Result<Known, String> {
    Known::load(path).map_err(|error| match error {
        KnownError::Line { line, message } => format!("{}:{line}: {message}", shown.display()),
        KnownError::Unreadable { source, .. } => {
            format!("cannot read {}: {source}", shown.display())
        }
    })
}

/// Says what was judged. What a test says is shown where it fails, or where that is asked for.
#[expect(
    clippy::print_stdout,
    reason = "known findings are shown by the test that has them"
)]
fn say(judged: &Judged) {
    print!("{judged}");
}

/// Judges the subjects that `make` makes by made-up scenarios, as [`Check::new`] says.
///
/// # Panics
///
/// At the first scenario that fails; see [`Check::run`].
#[track_caller]
pub fn check<S, F>(make: F)
where
    S: Subject,
    F: FnMut() -> S + Send + 'static,
{
    Check::new().run(make);
}
