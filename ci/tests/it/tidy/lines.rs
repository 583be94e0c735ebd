//! Rules that look at one line at a time.

use super::Finding;

const WIDTH: usize = 100;

/// Lines of more than 100 columns. A row of a table in documentation cannot be wrapped.
pub(super) fn width(text: &str) -> Vec<Finding> {
    each_line(text, |line| {
        let width = line.chars().count();
        let is_row = ["//! |", "/// |"]
            .iter()
            .any(|row| line.trim_start().starts_with(row));
        (width > WIDTH && !is_row).then(|| format!("{width} columns, more than {WIDTH}"))
    })
}

/// Characters outside of ASCII.
pub(super) fn ascii(text: &str) -> Vec<Finding> {
    each_line(text, |line| {
        let found = line.chars().find(|c| !c.is_ascii())?;
        Some(format!(
            "not ASCII: {:?}",
            found.escape_unicode().to_string()
        ))
    })
}

/// Notes to oneself, and examples in documentation that nobody runs.
pub(super) fn markers(text: &str) -> Vec<Finding> {
    // Put together here, so that this file has none of them.
    let words = [
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("XX", "X"),
    ];
    let unrun = concat!("```", "ignore");
    each_line(text, |line| {
        let mut parts = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let word = parts.find(|part| words.contains(part));
        let found = word.or_else(|| line.contains(unrun).then_some(unrun))?;
        Some(format!("{found} belongs in an issue"))
    })
}

/// Paths that exist on one person's machine only.
pub(super) fn machine_paths(text: &str) -> Vec<Finding> {
    let places = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
        concat!("C:", "\\Users\\"),
    ];
    each_line(text, |line| {
        let found = places.iter().find(|place| line.contains(*place))?;
        Some(format!("{found} is a place on one machine"))
    })
}

fn each_line(text: &str, rule: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let numbered = text.lines().enumerate();
    let found = numbered.filter_map(|(index, line)| Some(Finding::new(index + 1, rule(line)?)));
    found.collect()
}

#[test]
fn wide_lines_are_found() {
    let text = format!("{}\n{}\n", "x".repeat(100), "x".repeat(101));
    assert_eq!(
        width(&text),
        [Finding::new(2, "101 columns, more than 100")]
    );
}

#[test]
fn other_alphabets_are_found() {
    assert_eq!(
        ascii("a\nb \u{2192}"),
        [Finding::new(2, "not ASCII: \"\\\\u{2192}\"")]
    );
    assert_eq!(ascii("plain"), []);
}

#[test]
fn notes_to_oneself_are_found_as_whole_words() {
    let text = concat!(
        "// TO",
        "DO: later\nlet TO",
        "DOS = 1;\n//! ```",
        "ignore\n"
    );
    let found: Vec<_> = markers(text).iter().map(|finding| finding.line).collect();
    assert_eq!(found, [1, 3]);
}

#[test]
fn places_on_one_machine_are_found() {
    assert_eq!(machine_paths(concat!("open(\"/ho", "me/me/x\")")).len(), 1);
    assert_eq!(machine_paths("open(\"/dev/null\")"), []);
}
