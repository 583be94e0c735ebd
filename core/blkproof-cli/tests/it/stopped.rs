//! Verbs that are interrupted sum up what they did until then.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::interrupt::send;
use crate::program::{Folder, Ran};

fn spawn(folder: &Folder, args: &[&str]) -> Child {
    let mut command = folder.command(args);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Reads lines of a stream until one has these words; returns them all.
fn until(stream: &mut impl Read, words: &str) -> String {
    let mut lines = String::new();
    // Byte by byte, so that nothing of what follows is taken.
    let mut reader = BufReader::with_capacity(1, stream);
    while !lines.contains(words) {
        let read = reader.read_line(&mut lines).unwrap();
        assert!(read > 0, "it ends without {words:?}:\n{lines}");
    }
    lines
}

/// Interrupts a call once its output has these words, and returns what it left.
fn interrupted(folder: &Folder, args: &[&str], words: &str) -> Ran {
    let mut child = spawn(folder, args);
    let before = until(child.stdout.as_mut().unwrap(), words);
    send(&child, "-INT");
    let mut ran = Ran::of(&child.wait_with_output().unwrap());
    ran.out.insert_str(0, &before);
    ran
}

/// Waits until something is so.
fn wait_for(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never begins");
        thread::sleep(Duration::from_millis(2));
    }
}

fn many_files(text: &str) -> Folder {
    let folder = Folder::new();
    for number in 0..40 {
        folder.file(&format!("all/{number:02}.blk"), text);
    }
    folder
}

/// The scenarios that were done have their lines, and the sum says that it is not all.
fn assert_summed_up(ran: &Ran) {
    assert!(ran.err.starts_with("ended early: "), "{}", ran.err);
    assert!(
        ran.err.contains(" of 40 scenarios were swept"),
        "{}",
        ran.err
    );
    assert!(ran.out.starts_with("ok  all/00.blk  "), "{}", ran.out);
    assert!(!ran.out.contains("all/39.blk"), "{}", ran.out);
    let sum = ran.out.lines().find(|line| line.contains(" scenarios: "));
    assert!(
        sum.is_none_or(|sum| sum.ends_with(", not complete")),
        "{}",
        ran.out
    );
}

#[test]
fn a_sweep_of_power_sums_up() {
    let folder = many_files(crate::sweep::POWER);
    let args = ["sweep", "--power", "--jobs", "1", "--random", "2000", "all"];
    let ran = interrupted(&folder, &args, "all/00.blk").exits(130);
    assert_summed_up(&ran);
}

#[test]
fn a_sweep_of_faults_sums_up() {
    let folder = many_files(crate::log::BACKUP);
    let args = ["sweep", "--jobs", "1", "all"];
    let ran = interrupted(&folder, &args, "all/00.blk").exits(130);
    assert_summed_up(&ran);
    // Of the scenario at work, what was tried counts as well.
    let first = ran.out.lines().next().unwrap();
    assert!(!first.contains("not complete"), "{first}");
}

#[test]
fn the_exhaustive_tier_sums_up() {
    let folder = Folder::new();
    let args = ["sweep", "--exhaustive", "--guest-steps", "4", "--jobs", "2"];
    let ran = interrupted(&folder, &args, "1 guest steps: ").exits(130);
    assert!(ran.err.starts_with("ended early: "), "{}", ran.err);
    assert!(ran.err.contains("of 5 tiers were judged"), "{}", ran.err);
    let tiers: Vec<&str> = ran
        .out
        .lines()
        .filter(|line| !line.starts_with(' '))
        .collect();
    assert!((2..5).contains(&tiers.len()), "{}", ran.out);
    for tier in tiers {
        assert!(tier.ends_with(" scenarios, all held"), "{tier}");
    }
}

#[test]
fn a_hunt_for_bugs_sums_up() {
    let folder = Folder::new();
    let args = ["bugs", "--jobs", "1"];
    let ran = interrupted(&folder, &args, "dirty-recovers").exits(130);
    assert!(ran.err.contains("bugs were hunted"), "{}", ran.err);
    let (_, sum) = ran.out.split_once("\n\n").expect("a sum");
    let (caught, hunted) = sum.split_once(" of ").unwrap();
    assert_ne!(caught, "0");
    assert!(
        hunted.starts_with(&format!("{caught} bugs caught; ")),
        "{sum}"
    );
}

#[test]
fn shrinking_leaves_the_smallest_so_far() {
    let folder = Folder::new();
    // Large, so that candidates take their time.
    let mut text = "blkproof 1\ndisk d 64M raw\n".to_owned();
    for _ in 0..8 {
        text += "write d 0 64M stamp\nflush d\n";
    }
    text += "backup d full to=full0\nwrite d 0 64M stamp\ncheck full0 == d\n";
    folder.file("wrong.blk", &text);
    let mut child = spawn(&folder, &["shrink", "wrong.blk"]);
    let noted = until(child.stderr.as_mut().unwrap(), " steps left");
    send(&child, "-INT");
    // It fails, as always, interrupted or not.
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(1);
    assert!(
        ran.err
            .ends_with("interrupted: this is the smallest so far\n"),
        "{noted}{}",
        ran.err
    );
    assert!(
        ran.out.contains("could become fewer: call it again"),
        "{}",
        ran.out
    );
    let smallest = folder.text("wrong.min.blk");
    assert!(
        smallest.lines().count() < text.lines().count(),
        "{smallest}"
    );
    assert!(ran.out.contains(&smallest), "{}", ran.out);
    folder.run(&["replay", "wrong.min.blk"]).exits(1);
}

#[test]
fn a_sweep_of_a_log_sums_up() {
    let folder = Folder::new();
    folder.file("a.blk", crate::log::BACKUP);
    folder
        .run(&["log", "export", "a.blk", "-o", "d.log"])
        .exits(0);
    let args = ["log", "sweep", "d.log", "--random", "3000", "--out", "made"];
    let child = spawn(&folder, &args);
    let made = folder.path().join("made");
    wait_for(|| made.is_dir());
    send(&child, "-INT");
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(130);
    assert!(ran.err.starts_with("interrupted at entry "), "{}", ran.err);
    assert!(ran.out.starts_with("ok  d.log  "), "{}", ran.out);
    assert!(ran.out.contains(", not complete"), "{}", ran.out);
    assert!(!made.exists(), "nothing was left in it");
}
