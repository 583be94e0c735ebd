//! QEMU's tools, where this machine has them.

use std::path::Path;
use std::process::{Command, Output};

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
/// Says whether QEMU's tools are here. Where they are not, says so, and fails if they are required.
pub(crate) fn is_here(test: &str) -> bool {
    let missing: Vec<&str> = ["qemu-img", "qemu-io"]
        .into_iter()
        .filter(|tool| Command::new(tool).arg("--version").output().is_err())
        .collect();
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join(" and ");
    assert!(
        std::env::var_os("BLKPROOF_REQUIRE_QEMU").is_none_or(|value| value != "1"),
        "{missing} missing, and BLKPROOF_REQUIRE_QEMU=1"
    );
    eprintln!("skipped {test}: {missing} missing (install Debian's package qemu-utils)");
    false
}

/// Runs a tool in a folder.
pub(crate) fn run(folder: &Path, tool: &str, args: &[&str]) -> Output {
    let mut command = Command::new(tool);
    command.current_dir(folder).args(args);
    command.output().expect("the tool was found before")
}

/// Runs a tool in a folder, and wants it to succeed.
pub(crate) fn succeed(folder: &Path, tool: &str, args: &[&str]) {
    let output = run(folder, tool, args);
    assert!(
        output.status.success(),
        "{tool} {}: {}{}",
        args.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
