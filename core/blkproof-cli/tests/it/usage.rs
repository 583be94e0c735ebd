//! Help, bad usage, colours, and a reader that goes away.

use std::process::Stdio;

use crate::program::{Folder, Ran};

#[track_caller]
fn help(verb: &[&str]) -> String {
    let args: Vec<&str> = verb.iter().copied().chain(["--help"]).collect();
    let ran = Folder::new().run(&args).exits(0);
    assert_eq!(ran.err, "");
    ran.out
}

#[test]
fn help_of_the_program() {
    insta::assert_snapshot!(help(&[]));
}

#[test]
fn help_of_fmt() {
    insta::assert_snapshot!(help(&["fmt"]));
}

#[test]
fn every_verb_shows_an_example() {
    let verbs = help(&[]);
    let verbs = verbs.split("Commands:\n").nth(1).unwrap();
    let verbs = verbs.lines().take_while(|line| !line.is_empty());
    for verb in verbs.filter_map(|line| line.split_whitespace().next()) {
        if verb != "help" {
            let text = help(&[verb]);
            assert!(
                text.contains(&format!("Example:\n  blkproof {verb}")),
                "{text}"
            );
        }
    }
}

#[test]
fn bad_usage_is_told_on_stderr() {
    let folder = Folder::new();
    for (args, wanted) in [
        (&["fnt", "x"][..], "'fmt'"),
        (&["fmt"], "<PATH>"),
        (&["fmt", "--chek", "x"], "'--check'"),
        (&["properties", "--color", "green"], "auto, always, never"),
        (&["completions", "bosh"], "'bash'"),
    ] {
        let ran = folder.run(args).exits(2);
        assert_eq!(ran.out, "", "{args:?}");
        assert!(ran.err.contains(wanted), "{args:?}\n{}", ran.err);
    }
}

#[test]
fn a_bug_that_is_not_known_is_answered_in_a_few_lines() {
    let folder = Folder::new();
    for (args, hint) in [
        (&["bugs", "nosuch"][..], "`blkproof bugs --list`"),
        (&["run", "--bug", "overwrte"], "'overwrite-is-clean'"),
    ] {
        let ran = folder.run(args).exits(2);
        assert!(ran.err.contains(hint), "{args:?}\n{}", ran.err);
        assert!(ran.err.lines().count() < 10, "not all names:\n{}", ran.err);
    }
}

#[test]
fn paths_that_lead_nowhere_are_bad_input() {
    let folder = Folder::new();
    folder.file("empty/notes.txt", "");
    let ran = folder.run(&["fmt", "missing.blk", "empty"]).exits(2);
    assert_eq!(ran.out, "");
    insta::assert_snapshot!(ran.err);
}

#[test]
fn properties_are_listed_for_people_and_programs() {
    let folder = Folder::new();
    let people = folder.run(&["properties"]).exits(0);
    assert!(
        people.out.starts_with("guest-reads-writes\n    "),
        "{}",
        people.out
    );
    let records = folder.run(&["properties", "--json"]).exits(0).records();
    assert_eq!(records.len(), blkproof_spec::Property::ALL.len());
    for (record, property) in records.iter().zip(blkproof_spec::Property::ALL) {
        assert_eq!(record["type"], "property");
        assert_eq!(record["name"], property.name());
        assert_eq!(record["sentence"], property.sentence());
        assert_eq!(record["when"], property.when());
    }
}

#[test]
fn colours_come_only_when_asked_for_without_a_terminal() {
    let folder = Folder::new();
    let colored = |ran: &Ran| ran.out.contains('\u{1b}');
    assert!(!colored(&folder.run(&["properties"])));
    assert!(colored(&folder.run(&["properties", "--color", "always"])));
    assert!(!colored(&folder.run(&["properties", "--color", "never"])));
}

#[test]
fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Folder::new().run(&["completions", shell]).exits(0);
        assert!(ran.out.contains("properties"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_drama() {
    let folder = Folder::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = folder.command(&["properties"]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn();
    let child = child.unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(3);
    assert_eq!(ran.err, "");
}
