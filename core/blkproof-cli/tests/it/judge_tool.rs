//! `judge-tool`: good tools pass, bad ones are caught.

use crate::nbd::tools::have;
use crate::program::{Folder, Ran};

/// Judges a tool over disks of 1 MiB.
fn judge(args: &[&str], tool: &[&str]) -> Ran {
    let folder = Folder::new();
    let args = [&["judge-tool", "--size", "1M"], args, &["--"], tool].concat();
    folder.run(&args)
}

fn summary(ran: &Ran) -> serde_json::Value {
    let last = ran.records().pop().expect("a summary");
    assert_eq!(last["type"], "tool-judged");
    last
}

#[test]
fn nbdcopy_tells_every_error() {
    if !have(&["nbdcopy"]) {
        return;
    }
    let tool = ["nbdcopy", "--flush", "{source}", "{target}"];
    let ran = judge(&["--durable", "--json"], &tool).exits(0);
    let summary = summary(&ran);
    assert_eq!(summary["complete"], true);
    assert_eq!(summary["swallowed"], 0);
    assert!(summary["failed"].as_u64() > Some(8), "{summary}");
    let struck: Vec<_> = ran
        .records()
        .iter()
        .map(|record| record["position"].clone())
        .collect();
    for wanted in [
        "source:read:1:once",
        "target:write:1:persistent",
        "target:flush:1:once",
    ] {
        assert!(struck.contains(&wanted.into()), "{wanted}: {struck:?}");
    }
}

/// The call of `qemu-img` in this cache mode.
fn convert(mode: &str) -> Vec<&str> {
    let convert = [
        "qemu-img", "convert", "-n", "-t", mode, "-f", "raw", "-O", "raw",
    ];
    [&convert[..], &["{source}", "{target}"]].concat()
}

#[test]
fn qemu_img_tells_every_error_where_it_writes_through() {
    if !have(&["qemu-img"]) {
        return;
    }
    let ran = judge(&["--durable"], &convert("writethrough")).exits(0);
    let told = "every error was told, or did no harm\n";
    assert!(ran.out.ends_with(told), "{}", ran.out);
}

/// A find, with QEMU 10.0: in its other cache modes `qemu-img convert` flushes the target only when
/// it closes it, and takes no notice of a flush that fails. If this test fails because nothing is
/// swallowed any more, that was repaired.
#[test]
fn qemu_img_swallows_a_flush_that_fails_at_the_end() {
    if !have(&["qemu-img"]) {
        return;
    }
    let ran = judge(&["--durable", "--json"], &convert("writeback")).exits(1);
    let swallowed = ran
        .records()
        .into_iter()
        .filter(|record| record["outcome"] == "swallowed");
    let positions: Vec<_> = swallowed.map(|record| record["position"].clone()).collect();
    assert_eq!(
        positions,
        ["target:flush:1:once", "target:flush:1:persistent"]
    );
}

/// A copy that does not fail when it should: the most ordinary mistake of a script.
#[test]
fn a_script_that_goes_on_after_an_error_is_caught() {
    if !have(&["nbdcopy"]) {
        return;
    }
    let script = r#"nbdcopy "$BLKPROOF_SOURCE" "$BLKPROOF_TARGET" || true"#;
    let ran = judge(&["--strike", "once"], &["sh", "-c", script]).exits(1);
    let told = "SWALLOWED  source:read:1:once: exit code 0, but from byte";
    assert!(ran.out.contains(told), "{}", ran.out);
    let again = ran
        .out
        .lines()
        .find_map(|line| line.trim().strip_prefix("again: "));
    let again = again.expect("a command");
    assert!(
        again.contains("--only source:read:1:once -- sh -c"),
        "{again}"
    );
    // What is printed shows it again.
    let program = env!("CARGO_BIN_EXE_blkproof");
    let again = again.replacen("blkproof", program, 1);
    let output = std::process::Command::new("sh")
        .args(["-c", &again])
        .output()
        .unwrap();
    Ran::of(&output).exits(1);
}

/// `--salvage` is made to swallow errors of the source.
#[test]
fn a_copy_that_leaves_out_what_it_cannot_read_is_caught() {
    if !have(&["qemu-img"]) {
        return;
    }
    let convert = [
        "qemu-img",
        "convert",
        "--salvage",
        "-n",
        "-f",
        "raw",
        "-O",
        "raw",
    ];
    let tool = [&convert[..], &["{source}", "{target}"]].concat();
    let ran = judge(&["--json", "--strike", "persistent"], &tool).exits(1);
    let swallowed = summary(&ran)["swallowed"].as_u64();
    let reads = ran
        .records()
        .into_iter()
        .filter(|record| record["outcome"] == "swallowed");
    let reads = reads.filter(|record| {
        let position = record["position"].as_str().unwrap();
        position.starts_with("source:read:")
    });
    assert_eq!(Some(reads.count() as u64), swallowed);
    assert!(swallowed > Some(0));
}

/// What was never flushed is gone when the power goes.
#[test]
fn a_tool_that_does_not_flush_is_caught_where_it_must_be_durable() {
    if !have(&["nbdcopy"]) {
        return;
    }
    let tool = ["nbdcopy", "{source}", "{target}"];
    let ran = judge(&["--durable"], &tool).exits(2);
    let told =
        "the tool, without any fault: it says that all is well, and after a power cut byte 0";
    assert!(ran.err.contains(told), "{}", ran.err);
}

#[test]
fn tools_that_do_not_work_or_do_not_end_are_told() {
    let ran = judge(&[], &["sh", "-c", "echo no such thing >&2; exit 7"]).exits(2);
    assert!(
        ran.err
            .contains("without any fault: it ends with exit code 7"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("it said: no such thing"), "{}", ran.err);
    let ran = judge(&["--timeout", "1"], &["sh", "-c", "sleep 1000 & wait"]).exits(2);
    assert!(ran.err.contains("it does not end"), "{}", ran.err);
    let ran = judge(&[], &["no-such-tool"]).exits(2);
    assert!(
        ran.err.contains("no-such-tool: cannot start it"),
        "{}",
        ran.err
    );
    let ran = judge(&["--only", "target:wrote:1"], &["true"]).exits(2);
    assert!(
        ran.err.contains("such as target:write:3:once"),
        "{}",
        ran.err
    );
}
