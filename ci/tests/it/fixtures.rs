//! Crates outside the workspace, as users write them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::repository::root;

/// A crate that is no part of the repository, nor is what its tests leave in it.
pub(crate) struct Crate {
    folder: PathBuf,
    target: PathBuf,
}

/// What a call left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) passed: bool,
    /// Both streams, one behind the other.
    pub(crate) out: String,
}

impl Crate {
    /// Makes an empty one.
    pub(crate) fn empty(name: &str) -> Self {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Always the same place, so that what was built there is not built again; all crates share
        // what was built of blkproof.
        let folder = temporary.join(format!("{name}-copy"));
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("an earlier copy goes");
        }
        fs::create_dir_all(&folder).expect("it is made");
        Self {
            folder,
            target: temporary.join("crates"),
        }
    }

    /// Copies a fixture.
    fn copy(name: &str) -> Self {
        let copy = Self::empty(name);
        let fixture = root().join("ci/fixtures").join(name);
        for file in ["Cargo.toml", "Cargo.lock", "src/lib.rs", "tests/backups.rs"] {
            let text = fs::read_to_string(fixture.join(file)).expect("a file of the fixture");
            let core = root().join("core").display().to_string();
            copy.write(file, &text.replace("../../../core", &core));
        }
        copy
    }

    /// Writes a file of it.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        fs::write(path, text).expect("it is written");
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a line as it is typed into a shell, in the folder of the crate.
    pub(crate) fn shell(&self, line: &str) -> Ran {
        let output = Command::new("sh")
            .args(["-c", line])
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .env_remove("RUST_BACKTRACE")
            .output()
            .expect("a shell");
        Ran {
            passed: output.status.success(),
            out: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        }
    }

    fn kept(&self) -> PathBuf {
        self.folder.join("blkproof-failures/backups_restore")
    }
}

/// The engine of this crate has a bug, which its one test has to find, in a few lines.
#[test]
fn the_bug_of_an_engine_of_ones_own_is_found_kept_and_replayed() {
    let own = Crate::copy("own-engine");
    let found = own.shell("cargo test --locked --test backups");
    assert!(!found.passed, "the bug was not found: {found:?}");
    assert!(found.out.contains("restore-exact at "), "{found:?}");
    assert!(found.out.contains("should hold what step"), "{found:?}");
    let scenario = found.out.split("blkproof 1\n").nth(1).expect("a scenario");
    let scenario = scenario.split("\n\n").next().expect("lines");
    assert!(scenario.lines().count() <= 7, "{found:?}");

    // The printed command replays it.
    let command = found
        .out
        .lines()
        .find_map(|line| line.split_once("replay it: "));
    let (_, command) = command.expect("a command");
    let replayed = own.shell(command);
    assert!(!replayed.passed, "{replayed:?}");
    assert!(replayed.out.contains(scenario), "{command}: {replayed:?}");
    assert_eq!(fs::read_dir(own.kept()).expect("the kept ones").count(), 1);

    // The environment says which cases are made up; a slip is an error.
    for (variable, said) in [
        (
            "BLKPROOF_CASES=many",
            "BLKPROOF_CASES=many: expected a number of cases",
        ),
        (
            "BLKPROOF_SEED=0y1",
            "BLKPROOF_SEED=0y1: expected a number below 2^64",
        ),
        (
            "BLKPROOF_REPLAY=nowhere.blk",
            "cannot read nowhere.blk: No such file",
        ),
    ] {
        let ran = own.shell(&format!("{variable} cargo test --test backups"));
        assert!(!ran.passed, "{ran:?}");
        assert!(ran.out.contains(said), "{variable}: {ran:?}");
    }

    // What is right holds, what was kept too.
    let engine = own.folder.join("src/lib.rs");
    let text = fs::read_to_string(&engine).expect("the engine");
    let wrong = "(offset + data.len() as u64) / BLOCK";
    let right = "(offset + data.len() as u64).div_ceil(BLOCK)";
    assert!(text.contains(wrong), "{text}");
    fs::write(&engine, text.replace(wrong, right)).expect("it is repaired");
    for line in [
        "cargo test",
        "BLKPROOF_SEED=0x7 BLKPROOF_CASES=20 cargo test",
        command,
    ] {
        let ran = own.shell(line);
        assert!(ran.passed, "{line}: {ran:?}");
    }

    // Another seed finds the bug as well, and what was kept before is in nobody's way.
    fs::remove_dir_all(own.kept()).expect("it is removed");
    fs::write(&engine, &text).expect("it is broken again");
    let other = own.shell("BLKPROOF_SEED=9 cargo test --test backups");
    assert!(!other.passed, "{other:?}");
    let file = "blkproof-failures/backups_restore/seed9-case";
    assert!(other.out.contains(file), "{other:?}");
}
