//! Known findings are masked, counted, and looked behind.

use blkproof::Check;
use blkproof::known::Known;

use super::{report_of, scenario_of};
use crate::engines::{Lie, copiers};

fn check(known: &str) -> Check {
    let known = Known::parse(known).expect("a list");
    Check::new().cases(100).keep_nothing().mask(known)
}

/// How the forgotten block shows: also as a backup that failed and then succeeds wrongly.
const TAIL: &str = "restore-exact\nrefused-not-wrong at backup\n";

#[test]
fn what_is_known_fails_no_test_and_is_counted() {
    let judged = check(&format!("{TAIL}subject at opening\n")).run(|| copiers(Lie::ForgetsTail));
    let seen: Vec<u64> = judged.known().map(|(_, seen)| seen).collect();
    assert!(seen[0] > 50, "{judged}");
    assert_eq!(seen[2], 0);
    let unseen: Vec<_> = judged.unseen().map(ToString::to_string).collect();
    assert_eq!(unseen, ["subject at opening"]);
    let told = judged.to_string();
    assert!(
        told.contains("known, and not seen any more: subject at opening (line 3)"),
        "{told}"
    );
    assert!(
        told.contains(&format!("known, seen {} times: restore-exact\n", seen[0])),
        "{told}"
    );
}

#[test]
fn what_lies_behind_a_known_finding_is_found_and_shrunk_without_it() {
    let lie = || copiers(Lie::ForgetsTailAndPanics);
    let plain = report_of(&Check::new().cases(100).keep_nothing(), lie);
    assert!(plain.contains("restore-exact at backup"), "{plain}");
    let behind = report_of(&check(TAIL), lie);
    assert!(behind.contains("no-crash at backup"), "{behind}");
    assert!(!behind.contains("restore-exact"), "{behind}");
    assert!(scenario_of(&behind).steps.len() <= 6, "{behind}");
    let both = format!("{TAIL}no-crash at backup: a canary panics later\n");
    let judged = check(&both).run(lie);
    assert!(
        judged
            .known()
            .all(|(finding, seen)| seen > 0 || &*finding.what != "no-crash")
    );
    let other = report_of(&check(&format!("{TAIL}no-crash: another panic\n")), lie);
    assert!(other.contains("a canary panics later"), "{other}");
}

#[test]
fn a_list_that_cannot_be_read_fails_the_test_with_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = folder.path().join("known.txt");
    let judge = || {
        let check = Check::new().cases(5).keep_nothing().known(&list);
        report_of(&check, || copiers(Lie::Nothing))
    };
    assert!(judge().starts_with(&format!("cannot read {}: ", list.display())));
    std::fs::write(&list, "# ours\nrestore-exat\n").expect("it is written");
    let said = "2: nothing is called `restore-exat`; did you mean `restore-exact`?";
    assert_eq!(judge(), format!("{}:{said}", list.display()));
}
