//! Judging an engine in an ordinary test.

mod rounds;

use core::ops::ControlFlow;

use blkproof_spec::Scenario;

use crate::generate::{self, Profile};
use crate::outcome::{Failure, Outcome};
use crate::report::Report;
use crate::run::{Options, Runner};
use crate::shrink::{identity, shrink};
use crate::subject::Subject;
use crate::text::Document;

/// How many candidates the shrinking of a failure runs at most.
const CANDIDATES_MAX: u64 = 2000;

/// Which scenarios an engine is judged by.
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
/// Check::new().cases(50).run(|| SmallSubject::new(|_disk| Forgetful));
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is judged before `run`"]
pub struct Check {
    seed: u64,
    cases: u64,
    profile: Profile,
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
        }
    }

    /// Makes the cases up from this seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Judges this many cases.
    pub fn cases(mut self, cases: u64) -> Self {
        self.cases = cases;
        self
    }

    /// Makes the cases up as this profile says.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Judges the subjects that `make` makes, a new one for each scenario.
    ///
    /// # Panics
    ///
    /// At the first scenario that fails, after it was shrunk; the message is the report with the
    /// scenario's text. And if no scenario had a backup that the subject carried out: an engine
    /// that declines all of them has proved nothing.
    pub fn run<S: Subject>(&self, mut make: impl FnMut() -> S) {
        let mut runner = Runner::new(Options::default());
        let declines = make().capabilities().declines;
        let mut run = |scenario: &Scenario| runner.run(scenario, &mut make(), None);
        let mut backups = 0;
        for number in 0..self.cases {
            let scenario = if declines {
                rounds::case(self.seed, number)
            } else {
                generate::case(self.seed, number, &self.profile)
            };
            let outcome = run(&scenario);
            if let Outcome::Failed(failure) = outcome {
                panic!("{}", self.tell(number, &scenario, &failure, &mut run));
            }
            backups += outcome.counts().backups;
        }
        assert!(
            backups > 0,
            "nothing was proved: the engine carried out no backup in {} scenarios",
            self.cases
        );
    }

    /// Shrinks a case that failed, and tells what is left of it.
    fn tell(
        &self,
        number: u64,
        scenario: &Scenario,
        failure: &Failure,
        run: &mut dyn FnMut(&Scenario) -> Outcome,
    ) -> String {
        let keep = identity(failure).expect("a failure has a finding");
        let mut watch = |_: crate::shrink::Progress<'_>| ControlFlow::Continue(());
        let shrunk = shrink(scenario, failure, keep, CANDIDATES_MAX, run, &mut watch);
        let document = Document::of(shrunk.scenario);
        let name = format!("case {number} of seed {}, shrunk", self.seed);
        let report = Report::new(&shrunk.failure, &document, &name, "run this test again");
        format!("{}\n{}", report.render(), document.print())
    }
}

/// Judges the subjects that `make` makes by made-up scenarios, as [`Check::new`] says.
///
/// # Panics
///
/// At the first scenario that fails; see [`Check::run`].
pub fn check<S: Subject>(make: impl FnMut() -> S) {
    Check::new().run(make);
}
