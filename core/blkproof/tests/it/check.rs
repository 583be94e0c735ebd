//! `blkproof::check`, as a user's own test calls it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blkproof::Check;

use crate::engines::{Lie, copiers};

/// Returns what a check of a copier that lies panics with.
fn report(lie: Lie) -> String {
    let check = Check::new().cases(500);
    let panic = catch_unwind(AssertUnwindSafe(|| check.run(|| copiers(lie))))
        .expect_err("an engine that lies is found out");
    let message = panic.downcast_ref::<String>();
    message.expect("a report is text").clone()
}

#[test]
fn a_right_engine_passes() {
    blkproof::check(|| copiers(Lie::Nothing));
}

#[test]
fn an_engine_that_forgets_a_block_is_found_out_in_a_few_lines() {
    let report = report(Lie::ForgetsTail);
    assert!(report.contains("restore-exact"), "{report}");
    let scenario = &report[report.find("blkproof 1\n").expect("the text is there")..];
    let parsed = blkproof::text::parse(scenario.as_bytes()).expect("it can be replayed");
    assert!(parsed.steps.len() <= 6, "{scenario}");
}

#[test]
fn an_engine_that_panics_is_a_failure_with_a_scenario() {
    let report = report(Lie::Panics);
    assert!(report.contains("no-crash"), "{report}");
    assert!(report.contains("a canary panics"), "{report}");
}
