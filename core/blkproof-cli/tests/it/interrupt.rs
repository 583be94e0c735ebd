//! Campaigns that are interrupted, by a signal or harder, and what becomes of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Folder, Ran};

/// A campaign that takes a while, and in which cases fail in some ways.
const FAILING: [&str; 9] = [
    "run",
    "--json",
    "--seed",
    "7",
    "--cases",
    "1500",
    "--bug",
    "undo-forward",
    "--stats",
];

/// What a campaign comes to, without what may differ between two ways to the same end.
fn result(ran: &Ran) -> Value {
    let mut summary = ran.records().pop().expect("a summary");
    assert_eq!(summary["type"], "summary", "{summary}");
    let fields = summary.as_object_mut().unwrap();
    fields.remove("seconds");
    fields.remove("again");
    for way in fields["ways"].as_array_mut().unwrap() {
        let kept = way.as_object_mut().unwrap().remove("kept").unwrap();
        assert!((1..=3).contains(&kept.as_array().unwrap().len()));
    }
    summary
}

fn coverage(ran: &Ran) -> Value {
    let mut records = ran.records().into_iter();
    let coverage = records.find(|record| record["type"] == "coverage");
    coverage.expect("what was reached")
}

/// A number that follows from a seed.
fn chance(seed: &mut u64, below: u64) -> u64 {
    *seed = seed
        .wrapping_mul(0x5851_f42d_4c95_7f2d)
        .wrapping_add(0x1405_7b7e_f767_814f);
    (*seed >> 33) % below
}

/// Every file of a folder with what it holds; what was being written when somebody was killed is
/// no file yet.
fn files(folder: &Folder, name: &str) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder.path().join(name)) else {
        return BTreeMap::new();
    };
    let files = entries.map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    files.filter(|(name, _)| name.ends_with(".blk")).collect()
}

/// The judged cases that a campaign has written down.
fn cases_written_down(folder: &Folder) -> u64 {
    let text = fs::read_to_string(folder.path().join("blkproof-out/campaign.json"));
    text.map_or(0, |text| {
        let state: Value = serde_json::from_str(&text).expect("it is there whole or not at all");
        state["course"]["totals"]["cases"].as_u64().unwrap()
    })
}

#[test]
fn a_campaign_that_is_killed_again_and_again_ends_as_one_that_is_left_alone() {
    let start = Instant::now();
    let alone = Folder::new().run(&FAILING).exits(1);
    // Killed at the latest after a quarter of what it takes, it is killed several times.
    let latest = u64::try_from(start.elapsed().as_millis() / 4).unwrap();
    let wanted = result(&alone);
    assert!(wanted["failed"].as_u64().unwrap() >= 3, "{wanted}");

    let folder = Folder::new();
    let mut seed = 2;
    let mut kills = 0;
    let ran = loop {
        // Threads in turns: nothing depends on their number.
        let jobs = if kills % 2 == 0 { "1" } else { "3" };
        let mut command = folder.command(&FAILING);
        command.args(["--jobs", jobs]);
        let before = files(&folder, "blkproof-out");
        let written = cases_written_down(&folder);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Reads what it prints, so that it never waits for somebody to read.
        let mut out = child.stdout.take().unwrap();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        if kills < 12 {
            thread::sleep(Duration::from_millis(chance(&mut seed, latest.max(1))));
            // SIGKILL; where it has ended already, nothing happens.
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let text = reader.join().unwrap();
        // No failure that was found is lost, and nothing that was judged is forgotten.
        let after = files(&folder, "blkproof-out");
        for (name, text) in &before {
            if !name.ends_with(".min.blk") {
                assert_eq!(after.get(name), Some(text), "{name}");
            }
        }
        if let Some(code) = output.status.code() {
            let err = String::from_utf8(output.stderr).unwrap();
            break Ran {
                code,
                out: text,
                err,
            }
            .exits(1);
        }
        assert!(cases_written_down(&folder) >= written);
        kills += 1;
    };
    assert!(kills >= 3, "{kills} kills");
    let mut told = result(&ran);
    told["jobs"] = wanted["jobs"].clone();
    assert_eq!(told, wanted);
    assert_eq!(coverage(&ran), coverage(&alone));
    // It is over: nothing is left of its state, and of each way at most three whole cases.
    let names: Vec<String> = fs::read_dir(folder.path().join("blkproof-out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!names.contains(&"campaign.json".to_owned()), "{names:?}");
    let bad = names.iter().find(|name| name.ends_with(".tmp"));
    assert_eq!(bad, None);
}

/// A campaign that is running, and has judged some cases.
fn started(folder: &Folder, args: &[&str]) -> Child {
    started_into(folder, args, Stdio::piped())
}

/// A pipe that takes a few pages more, of the sixteen that pipes have.
#[cfg(unix)]
fn nearly_full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    use std::io::Write as _;

    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'\n'; 14 * 4096]).unwrap();
    (reader, writer)
}

