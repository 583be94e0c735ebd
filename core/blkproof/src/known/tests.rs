use blkproof_spec::model::Violation;
use blkproof_spec::step::Action;
use blkproof_spec::{Scenario, StepNumber};

use super::{KINDS, Known, Sightings, Words, behind};
use crate::generate::{Profile, case};
use crate::outcome::{Counts, Failure, Finding, Moment, NotJudged, Outcome};
use crate::text::{self, keyword};

fn known(text: &str) -> Known {
    Known::parse(text).unwrap()
}

fn failure(scenario: &Scenario, step: u32, findings: Vec<Finding>) -> Outcome {
    let moment = Moment::Step(StepNumber(step));
    Outcome::Failed(Box::new(Failure {
        step_kind: moment.step_kind(scenario),
        moment,
        findings,
        replies: Vec::new(),
        firings: Vec::new(),
        counts: Counts::default(),
    }))
}

fn panics(message: &str) -> Finding {
    let message = message.to_owned();
    Finding::Panic { message }
}

#[test]
fn every_kind_of_step_can_be_named() {
    let mut seen = 0;
    for profile in Profile::built_in() {
        for number in 0..300 {
            for step in case(5, number, profile).steps {
                assert!(KINDS.contains(&keyword(&step.action)), "{step:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 1000);
    assert!(KINDS.contains(&keyword(&Action::Kill { at: None })));
    for moment in [Moment::Preparing, Moment::Opening, Moment::End] {
        assert!(KINDS.contains(&moment.step_kind(&Scenario::default())));
    }
}

#[test]
fn a_line_says_what_where_and_which() {
    let text = "# why\n\n  no-crash at backup: index out  \nsubject\nrestore-exact at job cancel\n";
    let list = known(text);
    let lines: Vec<_> = list.findings().iter().map(|known| known.line).collect();
    assert_eq!(lines, [3, 4, 5]);
    let said = "saw index out of bounds";
    assert_eq!(list.position("no-crash", "backup", said), Some(0));
    assert_eq!(list.position("no-crash", "backup", "saw nothing"), None);
    assert_eq!(list.position("no-crash", "write", said), None);
    assert_eq!(list.position("subject", "opening", ""), Some(1));
    assert_eq!(list.position("restore-exact", "job cancel", ""), Some(2));
    let printed: Vec<_> = list.findings().iter().map(ToString::to_string).collect();
    assert_eq!(known(&printed.join("\n")).findings().len(), 3);
    assert_eq!(printed[0], "no-crash at backup: index out");
}

#[test]
fn a_slip_is_an_error_with_its_line() {
    for (text, said) in [
        (
            "\nno-crahs",
            "line 2: nothing is called `no-crahs`; did you mean `no-crash`?",
        ),
        (
            "no-crash at bakcup",
            "line 1: no step is called `bakcup`; did you mean `backup`?",
        ),
        (
            "no-crash at",
            "line 1: nothing is called `no-crash at`; did you mean `no-crash`?",
        ),
        ("zzz", "line 1: nothing is called `zzz`"),
        (
            "no-crash at backup:",
            "line 1: expected a part of what reports say behind the colon",
        ),
        (": x", "line 1: nothing is called ``"),
    ] {
        assert_eq!(Known::parse(text).unwrap_err().to_string(), said, "{text}");
    }
}

#[test]
fn files_are_read_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known");
    let missing = Known::load(&path).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read "), "{missing}");
    std::fs::write(&path, "no-crash\n").unwrap();
    assert_eq!(Known::load(&path).unwrap(), known("no-crash"));
    std::fs::write(&path, "#\n".repeat(1 << 20)).unwrap();
    let long = Known::load(&path).unwrap_err().to_string();
    assert!(long.contains("longer than"), "{long}");
    std::fs::write(&path, [0xff]).unwrap();
    assert!(Known::load(&path).is_err());
}

#[test]
fn what_is_known_is_taken_out_and_counted() {
    let scenario = text::parse(b"blkproof 1\ndisk d 1M raw\nflush d\n").unwrap();
    let list = known("no-crash at flush: here\nexpectation\n");
    let mut seen = Sightings::default();
    let both = failure(&scenario, 1, vec![panics("here"), panics("gone")]);
    let Outcome::Failed(left) = list.mask(both, &mut seen) else {
        panic!("the other one is new");
    };
    assert_eq!(left.findings, [panics("gone")]);
    let one = failure(&scenario, 1, vec![panics("over here")]);
    let masked = list.mask(one, &mut seen);
    assert!(matches!(masked, Outcome::NotJudged(NotJudged::Known, _)));
    assert_eq!((seen.of(0), seen.of(1), seen.of(9)), (2, 0, 0));
    let unseen: Vec<_> = seen
        .unseen(&list)
        .map(|known| known.what.as_ref())
        .collect();
    assert_eq!(unseen, ["expectation"]);
    let mut sum = Sightings::default();
    sum.note(1);
    sum.merge(&seen);
    assert_eq!((sum.of(0), sum.of(1)), (2, 1));

    // What the model says is told by what the report has of it.
    let crash = || {
        let found = Violation::crash("gone");
        failure(&scenario, 1, vec![Finding::Violation(Box::new(found))])
    };
    let by_words = known("no-crash: expected an answer, saw gone").mask(crash(), &mut seen);
    assert!(matches!(by_words, Outcome::NotJudged(..)), "{by_words:?}");
    let others = known("no-crash: saw lost").mask(crash(), &mut seen);
    assert!(matches!(others, Outcome::Failed(_)), "{others:?}");
}

#[test]
fn behind_a_finding_lies_the_rest_of_the_scenario() {
    let text = "blkproof 1
disk d 1M qcow2
write d 0 64k stamp
backup d full to=full
write d 0 4k stamp
create inc qcow2 backing=full
";
    let scenario = text::parse(text.as_bytes()).unwrap();
    let Outcome::Failed(at_backup) = failure(&scenario, 2, vec![panics("x")]) else {
        unreachable!();
    };
    let left = behind(&scenario, &at_backup).unwrap();
    assert_eq!(left.steps.len(), 3, "{}", text::print(&left));
    let mut at_end = *at_backup;
    at_end.moment = Moment::End;
    assert_eq!(behind(&scenario, &at_end), None);
}

#[test]
fn other_levels_have_words_of_their_own() {
    let words = Words::new(&["lost-write"], &["reopen"]);
    let list = Known::parse_with("lost-write at reopen: sector 3", words).unwrap();
    assert_eq!(
        list.position("lost-write", "reopen", "at sector 3"),
        Some(0)
    );
    assert!(Known::parse_with("no-crash", words).is_err());
}

#[test]
fn parts_stand_in_their_order_with_anything_between() {
    let list = known("no-crash: index ... of ... bounds\n");
    let position = |said| list.position("no-crash", "write", said);
    assert_eq!(position("index 7 is out of bounds"), Some(0));
    assert_eq!(position("index of"), None);
    assert_eq!(position("out of bounds: the index"), None);
    let list = known("no-crash: a a ... a a\n");
    assert_eq!(list.position("no-crash", "write", "a a a"), None);
}
