//! Campaigns over libraries that take their process with them, and campaigns that are ended.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use blkproof::format::{Journal, Property, Scenario, Stated};
use formats::{scenario, scenarios};

fn campaign(out: &Path, args: &[&str]) -> Command {
    let mut call = Command::new(env!("CARGO_BIN_EXE_formats"));
    call.args(["campaign", "blkproof-qcow2", "--seed", "3", "--out"]);
    call.arg(out).args(args).stdin(Stdio::null());
    call
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A few cases of a library that ends its process: each is told, the first of a kind made smaller.
fn takes_the_process_with_it(plant: &str, said: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = ["--plant", plant, "--cases", "30", "--seconds", "60"];
    let output = campaign(folder.path(), &args).output().expect("it runs");
    let text = told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(said), "{text}");
    assert!(text.contains("no-crash at write"), "{text}");
    assert!(text.contains(": no answer"), "the step is told: {text}");
    // The campaign went on behind it, to its end.
    assert!(text.contains(" cases from seed 3"), "{text}");
    let kept = scenarios(&folder.path().join("blkproof-qcow2")).expect("scenarios");
    let kept: Vec<&Scenario> = kept
        .iter()
        .filter(|(path, _)| !path.ends_with("under-way.format"))
        .map(|(_, scenario)| scenario)
        .collect();
    let [kept] = kept[..] else {
        panic!("{kept:?}");
    };
    assert_eq!(kept.outcome, Stated::Fail(Property::NoCrash));
    assert!(kept.steps.len() <= 3, "{kept:?}");
}

#[test]
fn a_library_that_aborts_has_failed_and_the_campaign_goes_on() {
    takes_the_process_with_it("aborts", "its process ended: signal: 6");
}

#[test]
fn a_library_that_ends_the_process_has_failed() {
    takes_the_process_with_it("exits", "its process ended: exit status: 0");
}

#[test]
fn a_library_that_overflows_its_stack_has_failed() {
    takes_the_process_with_it("overflows-its-stack", "its process ended: signal: 6");
}

#[test]
fn a_campaign_over_a_sound_library_holds_and_leaves_nothing_under_way() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = ["--cases", "20", "--seconds", "60"];
    let output = campaign(folder.path(), &args).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let journal = folder.path().join("blkproof-qcow2/under-way.format");
    assert!(journal.is_file());
    assert_eq!(Journal::left(&journal).expect("a journal"), None);
}

/// Whoever ends a campaign loses nothing that failed before, and the next one says what it was at.
#[cfg(unix)]
#[test]
fn a_campaign_that_is_killed_has_kept_what_it_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = ["--plant", "stays-broken", "--seconds", "60", "--here"];
    let mut running = campaign(folder.path(), &args)
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    let library = folder.path().join("blkproof-qcow2");
    let until = Instant::now() + Duration::from_secs(50);
    let found = loop {
        let kept = std::fs::read_dir(&library).into_iter().flatten().flatten();
        let names = kept.map(|entry| entry.path());
        let mut found = names.filter(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            name.starts_with("errors-caused") && name.ends_with(".format")
        });
        if let Some(found) = found.next() {
            break found;
        }
        assert!(Instant::now() < until, "nothing is kept while it runs");
        std::thread::sleep(Duration::from_millis(20));
    };
    running.kill().expect("it is killed");
    running.wait().expect("it ends");
    let kept = scenario(&found).expect("a whole scenario");
    assert_eq!(kept.outcome, Stated::Fail(Property::ErrorsCaused));
    let left = Journal::left(&library.join("under-way.format")).expect("a journal");
    let args = ["--cases", "1", "--seconds", "60"];
    let output = campaign(folder.path(), &args).output().expect("it runs");
    let text = told(&output);
    // It may have been between two scenarios.
    let is_told = text.starts_with("an earlier campaign ended in the midst of case ");
    assert_eq!(is_told, left.is_some(), "{text}");
}
