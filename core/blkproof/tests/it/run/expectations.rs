//! What a scenario states is held against what comes about.

use blkproof::spec::{Name, StatedOutcome};
use blkproof::{Finding, Outcome};

use super::{run, scenario};
use crate::engines::Lie;

/// The digest of 256 KiB of zeroes.
const ZEROES: &str = "8a39d2abd3999ab73c34db2476849cddf303ce389b35826850f9a700589b4a90";

#[track_caller]
fn unmet(steps: &str, aspect: &str, expected: &str, seen: &str) {
    let outcome = run(&scenario(steps), Lie::Nothing);
    let Outcome::Failed(failure) = &outcome else {
        panic!("{outcome:#?}");
    };
    let wanted = |finding: &Finding| match finding {
        Finding::Expectation {
            aspect: its,
            expected: wanted,
            seen: found,
        } => *its == aspect && wanted == expected && found == seen,
        _ => false,
    };
    assert!(failure.findings.iter().any(wanted), "{failure:#?}");
    assert!(failure.breaks("expectation"));
}

#[test]
fn answers_are_held_against_what_is_stated() {
    unmet("flush drive0 expect=pending\n", "reply", "pending", "done");
    unmet("read drive0 255k 2k\n", "reply", "done", "failed(EIO)");
    unmet(
        "read drive0 255k 2k expect=failed(ENOSPC)\n",
        "reply",
        "failed(ENOSPC)",
        "failed(EIO)",
    );
    unmet(
        "read nowhere 0 2k\n",
        "reply",
        "done",
        "refused(no-such-device)",
    );
    let met = "\
read drive0 255k 2k expect=failed
read drive0 255k 2k expect=failed(EIO)
read nowhere 0 2k expect=refused
read nowhere 0 2k expect=refused(no-such-device)
";
    let outcome = run(&scenario(met), Lie::Nothing);
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:#?}");
}

#[test]
fn digests_are_of_what_the_guest_sees() {
    let right = format!("check digest drive0 sha256={ZEROES}\n");
    let outcome = run(&scenario(&right), Lie::Nothing);
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:#?}");
    let wrong = format!("write drive0 0 512 fill=1\n{right}");
    let outcome = run(&scenario(&wrong), Lie::Nothing);
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:#?}");
    };
    assert_eq!(failure.identities()[0].to_string(), "expectation at check");
    let image = format!("backup drive0 full to=f\ncheck digest f sha256={ZEROES}\n");
    let outcome = run(&scenario(&image), Lie::Nothing);
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:#?}");
}

#[test]
fn digests_of_huge_disks_are_refused() {
    let text = format!("blkproof 1\ndisk drive0 16T raw\ncheck digest drive0 sha256={ZEROES}\n");
    let scenario = blkproof::text::parse(text.as_bytes()).expect("the text is fine");
    let outcome = run(&scenario, Lie::Nothing);
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:#?}");
    };
    let [Finding::Subject { message, .. }] = &failure.findings[..] else {
        panic!("{failure:#?}");
    };
    assert!(
        message.contains("at most 1073741824 are hashed"),
        "{message}"
    );
}

#[test]
fn outcomes_are_held_against_what_is_stated() {
    let held = run(&scenario("flush drive0\n"), Lie::Nothing);
    let failed = run(
        &scenario("write drive0 0 512 stamp\nread drive0 0 512\n"),
        Lie::ReadsZeroes,
    );
    let fail = |property: &str| StatedOutcome::Fail(Name::new(property));
    assert!(held.meets(&StatedOutcome::Pass) && !failed.meets(&StatedOutcome::Pass));
    assert!(failed.meets(&fail("guest-reads-writes")));
    assert!(!failed.meets(&fail("dirty-sound")) && !held.meets(&fail("guest-reads-writes")));
}
