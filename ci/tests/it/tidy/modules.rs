//! The tree of modules below a target, as the compiler would walk it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Whether a file is only compiled for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Code,
    Test,
}

/// Adds the target's root and all files that it reaches.
pub(super) fn walk(root: &Path, role: Role, tree: &mut BTreeMap<PathBuf, Role>) {
    let folder = root.parent().expect("a file lies in a folder");
    add(root, folder, role, tree);
}

/// Adds a file whose modules lie in `folder`.
fn add(file: &Path, folder: &Path, role: Role, tree: &mut BTreeMap<PathBuf, Role>) {
    if tree.get(file) == Some(&Role::Code) {
        return;
    }
    tree.insert(file.to_owned(), role);
    let text = fs::read_to_string(file).expect("the compiler found this file");
    let items = syn::parse_file(&text)
        .expect("Rust that was compiled before")
        .items;
    for (path, role) in declared(&items, file, folder, role) {
        let nested = path.with_extension("");
        let is_mod = path.file_name().is_some_and(|name| name == "mod.rs");
        let folder = if is_mod {
            path.parent().expect("a folder").to_owned()
        } else {
            nested
        };
        add(&path, &folder, role, tree);
    }
}

/// The files of the modules that these items declare, inline modules included.
fn declared(items: &[syn::Item], file: &Path, folder: &Path, role: Role) -> Vec<(PathBuf, Role)> {
    let mut found = Vec::new();
    for item in items {
        let syn::Item::Mod(module) = item else {
            continue;
        };
        let name = module.ident.to_string();
        let role = if is_test(&module.attrs) {
            Role::Test
        } else {
            role
        };
        match (&module.content, path_attribute(&module.attrs)) {
            (Some((_, items)), _) => {
                found.extend(declared(items, file, &folder.join(name), role));
            }
            (None, Some(path)) => found.push((file.with_file_name(path), role)),
            (None, None) => {
                let flat = folder.join(format!("{name}.rs"));
                let deep = folder.join(name).join("mod.rs");
                found.push((if flat.exists() { flat } else { deep }, role));
            }
        }
    }
    found
}

/// `#[cfg(test)]`, alone or as one of several conditions that all have to hold.
pub(super) fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return false;
        };
        let condition = list.tokens.to_string();
        let all = condition
            .strip_prefix("all")
            .map(|rest| rest.trim_matches([' ', '(', ')']));
        let mut terms = all.unwrap_or(&condition).split(',');
        list.path.is_ident("cfg") && terms.any(|term| term.trim() == "test")
    })
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(path),
                    ..
                }) => Some(path.value()),
                _ => None,
            },
            _ => None,
        })
}

#[test]
fn the_tree_is_walked_as_the_compiler_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
        fs::write(&path, text).expect("a new file");
        path
    };
    let root = file(
        "src/lib.rs",
        "mod a; mod old; mod inline { mod c; } #[path = \"x.rs\"] mod d;",
    );
    let a = file("src/a.rs", "mod b;\n#[cfg(test)]\nmod tests;");
    let want = [
        (a, Role::Code),
        (file("src/a/b.rs", ""), Role::Code),
        (file("src/a/tests.rs", "mod more;"), Role::Test),
        (file("src/a/tests/more.rs", ""), Role::Test),
        (file("src/inline/c.rs", ""), Role::Code),
        (root.clone(), Role::Code),
        (file("src/old/mod.rs", "mod e;"), Role::Code),
        (file("src/old/e.rs", ""), Role::Code),
        (file("src/x.rs", ""), Role::Code),
    ];
    file("src/dead.rs", "");
    file("src/a/dead.rs", "");
    let mut tree = BTreeMap::new();
    walk(&root, Role::Code, &mut tree);
    assert_eq!(tree, BTreeMap::from(want));
}

#[test]
fn conditions_for_tests_are_told_from_others() {
    let is = |text: &str| {
        let item: syn::ItemMod = syn::parse_str(&format!("{text} mod m {{}}")).expect("a module");
        is_test(&item.attrs)
    };
    assert!(is("#[cfg(test)]"));
    assert!(is("#[cfg(all(test, unix))]"));
    assert!(!is("#[cfg(not(test))]"));
    assert!(!is("#[cfg(any(test, unix))]"));
    assert!(!is("#[cfg(feature = \"test\")]"));
}
