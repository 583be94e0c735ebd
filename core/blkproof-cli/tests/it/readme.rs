//! The README says what is so: its scenarios, its commands and what they print.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::{Folder, Ran, without_counts};

/// A block of code, with the name that a comment before it gives.
struct Block {
    file: Option<String>,
    language: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut file = None;
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("<!-- file: ") {
            file = name.strip_suffix(" -->").map(str::to_owned);
        } else if let Some(language) = line.strip_prefix("```") {
            let body = lines.by_ref().take_while(|line| *line != "```");
            blocks.push(Block {
                file: file.take(),
                language: language.to_owned(),
                text: body.map(|line| format!("{line}\n")).collect(),
            });
        }
    }
    blocks
}

fn readme() -> Vec<Block> {
    blocks(&fs::read_to_string(root().join("README.md")).unwrap())
}

/// The commands of all blocks that show a terminal, each with what it prints.
fn commands() -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for block in readme().iter().filter(|block| block.language == "console") {
        for line in block.text.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => commands.push((command.to_owned(), String::new())),
                None => {
                    let shown = &mut commands.last_mut().expect("a command first").1;
                    shown.push_str(line);
                    shown.push('\n');
                }
            }
        }
    }
    commands
}

#[test]
fn every_command_prints_what_is_shown() {
    let folder = Folder::new();
    for block in readme() {
        if let Some(name) = &block.file {
            folder.file(name, &block.text);
        }
    }
    let mut seen = 0;
    for (command, shown) in commands() {
        if let Some(args) = command.strip_prefix("blkproof ") {
            let args: Vec<&str> = args.split_whitespace().collect();
            let ran = folder.run(&args);
            let out = without_counts(&ran.out);
            assert_eq!(out, without_counts(&shown), "{command}\n{}", ran.err);
            seen += 1;
        }
    }
    assert!(seen >= 2, "the README shows commands");
}

#[test]
fn every_scenario_is_canonical() {
    let folder = Folder::new();
    let files = readme()
        .into_iter()
        .filter_map(|block| Some((block.file?, block.text)));
    let names: Vec<String> = files
        .map(|(name, text)| {
            folder.file(&name, text);
            name
        })
        .collect();
    assert!(!names.is_empty());
    let args: Vec<&str> = ["fmt", "--check"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .collect();
    folder.run(&args).exits(0);
}

/// What stays the same from run to run: the labels, and the other lines but for their numbers.
fn shape(output: &str) -> Vec<String> {
    // Whether there is a case of no account depends on which ones are judged.
    let steady = |line: &&str| !line.starts_with("  of no account");
    let lines = output.lines().filter(steady).map(|line| {
        if line.starts_with("  ") {
            return line.chars().take(21).collect();
        }
        let line = line.replace("target/release/", "");
        let words = line.split(' ').map(|word| {
            let is_number = word.chars().all(|c| c.is_ascii_digit());
            if is_number { "N" } else { word }
        });
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect()
}

#[test]
fn the_first_run_looks_as_shown() {
    let (_, shown) = commands()
        .into_iter()
        .find(|(command, _)| command == "cargo run --release")
        .expect("the README begins with a run");
    let folder = Folder::new();
    let out = folder.path().join("out");
    let mut command = folder.command(&["run", "--cases", "50", "--out"]);
    let output = command.arg(out).current_dir(root()).output().unwrap();
    let ran = Ran::of(&output).exits(0);
    assert_eq!(shape(&ran.out), shape(&shown));
}

#[test]
fn every_path_that_is_named_is_there() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let mut seen = 0;
    for link in text.split("](").skip(1) {
        let target = link.split(')').next().unwrap();
        if !target.starts_with("http") && !target.starts_with('#') {
            assert!(root().join(target).exists(), "{target}");
            seen += 1;
        }
    }
    assert!(seen > 0, "the README links to files");
}
