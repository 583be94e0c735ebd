//! QEMU's tools, where this machine has them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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

/// Returns the SHA-256 that QEMU tells of the bits of each of these bitmaps of an image.
pub(crate) fn digests(folder: &Path, image: &str, bitmaps: &[&str]) -> Vec<String> {
    let node = format!("qcow2,node-name=n,file.driver=file,file.filename={image}");
    let mut daemon = Command::new("qemu-storage-daemon")
        .args(["--chardev", "stdio,id=c", "--monitor", "chardev=c"])
        .args(["--blockdev", &node])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tools come in one package");
    let mut commands = "{\"execute\": \"qmp_capabilities\"}\n".to_owned();
    for bitmap in bitmaps {
        commands += &format!(
            "{{\"execute\": \"x-debug-block-dirty-bitmap-sha256\", \
             \"arguments\": {{\"node\": \"n\", \"name\": \"{bitmap}\"}}}}\n"
        );
    }
    commands += "{\"execute\": \"quit\"}\n";
    let mut input = daemon.stdin.take().expect("its input is a pipe");
    input
        .write_all(commands.as_bytes())
        .expect("it reads its commands");
    let output = daemon.wait_with_output().expect("it ends");
    drop(input);
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).expect("its answers are text");
    let answers = output.split("\"sha256\": \"").skip(1);
    let answers = answers.map(|rest| rest.chars().take_while(|char| *char != '"').collect());
    answers.collect()
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
