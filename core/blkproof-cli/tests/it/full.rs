//! Folders that take no files: before a campaign, and while it runs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{Folder, Ran};

/// Waits until something is so.
#[track_caller]
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_an_error_before_the_campaign() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let shut = folder.path().join("shut");
    fs::create_dir(&shut).unwrap();
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o555)).unwrap();
    // Root writes into folders that are shut; into this one nobody does.
    let nowhere = Path::new("/proc/self/task");
    let mut outs = vec![nowhere.to_owned(), nowhere.join("below")];
    if fs::write(shut.join("probe"), "").is_err() {
        outs.extend([shut.clone(), shut.join("below")]);
    }
    for out in outs {
        let out = out.to_str().unwrap();
        let ran = folder.run(&["run", "--cases", "1", "--out", out]).exits(3);
        assert_eq!(ran.out, "", "nothing was judged");
        assert!(
            ran.err.contains(&format!("error: cannot write {out}")),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains("judging"), "{}", ran.err);
    }
}

/// A folder in which nobody makes files.
#[cfg(target_os = "linux")]
const NOWHERE: &str = "/proc/self/task";

#[cfg(target_os = "linux")]
#[test]
fn every_verb_that_writes_says_so_before_its_work() {
    let folder = Folder::new();
    folder.file("a.blk", crate::sweep::BACKUP);
    folder.file(
        "wrong.blk",
        "blkproof 1\ndisk d 1M raw\nwrite d 0 512 stamp\ncheck bitmap d b count=0\n",
    );
    folder
        .run(&["log", "export", "a.blk", "-o", "d.log"])
        .exits(0);
    let below = format!("{NOWHERE}/below");
    let file = format!("{NOWHERE}/file.blk");
    for args in [
        &["sweep", "a.blk", "--out", &below][..],
        &["sweep", "--power", "a.blk", "--out", NOWHERE],
        &["sweep", "--power", "a.blk", "--dump", &below],
        &["sweep", "--exhaustive", "--out", &below],
        &["bugs", "--save", "--kept", &below, "discard-cleans"],
        &["shrink", "wrong.blk", "-o", &file],
        &["corpus", "import", "a.blk", "--out", &below],
        &["corpus", "export", "a.blk", "--out", &below],
        &["log", "sweep", "d.log", "--out", &below],
        &["log", "export", "a.blk", "-o", &file],
    ] {
        let ran = folder.run(args).exits(3);
        assert_eq!(ran.out, "", "{args:?}: nothing was done");
        let said = format!("error: cannot write {NOWHERE}");
        assert!(ran.err.starts_with(&said), "{args:?}: {}", ran.err);
    }
    // What is there already is no reason to leave empty folders behind.
    let ran = folder.run(&["sweep", "a.blk", "--out", "made/below"]);
    ran.exits(0);
    assert!(!folder.path().join("made").exists());
}

/// Runs a campaign whose files may have so many KiB; what is longer fails as on a full disk.
#[cfg(unix)]
fn run_with_limit(folder: &Folder, kib: u32, args: &str) -> Ran {
    let program = env!("CARGO_BIN_EXE_blkproof");
    // Half of the unit of `ulimit -f` in most shells; the signal would kill the program.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec {program} {args}", kib * 2);
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(folder.path());
    Ran::of(&command.stdin(Stdio::null()).output().unwrap())
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_is_an_error_before_the_campaign() {
    let folder = Folder::new();
    let ran = run_with_limit(&folder, 1, "run --cases 1").exits(3);
    assert_eq!(ran.out, "");
    assert!(
        ran.err
            .contains("cannot write blkproof-out: File too large"),
        "{}",
        ran.err
    );
    assert!(!folder.path().join("blkproof-out").exists());
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_ends_a_campaign_and_prints_what_was_found() {
    let folder = Folder::new();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    if !is_mounted(&out) {
        return;
    }
    let args = [
        "run",
        "--cases",
        "1000000",
        "--bug",
        "undo-forward",
        "--out",
        "out",
    ];
    let child = folder
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("it writes down how far it is", || {
        out.join("campaign.json").exists()
    });
    // As much as there is room for.
    let _ = fs::write(out.join("filler"), vec![0; 1 << 20]);
    let output = child.wait_with_output().unwrap();
    unmount(&out);
    let ran = Ran::of(&output);
    assert!(ran.err.contains("No space left on device"), "{}", ran.err);
    assert!(
        ran.out
            .contains("go on from here: blkproof run --resume --out out"),
        "{}",
        ran.out
    );
    ran.exits(3);
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#[cfg(unix)]
fn is_mounted(folder: &Path) -> bool {
    let mut command = Command::new("mount");
    command
        .args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"])
        .arg(folder);
    let is_mounted = command.output().is_ok_and(|output| output.status.success());
    if !is_mounted {
        eprintln!("skipped: only root can mount a small file system");
    }
    is_mounted
}

#[cfg(unix)]
fn unmount(folder: &Path) {
    let status = Command::new("umount").arg(folder).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_folder_that_goes_away_ends_a_campaign() {
    let folder = Folder::new();
    let out = folder.path().join("out");
    let child = folder
        .command(&["run", "--cases", "1000000", "--out", "out"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("it writes down how far it is", || {
        out.join("campaign.json").exists()
    });
    // Until nobody writes into it in between.
    wait_for("the folder goes", || fs::remove_dir_all(&out).is_ok());
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(3);
    assert!(
        ran.err.contains("cannot write out/campaign.json"),
        "{}",
        ran.err
    );
    assert!(
        ran.out.contains("not everything could be done"),
        "{}",
        ran.out
    );
}
