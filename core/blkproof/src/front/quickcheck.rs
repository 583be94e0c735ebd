//! `quickcheck`: cases made up, and made smaller by the shrinker of this crate.

use ::quickcheck::{Arbitrary, Gen};

use crate::case::Case;
use crate::generate::Profile;
use crate::shrink::Shrink;
use crate::text;

/// Makes up a case of one of the built-in profiles.
///
/// `proptests/tests/it/fronts.rs` runs this on the engine that comes with blkproof:
///
/// ```no_run
#[doc = include_str!("copier.md")]
/// use blkproof::{Case, Options, Outcome, Runner};
/// use quickcheck::{QuickCheck, TestResult};
///
/// /// Judges a case on an engine of yours.
/// fn restores(case: Case) -> TestResult {
///     match Runner::new(Options::default()).run(case.scenario(), &mut engine(), None) {
///         Outcome::Held(_) => TestResult::passed(),
///         // A fault fired that nobody can be asked to notice.
///         Outcome::NotJudged(..) => TestResult::discard(),
///         Outcome::Failed(failure) => TestResult::error(format!("{:#?}", failure.findings)),
///     }
/// }
///
/// QuickCheck::new().tests(20).quickcheck(restores as fn(Case) -> TestResult);
/// ```
impl Arbitrary for Case {
    fn arbitrary(source: &mut Gen) -> Self {
        let profiles = Profile::built_in();
        let indices: Vec<usize> = (0..profiles.len()).collect();
        let index = source.choose(&indices).copied().unwrap_or(0);
        Self::of(u64::arbitrary(source), 0, &profiles[index])
    }

    /// Returns candidates, each simpler than this one; one that is passed over counts as one that
    /// passes.
    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        Box::new(Simpler {
            shrink: Shrink::new(self.scenario().clone()).at_most(CANDIDATES_MAX),
            than: weight(self),
        })
    }
}

/// How many candidates are handed out for one case: each that fails has its own.
const CANDIDATES_MAX: u64 = 200;

struct Simpler {
    shrink: Shrink,
    /// What candidates stay below. Quickcheck begins anew with each that fails, so that without it
    /// two cases could be made of each other for ever.
    than: (usize, String),
}

/// Returns what tells the simpler of two cases: the length of the text, then the text.
fn weight(case: &Case) -> (usize, String) {
    let text = text::print(case.scenario());
    (text.len(), text)
}

impl Iterator for Simpler {
    type Item = Case;

    fn next(&mut self) -> Option<Case> {
        loop {
            // Who asks for another one did not see the last one fail.
            self.shrink.report(false);
            let candidate = Case::from(self.shrink.candidate()?.clone());
            if weight(&candidate) < self.than {
                return Some(candidate);
            }
        }
    }
}
