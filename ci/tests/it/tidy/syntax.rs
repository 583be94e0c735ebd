//! Rules that need to know what the text means.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Finding;
use super::modules::is_test;
use crate::repository::{Token, tokens};

const FUNCTION: usize = 70;
const FILE: usize = 500;

/// Functions of more than 70 lines, from the keyword to the closing brace.
pub(super) fn long_functions(text: &str) -> Vec<Finding> {
    let mut functions = Functions::default();
    functions.visit_file(&parse(text));
    functions.long
}

#[derive(Default)]
struct Functions {
    long: Vec<Finding>,
}

impl Functions {
    fn look(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        let lines = block.span().end().line - first + 1;
        if lines > FUNCTION {
            let name = &signature.ident;
            let message = format!("{name} has {lines} lines, more than {FUNCTION}");
            self.long.push(Finding::new(first, message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.look(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.look(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.look(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// More than 500 lines, those of tests not counted.
pub(super) fn long_file(text: &str) -> Vec<Finding> {
    let tests: usize = test_lines(text)
        .iter()
        .map(|&(first, last)| last - first + 1)
        .sum();
    let lines = text.lines().count() - tests;
    let message = || format!("{lines} lines without tests, more than {FILE}");
    (lines > FILE)
        .then(|| Finding::new(1, message()))
        .into_iter()
        .collect()
}

/// Names that bring the clock, chance, threads or the environment into a library.
pub(super) fn chance_and_time(text: &str) -> Vec<Finding> {
    const NAMES: [&str; 5] = ["HashMap", "HashSet", "RandomState", "Instant", "SystemTime"];
    const MODULES: [&str; 4] = ["thread", "rand", "env", "process"];
    let tests = test_lines(text);
    let tokens = tokens(text);
    let code = |line| {
        !tests
            .iter()
            .any(|&(first, last)| (first..=last).contains(&line))
    };
    let is_path = |index: usize| {
        let colon = |index: usize| tokens.get(index).is_some_and(|token| token.text == ":");
        colon(index + 1) && colon(index + 2) || index > 0 && colon(index - 1) && colon(index - 2)
    };
    let banned = |index: usize, token: &Token| {
        let text = token.text.as_str();
        NAMES.contains(&text) || MODULES.contains(&text) && is_path(index)
    };
    let found = tokens
        .iter()
        .enumerate()
        .filter(|(index, token)| banned(*index, token) && code(token.line));
    let message = |token: &Token| format!("{} makes two runs differ", token.text);
    found
        .map(|(_, token)| Finding::new(token.line, message(token)))
        .collect()
}

/// Tests that are not run and code that is not written, in tests too.
pub(super) fn skipped_work(text: &str) -> Vec<Finding> {
    let tokens = tokens(text);
    let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    let mut findings = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let what = match texts[index..] {
            ["#", "[", "ignore", ..] => "a test that is not run",
            ["todo" | "unimplemented", "!", "(" | "[" | "{", ..] => "code that is not written",
            _ => continue,
        };
        findings.push(Finding::new(token.line, what));
    }
    findings
}

/// First and last line of each item that only tests see.
fn test_lines(text: &str) -> Vec<(usize, usize)> {
    let mut items = TestItems::default();
    items.visit_file(&parse(text));
    items.lines
}

#[derive(Default)]
struct TestItems {
    lines: Vec<(usize, usize)>,
}

impl<'ast> Visit<'ast> for TestItems {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let (attributes, name): (&[syn::Attribute], Span) = match item {
            syn::Item::Fn(item) => (&item.attrs, item.span()),
            syn::Item::Impl(item) => (&item.attrs, item.span()),
            syn::Item::Mod(item) => (&item.attrs, item.span()),
            syn::Item::Use(item) => (&item.attrs, item.span()),
            _ => (&[], item.span()),
        };
        if is_test(attributes) {
            self.lines.push((name.start().line, name.end().line));
        } else {
            visit::visit_item(self, item);
        }
    }
}

fn parse(text: &str) -> syn::File {
    syn::parse_file(text).expect("Rust that was compiled before")
}

#[test]
fn long_functions_are_found_wherever_they_hide() {
    let body = |lines: usize| "f();\n".repeat(lines);
    let free = format!("fn free() {{\n{}}}\n", body(69));
    let message = "free has 71 lines, more than 70";
    assert_eq!(long_functions(&free), [Finding::new(1, message)]);
    assert_eq!(
        long_functions(&format!("fn free() {{\n{}}}\n", body(68))),
        []
    );
    for (start, end) in [
        ("impl X {", "}"),
        ("trait X {", "}"),
        ("mod m { mod n {", "}}"),
        ("fn outer() {", "}"),
        ("#[cfg(test)] mod tests {", "}"),
        ("const X: fn() = {", "f };"),
    ] {
        let text = format!("{start}\nfn f() {{\n{}}}\n{end}", body(70));
        let found = long_functions(&text);
        assert!(
            found.iter().any(|finding| finding.line == 2),
            "{start}: {found:?}"
        );
    }
}

#[test]
fn long_files_are_found_and_tests_do_not_count() {
    let code = |lines| "const X: u8 = 1;\n".repeat(lines);
    let found = long_file(&code(501));
    assert_eq!(
        found,
        [Finding::new(1, "501 lines without tests, more than 500")]
    );
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", code(300));
    assert_eq!(long_file(&format!("{}{tests}", code(500))), []);
    assert_eq!(long_file(&format!("{}{tests}", code(501))).len(), 1);
}

#[test]
fn what_makes_runs_differ_is_found() {
    for text in [
        "use std::collections::HashMap;",
        "use std::collections::{BTreeMap, HashSet};",
        "fn f() { let t = std::time::Instant::now(); }",
        "fn f() { let t = SystemTime::now(); }",
        "use std::thread;",
        "fn f() { thread::spawn(g); }",
        "fn f() -> u8 { rand::random() }",
        "fn f() { std::env::var(NAME); }",
        "use std::process::Command;",
    ] {
        assert_eq!(chance_and_time(text).len(), 1, "{text}");
    }
    for text in [
        "//! No HashMap here.\nconst X: &str = \"HashMap\";",
        "fn f(thread: u8, rand: u8) -> u8 { thread + rand }",
        "#[cfg(test)]\nmod tests { use std::collections::HashMap; }",
        "const V: &str = env!(\"CARGO_PKG_VERSION\");",
    ] {
        assert_eq!(chance_and_time(text), [], "{text}");
    }
}

#[test]
fn skipped_work_is_found() {
    let todo = concat!("fn f() { to", "do!() }");
    for text in [
        concat!("#[test]\n#[ign", "ore]\nfn f() {}"),
        concat!("#[ign", "ore = \"slow\"]\nfn f() {}"),
        todo,
    ] {
        assert_eq!(skipped_work(text).len(), 1, "{text}");
    }
    assert_eq!(skipped_work("fn ignore() { f(ignore) }"), []);
}
