//! `blkproof run`.

use std::fs;

use serde_json::Value;

use crate::program::{Folder, Ran};

const SCENARIO: &str = "blkproof 1\ndisk drive0 1M raw\nwrite drive0 0 512 fill=0x41\n";

/// The record of what a run came to, which is its last.
fn summary(ran: &Ran) -> Value {
    let record = ran.records().pop().expect("a summary");
    assert_eq!(record["type"], "summary");
    record
}

fn judged(folder: &Folder, args: &[&str]) -> Value {
    let args: Vec<&str> = ["run", "--json"].iter().chain(args).copied().collect();
    summary(&folder.run(&args))
}

#[test]
fn the_same_cases_come_out_the_same_whatever_the_number_of_threads() {
    let folder = Folder::new();
    let run = |jobs| judged(&folder, &["--cases", "300", "--seed", "7", "--jobs", jobs]);
    let mut one = run("1");
    let mut four = run("4");
    for summary in [&mut one, &mut four] {
        let summary = summary.as_object_mut().unwrap();
        assert_eq!(summary["cases"], 300);
        summary.remove("jobs");
        summary.remove("seconds");
    }
    assert_eq!(one, four);
}

#[test]
fn another_seed_or_profile_is_another_campaign() {
    let folder = Folder::new();
    let digest = |args: &[&str]| judged(&folder, args)["digest"].clone();
    let first = digest(&["--cases", "40"]);
    assert_eq!(first, digest(&["--cases", "40", "--seed", "124"]));
    assert_ne!(first, digest(&["--cases", "41"]));
    assert_ne!(first, digest(&["--cases", "40", "--seed", "125"]));
    assert_ne!(first, digest(&["--cases", "40", "--profile", "small"]));
}

/// A digest as a number.
fn number(digest: &Value) -> u128 {
    u128::from_str_radix(digest.as_str().unwrap(), 16).unwrap()
}

#[test]
fn the_shards_of_a_campaign_add_up_to_it() {
    let folder = Folder::new();
    let whole = judged(&folder, &["--cases", "90"]);
    let shards =
        ["1/3", "2/3", "3/3"].map(|shard| judged(&folder, &["--cases", "90", "--shard", shard]));
    for field in [
        "cases",
        "steps",
        "writes",
        "backups",
        "twice",
        "comparisons",
    ] {
        let sum: u64 = shards
            .iter()
            .map(|shard| shard[field].as_u64().unwrap())
            .sum();
        assert_eq!(whole[field].as_u64(), Some(sum), "{field}");
    }
    let digests = shards.iter().map(|shard| number(&shard["digest"]));
    assert_eq!(
        digests.fold(0, |all, digest| all ^ digest),
        number(&whole["digest"])
    );
    let again = shards[1]["again"].as_str().unwrap();
    assert!(again.contains("--shard 2/3"), "{again}");
    // That command, with the name that it is called by left out.
    let args: Vec<&str> = again.split(' ').skip(2).collect();
    let again = judged(&folder, &args);
    assert_eq!(again["digest"], shards[1]["digest"]);
}

#[test]
fn of_what_fails_in_the_same_way_a_few_cases_are_kept() {
    let folder = Folder::new();
    let args = [
        "run",
        "--json",
        "--cases",
        "400",
        "--bug",
        "overwrite-is-clean",
    ];
    let summary = summary(&folder.run(&args).exits(1));
    let ways = summary["ways"].as_array().unwrap();
    let most = ways.iter().map(|way| way["cases"].as_u64().unwrap()).max();
    assert!(most > Some(3), "{ways:?}");
    let mut kept = 0;
    for way in ways {
        let files = way["kept"].as_array().unwrap();
        assert!(files.len() as u64 <= way["cases"].as_u64().unwrap().min(3));
        kept += files.len();
        for file in files {
            let file = file.as_str().unwrap();
            assert!(folder.path().join(file).exists(), "{file}");
            folder
                .run(&["replay", file, "--bug", "overwrite-is-clean"])
                .exits(1);
        }
    }
    let files = fs::read_dir(folder.path().join("blkproof-out")).unwrap();
    assert!(files.count() <= kept + ways.len());

    // With one kind of failure it can be enough.
    let args = [&args[..], &["--failures", "1"]].concat();
    let ran = folder.run(&args).exits(1);
    assert!(ran.err.contains("the campaign ended early"), "{}", ran.err);
    assert!(self::summary(&ran)["cases"].as_u64() < Some(400));
}

#[test]
fn a_share_of_the_cases_is_run_twice() {
    let summary = judged(&Folder::new(), &["--cases", "33"]);
    assert_eq!(summary["twice"], 3);
}

/// How many cells stay empty in the campaign below, whose cases are always the same. A generator
/// that reaches less leaves more of them: whoever changes it measures anew, and says why if it is
/// worse. A hundred thousand cases leave none (`--no-holes`, each night).
const HOLES_MAX: usize = 98;

