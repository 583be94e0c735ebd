//! The repository as the tests see it: its files, its crates, its syntax.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use serde_json::Value;

/// The top folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("ci lies in a folder")
}

/// The path as people say it: from the top folder on.
pub(crate) fn shown(file: &Path) -> String {
    file.strip_prefix(root())
        .unwrap_or(file)
        .display()
        .to_string()
}

/// Folders that builds and campaigns make; git ignores them too.
const MADE: [&str; 6] = [
    ".git",
    "target",
    "blkproof-out",
    "artifacts",
    "coverage",
    "fuzz/corpus",
];

/// All files below a folder of the repository, sorted; what builds made is left out.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry of a folder").path();
            if MADE.iter().any(|made| path.ends_with(made)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    found
}

/// The packages that `cargo metadata` knows of in a workspace, without their dependencies.
pub(crate) fn packages(manifest: &Path) -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--manifest-path",
        ])
        .arg(manifest)
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].take();
    packages.as_array().expect("a list of packages").clone()
}

/// The manifests of all workspaces: the fuzz targets have their own, once they exist.
pub(crate) fn workspaces() -> Vec<PathBuf> {
    let manifests = ["Cargo.toml", "fuzz/Cargo.toml"].map(|file| root().join(file));
    manifests
        .into_iter()
        .filter(|manifest| manifest.exists())
        .collect()
}

/// A token that rules look at, with its line. Groups are opened, so that a rule sees a flat list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// The tokens of a source: comments and the insides of strings are not among them.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let stream: TokenStream = source.parse().expect("Rust that was compiled before");
    let mut flat = Vec::new();
    flatten(stream, &mut flat);
    flat
}

fn flatten(stream: TokenStream, flat: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: &str, line| {
            flat.push(Token {
                text: text.to_owned(),
                line,
            })
        };
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open, line);
                let end = group.span_close().end().line;
                flatten(group.stream(), flat);
                flat.push(Token {
                    text: close.to_owned(),
                    line: end,
                });
            }
            TokenTree::Ident(ident) => push(&ident.to_string(), line),
            TokenTree::Punct(punct) => push(&punct.as_char().to_string(), line),
            TokenTree::Literal(_) => push("(literal)", line),
        }
    }
}
