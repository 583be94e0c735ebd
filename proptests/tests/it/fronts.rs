//! The fronts on the built-in engine, and on one that is broken: what fails is made smaller and
//! kept as a scenario file.

use std::cell::RefCell;

use arbitrary::{Arbitrary as _, Unstructured};
use blkproof::front::proptest::{Kept, cases};
use blkproof::generate::Profile;
use blkproof::{Case, Options, Outcome, Runner, Subject, corpus};
use blkproof_engine::{Engine, ImageInspector};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use quickcheck::{QuickCheck, TestResult};

use crate::planted::{Bug, Planted};

/// How many cases of each front are tried; more where `PROPTEST_CASES` says so.
const CASES: u32 = 60;

fn judge(case: &Case, subject: &mut dyn Subject) -> Outcome {
    let mut runner = Runner::new(Options::default());
    runner.run(case.scenario(), subject, Some(&mut ImageInspector))
}

fn config() -> Config {
    Config {
        cases: crate::cases::cases(CASES),
        failure_persistence: None,
        ..Config::default()
    }
}

#[test]
fn proptest_judges_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::new(&folder.path().join("kept.blk"));
    for profile in Profile::built_in() {
        let mut runner = TestRunner::new(config());
        let run = runner.run(&cases(profile.clone()), |case| {
            kept.verdict(&case, judge(&case, &mut Engine::new()))
        });
        assert!(run.is_ok(), "{run:?}");
    }
    assert!(kept.load().unwrap().is_none());
}

#[test]
fn proptest_makes_what_fails_smaller_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.blk");
    let kept = Kept::new(&path);
    let runs = RefCell::new(0);
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases: 2000,
            ..config()
        },
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let profile = Profile::named("small").unwrap();
    let run = runner.run(&cases(profile), |case| {
        *runs.borrow_mut() += 1;
        let outcome = judge(&case, &mut Planted::new(Bug::ALL[0]));
        match kept.verdict(&case, outcome) {
            Err(TestCaseError::Reject(_)) => Ok(()),
            verdict => verdict,
        }
    });
    let Err(TestError::Fail(_, smallest)) = run else {
        panic!("the planted bug is found: {run:?}");
    };
    assert!(smallest.scenario().steps.len() <= 8, "{smallest:?}");
    // The file is the plan itself, and fails again.
    let document = corpus::load(&path).unwrap();
    assert_eq!(document.scenario, *smallest.scenario());
    let again = kept.load().unwrap().expect("it was kept");
    let outcome = judge(&again, &mut Planted::new(Bug::ALL[0]));
    assert!(matches!(outcome, Outcome::Failed(_)));
}

#[test]
fn quickcheck_judges_the_engine() {
    fn restores(case: Case) -> TestResult {
        match judge(&case, &mut Engine::new()) {
            Outcome::Held(_) => TestResult::passed(),
            Outcome::NotJudged(..) => TestResult::discard(),
            Outcome::Failed(failure) => TestResult::error(format!("{:?}", failure.identities())),
        }
    }
    QuickCheck::new()
        .tests(u64::from(crate::cases::cases(CASES)))
        .quickcheck(restores as fn(Case) -> TestResult);
}

#[test]
fn quickcheck_makes_what_fails_smaller() {
    fn restores(case: Case) -> bool {
        !matches!(
            judge(&case, &mut Planted::new(Bug::ALL[0])),
            Outcome::Failed(_)
        )
    }
    let found = QuickCheck::new()
        .tests(2000)
        .max_tests(4000)
        .quicktest(restores as fn(Case) -> bool);
    let said = found.expect_err("the planted bug is found");
    let said = format!("{said:?}");
    // Which disk loses the tail of a write is up to chance; that and little else is left.
    assert!(said.contains("\\ndisk drive"), "{said}");
    assert!(said.contains("\\nwrite drive"), "{said}");
    assert!(said.matches("\\n").count() <= 8, "{said}");
}

#[test]
fn arbitrary_bytes_are_judged() {
    let mut seed = 7_u64;
    for number in 0..crate::cases::cases(CASES) {
        let bytes: Vec<u8> = (0..number % 600)
            .map(|_| {
                seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                (seed >> 56) as u8
            })
            .collect();
        let case = Case::arbitrary(&mut Unstructured::new(&bytes)).unwrap();
        let outcome = judge(&case, &mut Engine::new());
        assert!(!matches!(outcome, Outcome::Failed(_)), "{case:?}");
    }
}
