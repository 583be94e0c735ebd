//! An engine that lies is caught, and by the right property.

use blkproof::{Failure, Outcome};

use super::{run, scenario};
use crate::engines::Lie;

/// Everything that a small engine does.
const ALL: &str = "\
write drive0 0 64k stamp
bitmap add drive0 b0
backup drive0 full to=full0
write drive0 32k 6k fill=0x41
write drive0 100k 512 stamp
read drive0 0 128k
create inc0 qcow2 backing=full0
backup drive0 incremental bitmap=b0 to=inc0 mode=existing
write drive0 1k 512 fill=0x42
write drive0 200k 8k stamp
create inc1 qcow2 backing=inc0
backup drive0 incremental bitmap=b0 to=inc1 mode=existing
flush drive0
check inc1 == drive0
";

fn failure(steps: &str, lie: Lie) -> Box<Failure> {
    match run(&scenario(steps), lie) {
        Outcome::Failed(failure) => failure,
        other => panic!("{lie:?} is not caught: {other:?}"),
    }
}

#[track_caller]
fn caught(steps: &str, lie: Lie, what: &str) {
    let failure = failure(steps, lie);
    assert!(failure.breaks(what), "{lie:?}: {failure:#?}");
}

#[test]
fn an_engine_that_is_right_is_held() {
    let outcome = run(&scenario(ALL), Lie::Nothing);
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:#?}");
}

#[test]
fn lies_about_contents_are_caught() {
    caught(ALL, Lie::ForgetsTail, "restore-exact");
    caught(ALL, Lie::SkipsSecond, "restore-exact");
    caught(ALL, Lie::WritesElsewhere, "restore-exact");
    let read = "write drive0 1k 512 stamp\nread drive0 0 4k\n";
    caught(read, Lie::WritesElsewhere, "guest-reads-writes");
    let unread = "write drive0 1k 512 stamp\n";
    caught(unread, Lie::WritesElsewhere, "guest-reads-writes");
    caught(ALL, Lie::ReadsZeroes, "guest-reads-writes");
}

#[test]
fn lies_about_errors_are_caught() {
    caught(ALL, Lie::ClaimsErrors, "errors-caused");
    let faulty = "\
write drive0 0 64k stamp
fault drive0.file error errno=EIO iotype=read when=nth(3)
backup drive0 full to=full0 expect=any
";
    let outcome = run(&scenario(faulty), Lie::Nothing);
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:#?}");
    caught(faulty, Lie::HidesErrors, "refused-not-wrong");
}

#[test]
fn panics_are_failures() {
    let failure = failure(ALL, Lie::Panics);
    assert!(failure.breaks("no-crash"), "{failure:#?}");
    assert_eq!(failure.identities().len(), 1);
    assert_eq!(failure.identities()[0].to_string(), "no-crash at backup");
}
