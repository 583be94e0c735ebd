//! Tidiness is a test and not a habit.
//!
//! Each rule is a function from a source to findings, and each is fed snippets that it must refuse:
//! a rule that finds nothing looks just like a tidy repository.

mod lines;
mod modules;
mod shape;
mod syntax;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::repository::{files, packages, root, shown, workspaces};
use modules::Role;

/// Something untidy on a line.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    line: usize,
    message: String,
}

impl Finding {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

/// The crates whose every run must be the same: no clock, no threads, no chance, no environment.
const DETERMINISTIC: [&str; 6] = [
    "core/blkproof-spec/src",
    "core/blkproof-device/src",
    "core/blkproof-qcow2/src",
    "core/blkproof-engine/src",
    "core/blkproof-qemu/src",
    "core/blkproof/src",
];

/// The files of them that are no part of that: the outer layer, for those who call
/// `blkproof::check`, asks what surrounds a test, and waits for subjects that may never answer.
const OUTER: [&str; 4] = [
    "core/blkproof/src/check/isolated.rs",
    "core/blkproof/src/check/surroundings.rs",
    "core/blkproof/src/check/watch.rs",
    "core/blkproof/src/format/supervised.rs",
];

/// Adds a file's findings to the list that a failing test prints.
fn report(list: &mut Vec<String>, file: &Path, findings: Vec<Finding>) {
    let name = shown(file);
    list.extend(
        findings
            .iter()
            .map(|found| format!("{name}:{}: {}", found.line, found.message)),
    );
}

fn assert_none(list: &[String]) {
    assert!(
        list.is_empty(),
        "{} findings\n{}",
        list.len(),
        list.join("\n")
    );
}

fn extension(file: &Path) -> &str {
    file.extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
}

/// Every target of every workspace is the root of a tree of modules.
fn module_trees() -> BTreeMap<std::path::PathBuf, Role> {
    let mut tree = BTreeMap::new();
    for manifest in workspaces() {
        for package in packages(&manifest) {
            for target in package["targets"].as_array().expect("a list of targets") {
                let file = target["src_path"].as_str().expect("a target has a source");
                let test = target["kind"][0] == "test";
                modules::walk(
                    Path::new(file),
                    if test { Role::Test } else { Role::Code },
                    &mut tree,
                );
            }
        }
    }
    tree
}

#[test]
fn every_line_is_tidy() {
    let mut list = Vec::new();
    for file in files(root()) {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        report(&mut list, &file, lines::machine_paths(&text));
        if matches!(extension(&file), "rs" | "toml") {
            report(&mut list, &file, lines::width(&text));
            report(&mut list, &file, lines::ascii(&text));
        }
        if extension(&file) == "rs" {
            report(&mut list, &file, lines::markers(&text));
        }
    }
    assert_none(&list);
}

#[test]
fn every_source_is_tidy() {
    let mut list = Vec::new();
    for (file, role) in module_trees() {
        let text = fs::read_to_string(&file).expect("a source");
        report(&mut list, &file, syntax::long_functions(&text));
        report(&mut list, &file, syntax::skipped_work(&text));
        if role == Role::Code {
            report(&mut list, &file, syntax::long_file(&text));
        }
        let deterministic = DETERMINISTIC
            .iter()
            .any(|folder| shown(&file).starts_with(folder));
        let deterministic = deterministic && !OUTER.contains(&&*shown(&file));
        if role == Role::Code && deterministic {
            report(&mut list, &file, syntax::chance_and_time(&text));
        }
    }
    assert_none(&list);
}

#[test]
fn every_source_is_reached_as_a_module() {
    let trees = module_trees();
    let fixtures = root().join("ci/fixtures");
    let dead: Vec<_> = files(root())
        .iter()
        .filter(|file| extension(file) == "rs" && !file.starts_with(&fixtures))
        .filter(|file| !trees.contains_key(*file))
        .map(|file| format!("{}: no target reaches it as a module", shown(file)))
        .collect();
    assert_none(&dead);
}

#[test]
fn the_packages_are_tidy() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let mut list = Vec::new();
    for manifest in workspaces() {
        for package in packages(&manifest) {
            list.extend(shape::integration_binaries(&package));
            let file = package["manifest_path"]
                .as_str()
                .expect("a package has a manifest");
            let text = fs::read_to_string(file).expect("a manifest");
            if !shape::inherits_lints(&text) && !shape::repeats_lints(&text, &workspace) {
                list.push(format!(
                    "{}: no [lints] workspace = true",
                    shown(Path::new(file))
                ));
            }
        }
    }
    assert_none(&list);
}

#[test]
fn nothing_new_lies_at_the_top() {
    let entries = fs::read_dir(root()).expect("the top folder");
    let names = entries.map(|entry| {
        let name = entry.expect("an entry").file_name();
        name.into_string().expect("a name in UTF-8")
    });
    assert_none(&shape::strangers_at_the_top(names));
}