#[test]
fn what_was_reached_agrees_with_what_nothing_can_reach() {
    let folder = Folder::new();
    let args = [
        "run", "--json", "--stats", "--cases", "2000", "--seed", "31",
    ];
    let records = folder.run(&args).exits(0).records();
    let coverage = records
        .iter()
        .find(|record| record["type"] == "coverage")
        .expect("a record of what was reached");
    assert_eq!(coverage["contradictions"], Value::Array(Vec::new()));
    let cells = coverage["cells"].as_array().expect("cells");
    let struck = |cell: &&Value| {
        cell["step"] == "write" && cell["fault"] == "error at a disk" && cell["answer"] == "failed"
    };
    assert!(cells.iter().any(|cell| struck(&cell)));
    // Something of every property is judged.
    let judged = coverage["properties"].as_array().expect("properties");
    let names: Vec<&str> = judged
        .iter()
        .filter_map(|of| of["property"].as_str())
        .collect();
    assert!(
        names.contains(&"deterministic") && names.len() > 20,
        "{names:?}"
    );
    let never = judged.iter().find(|of| of["judged"] == 0);
    assert_eq!(never, None);
    // Faults that have to be got over, always or by a policy, strike disks and other images.
    let struck = coverage["struck"].as_array().expect("faults");
    for (of, budget) in struck.iter().zip(["within", "by-policy", "beyond"]) {
        assert_eq!(of["budget"], budget);
        let count = |place: &str| of[place].as_u64().expect("a count");
        assert!(
            budget == "beyond" || count("disk") > 10 && count("image") > 10,
            "{of}"
        );
    }
    let holes = coverage["holes"].as_array().expect("holes").len();
    assert!(
        holes <= HOLES_MAX,
        "{holes} of {} cells",
        cells.len() + holes
    );
}

#[test]
fn time_only_decides_how_many_cases_are_judged() {
    let folder = Folder::new();
    let timed = judged(&folder, &["--seconds", "0.3"]);
    let cases = timed["cases"].to_string();
    let counted = judged(&folder, &["--cases", &cases]);
    assert_eq!(timed["digest"], counted["digest"]);
    assert_eq!(timed["again"], counted["again"]);
    assert_eq!(timed["seconds_asked"], 0.3);
}

#[test]
fn corpora_are_replayed_first_and_summed_up_by_folder() {
    let folder = Folder::new();
    folder.file("corpora/seed/a.blk", SCENARIO);
    folder.file("corpora/seed/b.blk", SCENARIO);
    folder.file("corpora/own/c.blk", SCENARIO);
    let ran = folder.run(&["run", "--cases", "1", "--profile", "small"]);
    let said = "\
corpora
  own                1 scenario, as it states
  seed               2 scenarios, all as they state

campaign
  seed               124
  profiles           small
";
    assert!(ran.out.starts_with(said), "{}", ran.out);
}

#[test]
fn a_scenario_of_the_corpora_that_fails_fails_the_run() {
    let folder = Folder::new();
    let wrong = "blkproof 1\ndisk drive0 1M raw\nread drive0 0 512 expect=failed(EIO)\n";
    folder.file("mine/a.blk", wrong);
    let ran = folder
        .run(&["run", "--cases", "1", "--corpora", "mine"])
        .exits(1);
    assert!(ran.out.contains("FAIL  mine/a.blk"), "{}", ran.out);
    assert!(
        ran.out.contains("1 scenario, not as it states"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("something did not hold"), "{}", ran.out);
}

#[test]
fn a_broken_scenario_of_the_corpora_is_bad_input() {
    let folder = Folder::new();
    folder.file("corpora/a.blk", "blkproof 1\ndusk\n");
    let ran = folder.run(&["run", "--cases", "1"]).exits(2);
    assert!(ran.err.contains("corpora/a.blk:2:1"), "{}", ran.err);
}

#[test]
fn bad_values_are_named_with_what_is_expected() {
    let folder = Folder::new();
    folder.file("file", "");
    for (args, wanted) in [
        (&["--cases", "0"][..], &["'0'", "--cases <N>"][..]),
        (&["--cases", "many"], &["'many'", "--cases <N>"]),
        (&["--seconds", "-1"], &["--seconds"]),
        (
            &["--seconds=soon"],
            &["'soon'", "--seconds <S>", "such as 60 or 0.5"],
        ),
        (
            &["--seed", "x"],
            &["'x'", "--seed <X>", "hexadecimal after 0x"],
        ),
        (
            &["--profile", "smal"],
            &["'smal'", "--profile <P>", "'small'"],
        ),
        (&["--jobs", "0"], &["'0'", "--jobs <J>"]),
        (
            &["--shard", "3/2"],
            &["'3/2'", "--shard <I/N>", "such as 2/4"],
        ),
        (&["--failures", "0"], &["'0'", "--failures <N>"]),
        (&["--bug", "undo"], &["'undo'", "--bug <NAME>"]),
        (&["--fresh", "--resume"], &["--fresh", "--resume"]),
        (
            &["--cases", "1", "--seconds", "1"],
            &["--cases <N>", "--seconds <S>"],
        ),
        (&["--out", "file"], &["--out file", "expected a folder"]),
        (
            &["--corpora", "file"],
            &["--corpora file", "expected a folder"],
        ),
        (&["--corpora", "missing"], &["cannot read missing"]),
    ] {
        let args: Vec<&str> = ["run"].iter().chain(args).copied().collect();
        let ran = folder.run(&args).exits(2);
        assert_eq!(ran.out, "", "{args:?}");
        for wanted in wanted {
            assert!(ran.err.contains(wanted), "{args:?}: {wanted}\n{}", ran.err);
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn no_verb_is_a_run() {
    let folder = Folder::new();
    folder.file("corpora", "no folder: there is nothing to replay");
    let mut child = folder
        .command(&[])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let expected = b"campaign: judging cases for 10 s\n";
    let mut said = vec![0; expected.len()];
    std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut said).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said, expected);
}
