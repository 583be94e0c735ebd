//! Checks in processes of their own.

use core::time::Duration;

use blkproof::Check;

use super::{report_of, scenario_of};
use crate::engines::{Lie, copiers};

fn isolated() -> Check {
    Check::new().cases(40).keep_nothing().isolated()
}

#[test]
fn a_right_engine_passes_and_is_counted() {
    let judged = isolated().run(|| copiers(Lie::Nothing));
    let here = Check::new().cases(40).keep_nothing();
    assert_eq!(judged, here.run(|| copiers(Lie::Nothing)));
    assert!(judged.backups > 40, "{judged}");
}

#[test]
fn what_fails_there_is_told_as_if_it_had_been_here() {
    let there = report_of(&isolated(), || copiers(Lie::ForgetsTail));
    let here = Check::new().cases(40).keep_nothing();
    assert_eq!(there, report_of(&here, || copiers(Lie::ForgetsTail)));
}

/// The test has one such check and no more: in its own process, a check that is not meant judges
/// nothing, and whoever expects it to fail ends the test there.
fn takes_the_process_with_it(lie: Lie, said: &str) {
    let report = report_of(&isolated(), move || copiers(lie));
    assert!(report.contains("no-crash at backup"), "{report}");
    assert!(report.contains(said), "{report}");
    assert!(report.contains(", in `apply`"), "{report}");
    assert!(scenario_of(&report).steps.len() <= 4, "{report}");
}

#[test]
fn an_engine_that_aborts_is_told_of() {
    takes_the_process_with_it(Lie::Aborts, "its process ended: signal: 6");
}

#[test]
fn an_engine_that_ends_the_process_is_told_of() {
    takes_the_process_with_it(Lie::Exits, "its process ended: exit status: 0");
}

#[test]
fn an_engine_that_overflows_its_stack_is_told_of() {
    takes_the_process_with_it(Lie::OverflowsItsStack, "has overflowed its stack");
}

#[cfg(target_os = "linux")]
#[test]
fn an_engine_that_takes_memory_without_end_comes_to_an_end() {
    let check = isolated().memory(1 << 30);
    let report = report_of(&check, || copiers(Lie::TakesMemory));
    assert!(report.contains("no-crash at backup"), "{report}");
    assert!(
        report.contains("memory allocation of 16777216 bytes failed"),
        "{report}"
    );
    assert!(scenario_of(&report).steps.len() <= 4, "{report}");
}

#[test]
fn a_hang_there_ends_with_the_process_and_is_made_smaller() {
    let check = isolated().timeout(Duration::from_millis(200));
    let report = report_of(&check, || copiers(Lie::Hangs));
    assert!(report.contains("no-crash at backup"), "{report}");
    assert!(
        report.contains("no end within 0.2 s, in `apply`"),
        "{report}"
    );
    assert!(scenario_of(&report).steps.len() <= 4, "{report}");
}

#[test]
fn what_was_kept_is_tried_there_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = "blkproof 1
title mine
disk d 64k raw
bitmap add d b
backup d full to=full
create inc qcow2 backing=full
backup d incremental bitmap=b to=inc mode=existing
";
    std::fs::write(folder.path().join("mine.blk"), text).expect("it is written");
    let check = isolated().keep_in(folder.path());
    let report = report_of(&check, || copiers(Lie::Aborts));
    assert!(
        report.contains("mine.blk:7: no-crash at backup"),
        "{report}"
    );
    assert!(report.contains("BLKPROOF_REPLAY="), "{report}");
    assert!(report.ends_with(text), "{report}");
}

/// The process comes to the second check of a test, past the first and whatever else there is.
#[test]
fn a_test_may_have_several_checks() {
    for lie in [Lie::Nothing, Lie::Nothing] {
        isolated().run(move || copiers(lie));
    }
    Check::new()
        .cases(3)
        .keep_nothing()
        .run(|| copiers(Lie::Nothing));
    let report = report_of(&isolated(), || copiers(Lie::Exits));
    assert!(report.contains("its process ended"), "{report}");
}
