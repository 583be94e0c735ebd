//! `blkproof run --known`: campaigns that look behind what is known.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Folder, Ran};

const RUN: [&str; 6] = ["run", "--json", "--cases", "400", "--jobs", "1"];

fn run(folder: &Folder, args: &[&str]) -> Ran {
    let args: Vec<&str> = RUN.iter().chain(args).copied().collect();
    folder.run(&args)
}

fn summary(ran: &Ran) -> Value {
    ran.records().pop().expect("a summary")
}

/// The ways in which cases failed.
fn ways(summary: &Value) -> Vec<String> {
    let ways = summary["ways"].as_array().unwrap().iter();
    ways.map(|way| way["identity"].as_str().unwrap().to_owned())
        .collect()
}

/// Writes down all ways in which a bug shows, until nothing is left.
fn all_ways(folder: &Folder, bug: &str) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..8 {
        folder.file("known.txt", all.join("\n"));
        let args = ["--bug", bug, "--known", "known.txt", "--fresh"];
        let found = ways(&summary(&run(folder, &args)));
        if found.is_empty() {
            return all;
        }
        all.extend(found);
    }
    panic!("{bug} shows in ever more ways: {all:?}");
}

#[test]
fn what_is_known_is_masked_and_counted_and_another_bug_is_found_behind_it() {
    let folder = Folder::new();
    let first = all_ways(&folder, "undo-forward");
    assert!(!first.is_empty());
    let other = ways(&summary(&run(&folder, &["--bug", "growth-is-not-marked"])));
    let new = other.iter().find(|way| !first.contains(way));
    let new = new.expect("it shows in a way of its own");

    // One of them no longer shows, nor does it count against the campaign.
    let list = format!("# known\n{}\nno-crash at tick\n", first.join("\n"));
    folder.file("known.txt", list);
    let known = ["--known", "known.txt", "--bug", "undo-forward"];
    let ran = run(&folder, &known);
    assert_eq!(ran.code, 0, "{}", ran.out);
    let record = summary(&ran);
    assert_eq!(record["failed"], 0);
    let seen = |index: usize| record["known"][index]["seen"].as_u64().unwrap();
    assert!((0..first.len()).all(|index| seen(index) > 0), "{record}");
    assert_eq!(seen(first.len()), 0);
    assert_eq!(record["known"][first.len()]["line"], first.len() + 2);
    let again = record["again"].as_str().unwrap();
    assert!(again.contains("--known known.txt"), "{again}");

    let both: Vec<&str> = known
        .into_iter()
        .chain(["--bug", "growth-is-not-marked"])
        .collect();
    let ran = run(&folder, &both);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let found = ways(&summary(&ran));
    assert!(found.contains(new), "{new}: {found:?}");
    assert!(found.iter().all(|way| !first.contains(way)), "{found:?}");
}

#[test]
fn what_no_longer_shows_is_told() {
    let folder = Folder::new();
    folder.file("known.txt", "\nrestore-exact at check\n");
    let ran = folder.run(&["run", "--cases", "20", "--known", "known.txt"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let said = "restore-exact at check: no longer shows, known.txt:2 can go";
    assert!(ran.out.contains(said), "{}", ran.out);
}

#[test]
fn a_broken_list_is_refused_with_its_line() {
    let folder = Folder::new();
    folder.file("known.txt", "# one\nrestore-exakt at check\n");
    let ran = folder.run(&["run", "--cases", "20", "--known", "known.txt"]);
    assert_eq!(ran.code, 2);
    let said = "known.txt:2: nothing is called `restore-exakt`; did you mean `restore-exact`?";
    assert!(ran.err.contains(said), "{}", ran.err);
    let ran = folder.run(&["run", "--cases", "20", "--known", "missing.txt"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot read missing.txt"), "{}", ran.err);
    // Nothing was begun.
    assert!(!folder.path().join("blkproof-out/campaign.json").exists());
}

#[test]
fn a_campaign_goes_on_with_what_it_knew_only() {
    let folder = Folder::new();
    folder.file("known.txt", "restore-exact at check\n");
    let long = [
        "run",
        "--cases",
        "1000000",
        "--jobs",
        "1",
        "--known",
        "known.txt",
    ];
    let mut child = folder.command(&long).stdout(Stdio::null()).spawn().unwrap();
    let state = folder.path().join("blkproof-out/campaign.json");
    let start = Instant::now();
    while !state.exists() && start.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    folder.file("known.txt", "restore-exact at backup\n");
    let ran = folder.run(&["run", "--resume"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("--known"), "{}", ran.err);
}