fn started_into(folder: &Folder, args: &[&str], out: Stdio) -> Child {
    let mut command = folder.command(args);
    let mut child = command.stdout(out).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while cases_written_down(folder) == 0 {
        assert!(
            Instant::now() < deadline,
            "it never writes down how far it is"
        );
        assert_eq!(child.try_wait().unwrap(), None, "it ended at once");
        thread::sleep(Duration::from_millis(20));
    }
    child
}

#[cfg(unix)]
pub(crate) fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_campaign_with_its_summary_and_the_printed_command_goes_on() {
    const CASES: &str = "1000000";
    for signal in ["-INT", "-TERM"] {
        let folder = Folder::new();
        let child = started(&folder, &["run", "--cases", CASES, "--profile", "small"]);
        send(&child, signal);
        let ran = Ran::of(&child.wait_with_output().unwrap()).exits(130);
        assert!(ran.err.contains("once more ends at once"), "{}", ran.err);
        let said = "interrupted; everything held so far\ngo on from here: blkproof run --resume\n";
        assert!(ran.out.contains(said), "{}", ran.out);
        let judged = cases_written_down(&folder);
        assert!(judged > 0);

        // Fewer than are judged already is another campaign.
        let fewer = ["run", "--resume", "--cases", "1"];
        let refused = folder.run(&fewer).exits(2);
        assert!(
            refused.err.contains("cases, more than are asked for"),
            "{}",
            refused.err
        );

        // The end may change on the way; everything else is as it was.
        let cases = (judged + 100).to_string();
        let went_on = folder
            .run(&["run", "--resume", "--json", "--cases", &cases])
            .exits(0);
        assert!(
            went_on.err.contains("going on with the campaign"),
            "{}",
            went_on.err
        );
        let same = ["run", "--json", "--cases", &cases, "--profile", "small"];
        let alone = Folder::new().run(&same).exits(0);
        assert_eq!(result(&went_on), result(&alone));
        let left = fs::read_dir(folder.path().join("blkproof-out")).unwrap();
        assert_eq!(left.count(), 0, "nothing is left behind");
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_the_program_at_once() {
    let folder = Folder::new();
    // What was reached is more than the pipe takes: nobody reads, and the program waits.
    let args = ["run", "--json", "--stats", "--cases", "1000000"];
    let (_reader, out) = nearly_full_pipe();
    let mut child = started_into(&folder, &args, out.into());
    while cases_written_down(&folder) < 300 {
        thread::sleep(Duration::from_millis(20));
    }
    send(&child, "-INT");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(child.try_wait().unwrap(), None, "it waits for its reader");
    send(&child, "-INT");
    let deadline = Instant::now() + Duration::from_secs(10);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "the second signal does nothing");
        thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(130));
    // What was judged until the first one is written down.
    assert!(cases_written_down(&folder) >= 300);
}

/// An interrupted campaign with the seed 7 and the profile `small`.
fn interrupted() -> Folder {
    let folder = Folder::new();
    let args = [
        "run",
        "--cases",
        "1000000",
        "--seed",
        "7",
        "--profile",
        "small",
    ];
    let mut child = started(&folder, &args);
    child.kill().unwrap();
    child.wait().unwrap();
    folder
}

