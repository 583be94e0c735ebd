//! `proptest`: a strategy of cases, whose value tree is the shrinker of this crate.
//!
//! What fails is kept as a scenario file: the plan itself, which stays the same scenario whatever
//! becomes of the generator, and which [`replay`](crate::corpus::replay) and the command line take
//! as it is. Proptest's own files of seeds can be switched off.
//!
//! A suite judges its cases, and keeps what fails. What failed once is tried first the next time.
//! `proptests/tests/it/fronts.rs` runs this on the engine that comes with blkproof:
//!
//! ```no_run
#![doc = include_str!("copier.md")]
//! use blkproof::front::proptest::{Kept, cases};
//! use blkproof::generate::Profile;
//! use blkproof::{Case, Options, Outcome, Runner};
//! use proptest::test_runner::{Config, TestRunner};
//!
//! /// Judges a case on an engine of yours.
//! fn judge(case: &Case) -> Outcome {
//!     Runner::new(Options::default()).run(case.scenario(), &mut engine(), None)
//! }
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("engine_restores.blk");
//! # let _ = stringify!(
//! let path = "tests/engine_restores.blk";
//! # );
//! let kept = Kept::new(path.as_ref());
//! if let Some(case) = kept.load()? {
//!     kept.verdict(&case, judge(&case)).map_err(|error| error.to_string())?;
//! }
//! // Proptest need not keep seeds beside it.
//! let config = Config { cases: 20, failure_persistence: None, ..Config::default() };
//! let profile = Profile::named("small").expect("it is built in");
//! TestRunner::new(config).run(&cases(profile), |case| kept.verdict(&case, judge(&case)))?;
//! # assert!(kept.load()?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In the words of the macro, without a file:
//!
//! ```no_run
#![doc = include_str!("copier.md")]
//! use blkproof::front::proptest::cases;
//! use blkproof::generate::Profile;
//! use blkproof::{Options, Outcome, Runner};
//! use proptest::prelude::*;
//!
//! let profile = Profile::named("faults").expect("it is built in");
//! proptest!(ProptestConfig::with_cases(20), |(case in cases(profile))| {
//!     let outcome = Runner::new(Options::default()).run(case.scenario(), &mut engine(), None);
//!     prop_assert!(!matches!(outcome, Outcome::Failed(_)), "{outcome:#?}");
//! });
//! ```
//!
//! Whoever has suites of `proptest-state-machine` finds its parts again, and can have both in one
//! file under one configuration (`ProptestConfig`, `PROPTEST_CASES`, `max_shrink_iters`):
//!
//! | there | here |
//! | --- | --- |
//! | `ReferenceStateMachine::State` and `apply` | the reference model, which is given |
//! | `transitions`, `preconditions` | the generator: a step is legal by the model, or marked as refused |
//! | the range of `sequential(1..20)` | `steps = [1, 19]` in a [`Profile`] |
//! | `StateMachineTest::SystemUnderTest` | a [`Subject`](crate::Subject) |
//! | `apply`, `check_invariants` | [`Runner::run`](crate::Runner::run), which judges behind every step |
//! | transitions that go when it shrinks | steps, faults, disks and values, with what needs them |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ::proptest::prelude::Rng as _;
use ::proptest::strategy::{NewTree, Strategy, ValueTree};
use ::proptest::test_runner::{TestCaseError, TestRunner};

use crate::case::Case;
use crate::corpus::{self, CorpusError};
use crate::generate::Profile;
use crate::outcome::Outcome;
use crate::report::Report;
use crate::shrink::Shrink;
use crate::text::Document;

/// Returns a strategy of cases that lean as `profile` says.
#[must_use]
pub fn cases(profile: Profile) -> Cases {
    Cases { profile }
}

/// A strategy of cases.
#[derive(Clone, Debug)]
pub struct Cases {
    profile: Profile,
}

impl Strategy for Cases {
    type Tree = CaseTree;
    type Value = Case;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = runner.rng().next_u64();
        Ok(CaseTree::new(Case::of(seed, 0, &self.profile)))
    }
}

/// A case that is made smaller as proptest asks for it.
#[derive(Debug)]
pub struct CaseTree {
    current: Case,
    /// Made when the case failed: most never do.
    shrink: Option<Shrink>,
}

impl CaseTree {
    fn new(case: Case) -> Self {
        Self {
            current: case,
            shrink: None,
        }
    }

    /// Takes in whether the current case fails, and goes on to the next one.
    fn go_on(&mut self, fails: bool) -> bool {
        let shrink = match &mut self.shrink {
            Some(shrink) => {
                shrink.report(fails);
                shrink
            }
            None => self
                .shrink
                .insert(Shrink::new(self.current.scenario().clone())),
        };
        if let Some(candidate) = shrink.candidate() {
            self.current = candidate.clone().into();
            return true;
        }
        self.current = shrink.best().clone().into();
        false
    }
}

impl ValueTree for CaseTree {
    type Value = Case;

    fn current(&self) -> Case {
        self.current.clone()
    }

    fn simplify(&mut self) -> bool {
        self.go_on(true)
    }

    fn complicate(&mut self) -> bool {
        self.go_on(false)
    }
}

/// The file that takes the smallest case that failed so far.
#[derive(Clone, Debug)]
pub struct Kept {
    path: PathBuf,
}

impl Kept {
    /// Keeps what fails in this file, whose folder is there.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Returns the case that failed before, if one did.
    ///
    /// # Errors
    ///
    /// Where the file is there and cannot be read, or is no scenario.
    pub fn load(&self) -> Result<Option<Case>, CorpusError> {
        match corpus::load(&self.path) {
            Ok(document) => Ok(Some(document.scenario.into())),
            Err(CorpusError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells proptest what came of a case. One that failed is written down first; while a failure
    /// is made smaller, the file always holds the smallest one.
    ///
    /// # Errors
    ///
    /// The report, where the case failed; or why it cannot be written down.
    pub fn verdict(&self, case: &Case, outcome: Outcome) -> Result<(), TestCaseError> {
        let failure = match outcome {
            Outcome::Held(_) => return Ok(()),
            Outcome::NotJudged(..) => {
                return Err(TestCaseError::reject(
                    "a fault that the subject cannot detect",
                ));
            }
            Outcome::Failed(failure) => failure,
        };
        let document = Document::of(case.scenario().clone());
        let path = self.path.display().to_string();
        let report = Report::new(
            &failure,
            &document,
            &path,
            &format!("blkproof replay {path}"),
        );
        fs::write(&self.path, document.print()).map_err(|error| {
            TestCaseError::fail(format!("cannot write {path}: {error}\n{}", report.render()))
        })?;
        Err(TestCaseError::fail(report.render()))
    }
}
