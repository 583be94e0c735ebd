//! What is built from others may be: its licence, where it comes from, and the Rust that it takes.
//!
//! The rules are those of `ci/deny.toml`, so that they hold also where cargo-deny is not installed;
//! what only it knows are the advisories. Of that file, what is read here is a list on one line and
//! the crates that are denied, a line each.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::repository::{root, workspaces};

/// The only place that others' crates come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What only the fuzz targets are built with may have as well: the licence of libFuzzer itself,
/// which asks for no more than MIT does.
const OF_FUZZERS: &str = "NCSA";

/// What `ci/deny.toml` says.
struct Rules {
    licences: BTreeSet<String>,
    denied: BTreeSet<String>,
}

impl Rules {
    fn read() -> Self {
        let text = fs::read_to_string(root().join("ci/deny.toml")).expect("the rules are there");
        let quoted = |line: &str| {
            let parts = line.split('"').skip(1).step_by(2);
            parts.map(str::to_owned).collect::<Vec<_>>()
        };
        let allow = text.lines().find(|line| line.starts_with("allow = ["));
        let denied = text
            .lines()
            .filter(|line| line.trim_start().starts_with("{ crate = "));
        Self {
            licences: quoted(allow.expect("some licences are allowed"))
                .into_iter()
                .collect(),
            denied: denied.flat_map(quoted).collect(),
        }
    }

    /// What is wrong with a package of others, as sentences.
    fn complaints(&self, package: &Value) -> Vec<String> {
        let text = |field: &str| package[field].as_str().unwrap_or_default();
        let named = format!("{} {}", text("name"), text("version"));
        let mut wrong = Vec::new();
        if text("source") != REGISTRY {
            wrong.push(format!("{named} comes from {}", package["source"]));
        }
        if self.denied.contains(text("name")) {
            wrong.push(format!("{named} is denied"));
        }
        let allowed = |licence: &str| self.licences.contains(licence);
        if !satisfied(text("license"), &allowed) {
            wrong.push(format!("{named}: the licence {}", package["license"]));
        }
        let newest = version(env!("CARGO_PKG_RUST_VERSION"));
        if version(text("rust_version")) > newest {
            wrong.push(format!("{named} takes Rust {}", text("rust_version")));
        }
        wrong
    }
}

/// The first two numbers of a version of Rust; nothing where none is said.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Tells whether an SPDX expression can be satisfied by licences that are allowed. An older form
/// has `/` for `OR`.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    any(&mut rest, allowed) && rest.is_empty()
}

/// Parts joined by `OR`, which binds the least.
fn any(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut holds = all(words, allowed);
    while let ["OR", rest @ ..] = words {
        *words = rest;
        // Every part is read, whether or not it still matters.
        holds |= all(words, allowed);
    }
    holds
}

fn all(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut holds = one(words, allowed);
    while let ["AND", rest @ ..] = words {
        *words = rest;
        holds &= one(words, allowed);
    }
    holds
}

fn one(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    match words {
        ["(", rest @ ..] => {
            *words = rest;
            let holds = any(words, allowed);
            match words {
                [")", rest @ ..] => {
                    *words = rest;
                    holds
                }
                _ => false,
            }
        }
        [licence, "WITH", exception, rest @ ..] => {
            let whole = format!("{licence} WITH {exception}");
            *words = rest;
            allowed(&whole)
        }
        [licence, rest @ ..] => {
            let holds = allowed(licence);
            *words = rest;
            holds
        }
        [] => false,
    }
}

/// All packages that a workspace may be built with, on whatever machine.
fn packages(manifest: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--all-features", "--manifest-path", manifest])
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages.clone()
}

#[test]
fn what_others_made_is_free_to_use_and_takes_no_newer_rust() {
    let mut wrong = Vec::new();
    for manifest in workspaces() {
        let mut rules = Rules::read();
        assert!(rules.licences.contains("MIT") && !rules.denied.is_empty());
        if manifest.ends_with("fuzz/Cargo.toml") {
            rules.licences.insert(OF_FUZZERS.to_owned());
        }
        let packages = packages(&manifest.display().to_string());
        let others = packages
            .iter()
            .filter(|package| !package["source"].is_null());
        let mut count = 0;
        for package in others {
            count += 1;
            wrong.extend(rules.complaints(package));
        }
        assert!(count > 10, "{count} packages of {}", manifest.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_package_here_says_what_it_depends_on() {
    let ours = packages(&root().join("Cargo.toml").display().to_string());
    for package in ours.iter().filter(|package| package["source"].is_null()) {
        let dependencies = package["dependencies"].as_array().expect("a list");
        for dependency in dependencies {
            assert_ne!(
                dependency["req"], "*",
                "{}: {}",
                package["name"], dependency["name"]
            );
        }
    }
}

#[test]
fn licences_are_read_as_spdx_means_them() {
    let allowed = |licence: &str| ["MIT", "Zlib", "Apache-2.0 WITH X"].contains(&licence);
    for (expression, holds) in [
        ("MIT", true),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("MIT AND Zlib OR GPL-3.0", true),
        ("GPL-3.0 AND MIT OR GPL-2.0 AND Zlib", false),
        ("(MIT OR GPL-3.0) AND Zlib", true),
        ("MIT AND (GPL-3.0 OR BSD-2-Clause)", false),
        ("Apache-2.0 WITH X AND MIT", true),
        ("Apache-2.0", false),
        ("(MIT", false),
        ("MIT Zlib", false),
        ("", false),
    ] {
        assert_eq!(satisfied(expression, &allowed), holds, "{expression}");
    }
}

#[test]
fn what_is_not_allowed_is_told() {
    let rules = Rules::read();
    let text = r#"{"name": "openssl-sys", "version": "1.0.0", "license": "GPL-3.0",
        "source": "git+https://example.org", "rust_version": "1.999"}"#;
    let package = serde_json::from_str(text).expect("it is JSON");
    let wrong = rules.complaints(&package);
    assert_eq!(wrong.len(), 4, "{wrong:?}");
}
