//! Crates outside the workspace, as users write them.

use std::path::Path;
use std::process::Command;

/// The engine of this crate has a bug, which its one test has to find, in a few lines.
#[test]
fn the_bug_of_an_engine_of_ones_own_is_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/own-engine");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own-engine");
    let output = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--test", "backups"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .expect("cargo starts");
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    let said = format!("{out}\n{err}");
    assert!(!output.status.success(), "the bug was not found:\n{said}");
    assert!(out.contains("restore-exact at "), "{said}");
    assert!(out.contains("should hold what step"), "{said}");
    let scenario = out.split("blkproof 1\n").nth(1).expect(&said);
    let lines = scenario.lines().take_while(|line| !line.is_empty());
    assert!(lines.count() <= 7, "{said}");
}
