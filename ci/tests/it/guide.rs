//! The guide says what is so: a new crate that follows it by copy and paste sees what it shows.

use std::fs;
use std::path::Path;

use crate::fixtures::Crate;
use crate::repository::root;

/// A block of code of the guide.
struct Block {
    /// The file that a comment before it names.
    file: Option<String>,
    language: String,
    text: String,
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
                text: body.map(|line| format!("{line}\n")).collect(),
                file: file.take(),
                language: language.to_owned(),
            });
        }
    }
    blocks
}

/// Makes the crate that the guide has one make, with what has to be copied from it.
fn follow(blocks: &[Block]) -> Crate {
    let crate_ = Crate::empty("my-backup");
    let manifest = "[package]\nname = \"my-backup\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    crate_.write("Cargo.toml", &format!("{manifest}\n[workspace]\n"));
    crate_.write("src/lib.rs", "");
    let lock = fs::read_to_string(root().join("ci/fixtures/own-engine/Cargo.lock"));
    let lock = lock.expect("the versions that are there");
    crate_.write("Cargo.lock", &lock.replace("own-engine", "my-backup"));
    let core = root().join("core").display().to_string();
    for block in blocks {
        let Some(file) = &block.file else { continue };
        let text = block.text.replace("../blkproof/core", &core);
        let before = fs::read_to_string(crate_.folder().join(file)).unwrap_or_default();
        let text = match file.as_str() {
            "Cargo.toml" => format!("{before}\n{text}"),
            _ => text,
        };
        crate_.write(file, &text);
    }
    crate_
}

/// Replaces lines of a file as a diff says.
fn patch(file: &Path, diff: &str) {
    let lines = |sign: char| -> String {
        let lines = diff.lines().filter_map(|line| line.strip_prefix(sign));
        lines.map(|line| format!("{line}\n")).collect()
    };
    let text = fs::read_to_string(file).expect("a file of the guide");
    let (wrong, right) = (lines('-'), lines('+'));
    assert_eq!(text.matches(&wrong).count(), 1, "{wrong}");
    fs::write(file, text.replace(&wrong, &right)).expect("it is repaired");
}

#[test]
fn whoever_follows_the_guide_sees_what_it_shows() {
    let guide = fs::read_to_string(root().join("core/blkproof/GUIDE.md")).expect("the guide");
    let blocks = blocks(&guide);
    let of = |language: &str| {
        let mut found = blocks.iter().filter(|block| block.language == language);
        let block = found.next().expect("the guide has one");
        assert!(found.next().is_none(), "the guide has one {language}");
        &block.text
    };
    let mine = follow(&blocks);
    let command = of("console").trim().trim_start_matches("$ ").to_owned();
    assert_eq!(command, "cargo test");
    let offline = format!("CARGO_NET_OFFLINE=true {command}");
    let found = mine.shell(&offline);
    assert!(!found.passed, "the bug was not found: {found:?}");
    let shown = of("text");
    assert!(
        found.out.contains(shown),
        "shown:\n{shown}\nseen:\n{}",
        found.out
    );

    // The command that it prints fails in the same way.
    let replay = shown
        .lines()
        .find_map(|line| line.split_once("replay it: "));
    let (_, replay) = replay.expect("a command");
    let replayed = mine.shell(replay);
    assert!(!replayed.passed, "{replayed:?}");
    let report = shown.split("blkproof 1\n").next().expect("a report");
    assert!(replayed.out.contains(report), "{}", replayed.out);

    // What the table of variables says.
    let few = mine.shell("BLKPROOF_SEED=0x7c BLKPROOF_CASES=3 cargo test");
    assert!(
        few.out.contains("seed1-case0.blk:8: restore-exact"),
        "what was kept: {few:?}"
    );
    let slip = mine.shell("BLKPROOF_TIMEOUT=soon cargo test");
    let said = "BLKPROOF_TIMEOUT=soon: expected a number of seconds, at least 1, or `off`";
    assert!(!slip.passed && slip.out.contains(said), "{slip:?}");

    // The repair repairs it; the kept scenario and others hold.
    patch(&mine.folder().join("tests/backups.rs"), of("diff"));
    for line in [
        &*offline,
        replay,
        "BLKPROOF_TIMEOUT=off BLKPROOF_CASES=500 cargo test",
    ] {
        let ran = mine.shell(line);
        assert!(ran.passed, "{line}: {ran:?}");
    }
}

#[test]
fn what_is_named_as_a_variable_is_one() {
    let guide = fs::read_to_string(root().join("core/blkproof/GUIDE.md")).expect("the guide");
    let source = root().join("core/blkproof/src/check/surroundings.rs");
    let source = fs::read_to_string(source).expect("what reads them");
    let mut named = 0;
    for variable in ["CASES", "SEED", "REPLAY", "TIMEOUT"] {
        let name = format!("BLKPROOF_{variable}");
        assert!(source.contains(&format!("\"{name}\"")), "{name}");
        assert!(guide.contains(&format!("| `{name}=")), "{name}");
        named += 1;
    }
    assert_eq!(source.matches("variable(\"BLKPROOF_").count(), named);
}