#[test]
fn an_interrupted_campaign_is_not_given_up_for_another_one() {
    let folder = interrupted();
    let path = folder.path().join("blkproof-out/campaign.json");
    let state = fs::read_to_string(&path).unwrap();
    for (args, said) in [
        (&["--profile", "small"][..], "its seed is 7, not 124"),
        (&["--seed", "8", "--resume"], "its seed is 7, not 8"),
        (&["--seed", "7"], "its profile is small, not all"),
        (&["--shard", "1/2", "--resume"], "its shard is 1/1, not 1/2"),
        (&["--stats", "--resume"], "it began without --stats"),
        (
            &["--bug", "undo-forward", "--resume"],
            "its seeded bug is none, not undo-forward",
        ),
    ] {
        let args: Vec<&str> = ["run", "--cases", "2000000"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        let ran = folder.run(&args).exits(2);
        assert!(
            ran.err
                .contains("blkproof-out/campaign.json: another campaign was interrupted here: "),
            "{}",
            ran.err
        );
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
        assert!(ran.err.contains("--fresh gives it up"), "{}", ran.err);
        assert_eq!(ran.out, "");
        assert_eq!(fs::read_to_string(&path).unwrap(), state);
    }
}

#[test]
fn what_another_version_or_build_left_is_refused_or_given_up_aloud() {
    let folder = interrupted();
    let path = folder.path().join("blkproof-out/campaign.json");
    let state = fs::read_to_string(&path).unwrap();
    let other = state.replacen("\"version\":\"", "\"version\":\"9.", 1);
    fs::write(&path, &other).unwrap();
    for args in [&["run", "--resume"][..], &["run"]] {
        let ran = folder.run(args).exits(2);
        assert!(
            ran.err.contains("left this campaign, this is blkproof"),
            "{}",
            ran.err
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
    let build = state.find("\"build\":\"").unwrap() + 9;
    let other = format!("{}0000{}", &state[..build], &state[build + 4..]);
    fs::write(&path, &other).unwrap();
    let ran = folder.run(&["run", "--resume"]).exits(2);
    assert!(
        ran.err
            .contains("another build of blkproof left this campaign"),
        "{}",
        ran.err
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), other);
    // The same command begins anew then, and says so.
    let same = ["run", "--cases", "40", "--seed", "7", "--profile", "small"];
    let ran = folder.run(&same).exits(0);
    assert!(ran.err.contains("it begins anew"), "{}", ran.err);

    // On demand, it is given up.
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &state).unwrap();
    folder.run(&["run", "--cases", "1", "--fresh"]).exits(0);
    assert!(!path.exists());
    let ran = folder.run(&["run", "--resume"]).exits(2);
    assert!(
        ran.err
            .contains("no campaign was interrupted here: blkproof-out/campaign.json"),
        "{}",
        ran.err
    );
}

#[test]
fn a_damaged_state_is_bad_input() {
    let folder = interrupted();
    folder.file(
        "blkproof-out/campaign.json",
        "{\"format\": 1, \n \"version\": ",
    );
    let ran = folder.run(&["run", "--resume"]).exits(2);
    let said = "blkproof-out/campaign.json: expected the state of a campaign: EOF while parsing";
    assert!(ran.err.contains(said), "{}", ran.err);
    assert!(ran.err.contains("at line 2"), "{}", ran.err);
}

#[test]
fn two_campaigns_do_not_share_a_folder() {
    let folder = Folder::new();
    let mut child = started(&folder, &["run", "--cases", "1000000"]);
    let ran = folder
        .run(&["run", "--cases", "1000000", "--resume"])
        .exits(3);
    assert!(
        ran.err.contains("another campaign uses blkproof-out"),
        "{}",
        ran.err
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The most memory that a process has held so far, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.unwrap().trim().trim_end_matches(" kB");
    kib.parse().unwrap()
}

/// Memory follows the largest scenario, not the number of them: a thousand more cases hold no more
/// but for a larger one among them. What one case leaves behind, 3,000 leave as several MiB.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_cases() {
    let folder = Folder::new();
    let args = [
        "run",
        "--cases",
        "1000000",
        "--jobs",
        "1",
        "--profile",
        "small",
    ];
    let mut child = started(&folder, &args);
    let wait_for = |cases| {
        let deadline = Instant::now() + Duration::from_secs(300);
        while cases_written_down(&folder) < cases {
            assert!(Instant::now() < deadline, "{cases} cases take so long");
            thread::sleep(Duration::from_millis(20));
        }
    };
    wait_for(1000);
    let early = peak_memory(&child);
    wait_for(4000);
    let late = peak_memory(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(late <= early + 8 * 1024, "{early} KiB became {late} KiB");
    assert!(late <= 64 * 1024, "{late} KiB");
}
