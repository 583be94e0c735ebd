//! The kept experiments still give the answers that were recorded.

use crate::qmp::{ci, missing_qemu};

#[test]
fn qemu_answers_as_recorded() {
    if missing_qemu("experiments") {
        return;
    }
    let run = ci(&["experiments"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert!(
        run.out
            .contains("experiment incremental-lengths: as recorded"),
        "{}",
        run.out
    );
}

#[test]
fn an_unknown_experiment_is_refused() {
    let run = ci(&["experiments", "nonesuch"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert_eq!(
        run.err,
        "error: no experiment has \"nonesuch\" in its name\n"
    );
}
