//! The crates depend on each other only in the directions that the architecture draws.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::repository::{Token, files, packages, root, shown, tokens};

/// Each crate with all the crates of this repository that it may depend on, for whatever purpose.
/// An edge that is not in core/ARCHITECTURE.md must not be here either.
const MAY_DEPEND_ON: [(&str, &[&str]); 10] = [
    ("blkproof-spec", &[]),
    ("blkproof-device", &["blkproof-spec"]),
    ("blkproof", &["blkproof-spec", "blkproof-device"]),
    ("blkproof-qcow2", &["blkproof-spec", "blkproof-device"]),
    ("blkproof-qemu", &["blkproof-spec", "blkproof-device"]),
    (
        "blkproof-engine",
        &[
            "blkproof-spec",
            "blkproof-device",
            "blkproof-qcow2",
            "blkproof",
        ],
    ),
    (
        "blkproof-cli",
        &[
            "blkproof-spec",
            "blkproof-device",
            "blkproof-qcow2",
            "blkproof-engine",
            "blkproof-qemu",
            "blkproof",
        ],
    ),
    (
        "proptests",
        &[
            "blkproof-spec",
            "blkproof-device",
            "blkproof-qcow2",
            "blkproof-engine",
            "blkproof-qemu",
            "blkproof",
        ],
    ),
    (
        "formats",
        &[
            "blkproof-spec",
            "blkproof-device",
            "blkproof-qcow2",
            "blkproof-engine",
            "blkproof",
        ],
    ),
    ("ci", &[]),
];

/// What is wrong with the edges of the packages, as sentences.
fn wrong_edges(packages: &[Value]) -> Vec<String> {
    let allowed = BTreeMap::from(MAY_DEPEND_ON);
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a package has a name");
        let Some(allowed) = allowed.get(name) else {
            wrong.push(format!("the crate {name} is not in the architecture"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let target = dependency["name"]
                .as_str()
                .expect("a dependency has a name");
            let kind = dependency["kind"].as_str().unwrap_or("normal");
            let ours = !dependency["path"].is_null();
            if ours && !allowed.contains(&target) {
                wrong.push(format!("{name} must not depend on {target} ({kind})"));
            }
            if name == "blkproof-spec" {
                wrong.push(format!(
                    "{name} has no dependencies, found {target} ({kind})"
                ));
            }
        }
    }
    wrong
}

/// Whether a source names the harness as a crate.
fn imports_harness(tokens: &[Token]) -> bool {
    let at = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    (0..tokens.len()).any(|index| {
        let before = index.checked_sub(1).map_or("", &at);
        let path = at(index + 1) == ":" && at(index + 2) == ":";
        at(index) == "blkproof" && (path || before == "use" || before == "crate")
    })
}

#[test]
fn crates_depend_only_where_the_architecture_says() {
    let wrong = wrong_edges(&packages(&root().join("Cargo.toml")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn two_files_of_the_engine_know_the_harness() {
    let sources = files(&root().join("core/blkproof-engine/src"));
    let importing: Vec<_> = sources
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .filter(|file| {
            let text = std::fs::read_to_string(file).expect("a source");
            imports_harness(&tokens(&text))
        })
        .map(|file| shown(file))
        .collect();
    let seam = ["inspector.rs", "seam.rs"].map(|file| format!("core/blkproof-engine/src/{file}"));
    assert_eq!(importing, seam, "the subject and the inspector");
}

#[test]
fn wrong_edges_of_every_kind_are_found() {
    let path = "somewhere";
    let packages = serde_json::json!([
        {"name": "blkproof-device", "dependencies": [
            {"name": "blkproof-spec", "kind": null, "path": path},
            {"name": "blkproof", "kind": "dev", "path": path},
            {"name": "blkproof-engine", "kind": "build", "path": path},
            {"name": "libc", "kind": null, "path": null},
        ]},
        {"name": "blkproof-spec", "dependencies": [
            {"name": "proptest", "kind": "dev", "path": null},
        ]},
        {"name": "blkproof-extra", "dependencies": []},
    ]);
    let want = [
        "blkproof-device must not depend on blkproof (dev)",
        "blkproof-device must not depend on blkproof-engine (build)",
        "blkproof-spec has no dependencies, found proptest (dev)",
        "the crate blkproof-extra is not in the architecture",
    ];
    assert_eq!(wrong_edges(packages.as_array().expect("a list")), want);
}

#[test]
fn every_way_to_import_the_harness_is_seen() {
    for source in [
        "use blkproof::Subject;",
        "use blkproof as harness;",
        "extern crate blkproof;",
        "impl ::blkproof::Subject for X {}",
        "fn f() -> blkproof::Reply { g() }",
    ] {
        assert!(imports_harness(&tokens(source)), "{source}");
    }
    for source in [
        "use blkproof_device::Store;",
        "// use blkproof::X;\nlet blkproof = 1;",
    ] {
        assert!(!imports_harness(&tokens(source)), "{source}");
    }
}
