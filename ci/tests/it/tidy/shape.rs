//! Rules about packages and the top folder.

use serde_json::Value;

/// More than one integration test binary, or one that is not called `it`. Each binary links the
/// whole world again; modules of one are as good.
pub(super) fn integration_binaries(package: &Value) -> Vec<String> {
    let targets = package["targets"].as_array().into_iter().flatten();
    let tests = targets.filter(|target| target["kind"][0] == "test" && target["name"] != "it");
    tests
        .map(|target| {
            format!(
                "{}: tests/{} is not in tests/it",
                text(package),
                text(target)
            )
        })
        .collect()
}

fn text(named: &Value) -> &str {
    named["name"].as_str().unwrap_or_default()
}

/// Whether a manifest takes the lints of the workspace over.
pub(super) fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true")
}

/// Whether a manifest repeats the lints of the workspace, but that it only denies unsafe code: one
/// file may have to implement unsafe methods of somebody else's trait, and says so.
pub(super) fn repeats_lints(manifest: &str, workspace: &str) -> bool {
    let lints = |text: &str, prefix: &str| {
        let mut inside = false;
        let mut lines = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                inside = line.starts_with(prefix);
            } else if inside && line.contains('=') {
                lines.push(line.to_owned());
            }
        }
        lines
    };
    let wanted = lints(workspace, "[workspace.lints.").into_iter();
    let denied = |line: String| line.replace("unsafe_code = \"forbid\"", "unsafe_code = \"deny\"");
    let wanted: Vec<_> = wanted.map(denied).collect();
    !wanted.is_empty() && lints(manifest, "[lints.") == wanted
}

/// What may lie at the top beside dotfiles.
const TOP: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "core",
    "fuzz",
    "proptests",
    "corpora",
    "ci",
];

/// What git ignores, because builds and campaigns make it.
const MADE: [&str; 2] = ["target", "blkproof-out"];

/// Names that should not be at the top.
pub(super) fn strangers_at_the_top(names: impl Iterator<Item = String>) -> Vec<String> {
    let known = |name: &str| TOP.contains(&name) || MADE.contains(&name);
    let strangers = names.filter(|name| !name.starts_with('.') && !known(name));
    strangers
        .map(|name| format!("{name} does not belong at the top"))
        .collect()
}

#[test]
fn strangers_at_the_top_are_found() {
    let names = ["core", ".ci", "target", "notes.txt", "src"].map(str::to_owned);
    let want = [
        "notes.txt does not belong at the top",
        "src does not belong at the top",
    ];
    assert_eq!(strangers_at_the_top(names.into_iter()), want);
}

#[test]
fn a_second_test_binary_is_found() {
    let package = serde_json::json!({"name": "p", "targets": [
        {"kind": ["lib"], "name": "p"},
        {"kind": ["test"], "name": "it"},
        {"kind": ["test"], "name": "other"},
    ]});
    assert_eq!(
        integration_binaries(&package),
        ["p: tests/other is not in tests/it"]
    );
}

#[test]
fn a_manifest_without_the_lints_is_found() {
    assert!(inherits_lints(
        "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n"
    ));
    assert!(!inherits_lints("[package]\nname = \"x\"\n"));
    assert!(!inherits_lints("[lints]\nrust = {}\n"));
}

#[test]
fn lints_that_are_repeated_are_all_there() {
    let workspace = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\na = \"warn\"\n";
    let all = "[lints.rust]\nunsafe_code = \"deny\"\na = \"warn\"\n\n[other]\nb = 1\n";
    assert!(repeats_lints(all, workspace));
    assert!(!repeats_lints(
        &all.replace("a = \"warn\"\n", ""),
        workspace
    ));
    assert!(!repeats_lints(
        &all.replace("\"deny\"", "\"allow\""),
        workspace
    ));
    assert!(!repeats_lints("", "[workspace]\n"));
}
