//! How failures are told.

use blkproof::text::Document;
use blkproof::{Finding, Outcome, Report};

use crate::engines::Lie;
use crate::run::run;

const SCENARIO: &str = "\
blkproof 1
title two writes, the second forgotten
disk drive0 256k raw
disk drive1 64k raw

bitmap add drive0 b0
write drive0 0 64k stamp
backup drive0 full to=full0
write drive1 0 512 fill=1
write drive0 8k 4k stamp  # this one
write drive0 64k 512 fill=0x41
create inc0 qcow2 backing=full0
backup drive0 incremental bitmap=b0 to=inc0 mode=existing expect=any
check inc0 == drive0
write drive0 64k 512 fill=0x41  # no origin of what is wrong before it
";

fn report(lie: Lie) -> Report {
    let document = Document::parse(SCENARIO.as_bytes()).expect("the text is fine");
    match run(&document.scenario, lie) {
        Outcome::Failed(failure) => {
            Report::new(&failure, &document, "a.blk", "blkproof replay a.blk")
        }
        other => panic!("{other:#?}"),
    }
}

#[test]
fn contents_are_told_by_where_they_come_from() {
    let report = report(Lie::SkipsSecond);
    assert_eq!((report.line, report.step), (Some(13), Some(8)));
    let text = report.render();
    for part in [
        "a.blk:13: restore-exact at backup",
        "  step 8: backup drive0 incremental bitmap=b0 to=inc0 mode=existing expect=any",
        "      sectors 16..24 hold what step 2 (line 7: write drive0 0 64k stamp) wrote,\n",
        "        should hold what step 5 (line 10: write drive0 8k 4k stamp) wrote\n",
        "      sectors 128..129 hold zeroes,\n",
        "        should hold 0x41, as step 6 (line 11: write drive0 64k 512 fill=0x41) wrote\n",
        "    step 3  line  8  backup drive0 full to=full0: done\n",
        "(1 step left out)",
        "  replay it: blkproof replay a.blk\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    assert!(
        !text.contains("drive1"),
        "what has nothing to do with it is told:\n{text}"
    );
}

#[test]
fn panics_are_told() {
    let text = report(Lie::Panics).render();
    assert!(text.contains("a canary panics"), "{text}");
    assert!(text.contains("no-crash at backup"), "{text}");
}

#[test]
fn a_list_of_wrong_ranges_that_was_cut_says_so() {
    let document = Document::parse(SCENARIO.as_bytes()).expect("the text is fine");
    let Outcome::Failed(mut failure) = run(&document.scenario, Lie::SkipsSecond) else {
        panic!("it is caught");
    };
    for finding in &mut failure.findings {
        if let Finding::Violation(violation) = finding {
            violation.has_more = true;
        }
    }
    let text = Report::new(&failure, &document, "a.blk", "again").render();
    assert!(text.contains("\n      and more behind these\n"), "{text}");
}
