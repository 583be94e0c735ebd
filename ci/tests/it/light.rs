//! The library stays light: whoever adds it to a crate builds little, and features only add.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::repository::root;

/// What is built with `blkproof` besides its own crates, where no feature is chosen. What comes to
/// this list has to be worth it; core/ARCHITECTURE.md says why the others are.
const BUILT_WITH_IT: [&str; 15] = [
    "annotate-snippets",
    "anstyle",
    "bitflags",
    "block-buffer",
    "cfg-if",
    "cpufeatures",
    "crypto-common",
    "digest",
    "hybrid-array",
    "linux-raw-sys",
    "rustix",
    "sha2",
    "strsim",
    "typenum",
    "unicode-width",
];

/// The combinations of features that have to build: none, each, all.
const FEATURES: [&str; 5] = [
    "",
    "arbitrary",
    "proptest",
    "quickcheck",
    "arbitrary,proptest,quickcheck",
];

fn cargo(args: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO"))
        .args(args)
        .current_dir(root())
        .output()
        .expect("cargo starts");
    let text = |bytes| String::from_utf8(bytes).expect("cargo prints text");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "cargo {}: {err}", args.join(" "));
    (out, err)
}

/// The crates that `cargo tree` lists, without those of this repository.
fn others(tree: &str) -> BTreeSet<&str> {
    let foreign = tree.lines().filter(|line| !line.contains('/'));
    foreign
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn whoever_adds_the_library_builds_these_crates_and_no_more() {
    let args = ["tree", "--package", "blkproof", "--edges", "normal"];
    let target = ["--target", "x86_64-unknown-linux-gnu", "--prefix", "none"];
    let (tree, _) = cargo(&[&args[..], &target[..]].concat());
    let known = BTreeSet::from(BUILT_WITH_IT);
    assert_eq!(others(&tree), known);
}

#[test]
fn each_feature_builds_alone_and_with_the_others() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("features");
    let target = target.display().to_string();
    for features in FEATURES {
        let args = ["check", "--package", "blkproof", "--lib", "--features"];
        let (_, err) = cargo(&[&args[..], &[features, "--target-dir", &target]].concat());
        assert!(!err.contains("warning"), "{features}: {err}");
    }
}

#[test]
fn crates_of_the_repository_are_told_from_others() {
    let tree = "blkproof v0.1.0 (/somewhere/blkproof)\nsha2 v0.11.1\ncfg-if v1.0.5\nsha2 v0.11.1\n";
    assert_eq!(others(tree), BTreeSet::from(["cfg-if", "sha2"]));
}
