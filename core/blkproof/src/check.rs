//! Judging an engine in an ordinary test.

mod rounds;

mod surroundings;

mod kept;

use core::ops::ControlFlow;
use std::path::{Path, PathBuf};

use blkproof_spec::Scenario;

use crate::corpus::{self, CorpusError};
use crate::generate::{self, Profile};
use crate::outcome::{Failure, Outcome};
use crate::report::Report;
use crate::run::{Options, Runner};
use crate::shrink::{identity, shrink};
use crate::subject::Subject;
use crate::text::Document;
use kept::Kept;
use surroundings::Surroundings;

/// How many candidates the shrinking of a failure runs at most.
const CANDIDATES_MAX: u64 = 2000;

/// Which scenarios an engine is judged by.
///
/// What fails is shrunk and kept as a file of the crate, in `blkproof-failures/TEST/`, and tried
/// first the next time; once it holds, it can stay there as a test, or go. Three variables of the
/// environment change what is judged, without a change of the test:
///
/// | variable | what it says |
/// | --- | --- |
/// | `BLKPROOF_CASES=N` | judge this many cases, such as more of them at night |
/// | `BLKPROOF_SEED=X` | make them up from this seed |
/// | `BLKPROOF_REPLAY=FILE` | judge this scenario and nothing else; a failure says how to call it |
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
    /// cannot do gets scenarios of writes, full backups and increments instead.
    pub fn new() -> Self {
        Self {
            seed: 1,
            cases: 200,
            profile: Profile::built_in()[0].clone(),
            keep: Keep::InTheCrate,
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

    /// Judges the subjects that `make` makes, a new one for each scenario.
    ///
    /// # Panics
    ///
    /// At the first scenario that fails, after it was shrunk and kept; the message is the report
    /// with the scenario's text and the command that replays it. If no scenario had a backup that
    /// the subject carried out: an engine that declines all of them has proved nothing. And where
    /// a variable of the environment makes no sense, or a kept scenario cannot be read.
    pub fn run<S: Subject>(&self, mut make: impl FnMut() -> S) {
        let around = Surroundings::look().unwrap_or_else(|error| panic!("{error}"));
        let mut runner = Runner::new(Options::default());
        let declines = make().capabilities().declines;
        let mut run = |scenario: &Scenario| runner.run(scenario, &mut make(), None);
        if let Some(file) = &around.replay {
            return replay(file, file, &around, &mut run);
        }
        let kept = match &self.keep {
            Keep::InTheCrate => Kept::of(&around),
            Keep::In(folder) => Some(Kept::named(folder)),
            Keep::Nowhere => None,
        };
        if let Some(kept) = &kept {
            for file in kept.files().unwrap_or_else(unreadable) {
                replay(&kept.path(&file), &file, &around, &mut run);
            }
        }
        let seed = around.seed.unwrap_or(self.seed);
        let cases = around.cases.unwrap_or(self.cases);
        let mut backups = 0;
        for number in 0..cases {
            let scenario = if declines {
                rounds::case(seed, number)
            } else {
                generate::case(seed, number, &self.profile)
            };
            let outcome = run(&scenario);
            if let Outcome::Failed(failure) = outcome {
                let case = Case { seed, number };
                let kept = kept.as_ref();
                panic!(
                    "{}",
                    case.tell(&scenario, &failure, kept, &around, &mut run)
                );
            }
            backups += outcome.counts().backups;
        }
        assert!(
            backups > 0,
            "nothing was proved: the engine carried out no backup in {cases} scenarios"
        );
    }
}

/// A made-up case.
struct Case {
    seed: u64,
    number: u64,
}

impl Case {
    /// Shrinks a case that failed, keeps what is left of it, and tells of it.
    fn tell(
        &self,
        scenario: &Scenario,
        failure: &Failure,
        kept: Option<&Kept>,
        around: &Surroundings,
        run: &mut dyn FnMut(&Scenario) -> Outcome,
    ) -> String {
        let Self { seed, number } = self;
        let keep = identity(failure).expect("a failure has a finding");
        let mut watch = |_: crate::shrink::Progress<'_>| ControlFlow::Continue(());
        let shrunk = shrink(scenario, failure, keep, CANDIDATES_MAX, run, &mut watch);
        let document = Document::of(shrunk.scenario);
        let text = document.print();
        let saved = kept.map(|kept| kept.save(&format!("seed{seed}-case{number}"), &text));
        let (name, again, remark) = match saved {
            Some(Ok(file)) => {
                let command = command(&file, around);
                (file.display().to_string(), command, String::new())
            }
            saved => {
                let error = saved.and_then(Result::err);
                let remark = error.map(|error| format!("it could not be kept: {error}\n"));
                let name = format!("case {number} of seed {seed}, shrunk");
                let again = "run this test again".to_owned();
                (name, again, remark.unwrap_or_default())
            }
        };
        let report = Report::new(&shrunk.failure, &document, &name, &again);
        format!("{}\n{remark}{text}", report.render())
    }
}

/// Judges the scenario of a file, which is `shown` like this.
fn replay(
    file: &Path,
    shown: &Path,
    around: &Surroundings,
    run: &mut dyn FnMut(&Scenario) -> Outcome,
) {
    let document = corpus::load(file).unwrap_or_else(unreadable);
    if let Outcome::Failed(failure) = run(&document.scenario) {
        let (name, command) = (shown.display().to_string(), command(shown, around));
        let report = Report::new(&failure, &document, &name, &command);
        panic!("{}\n{}", report.render(), document.print());
    }
}

fn unreadable<T>(error: CorpusError) -> T {
    match error {
        CorpusError::Broken { rendered, .. } => panic!("{rendered}"),
        CorpusError::Unreadable { path, source } => {
            panic!("cannot read {}: {source}", path.display())
        }
        error => panic!("{error}"),
    }
}

/// The command that judges a file again, to be typed where the crate is.
fn command(file: &Path, around: &Surroundings) -> String {
    let file = file.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let file = if file.chars().all(is_plain) {
        file
    } else {
        format!("'{}'", file.replace('\'', r"'\''"))
    };
    let test = around.test.as_deref().unwrap_or_default();
    format!("BLKPROOF_REPLAY={file} cargo test {test}")
        .trim_end()
        .to_owned()
}

/// Judges the subjects that `make` makes by made-up scenarios, as [`Check::new`] says.
///
/// # Panics
///
/// At the first scenario that fails; see [`Check::run`].
pub fn check<S: Subject>(make: impl FnMut() -> S) {
    Check::new().run(make);
}
