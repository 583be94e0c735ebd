//! Every example of the page that documents the grammar.

use blkproof::text::{self, Document};

const PAGE: &str = include_str!("../../../SCENARIO.md");

/// Returns the examples of the page, each with the line on which it starts.
fn examples() -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in PAGE.lines().enumerate() {
        match (&mut open, line) {
            (None, "```") => open = Some((index + 2, String::new())),
            (Some(_), "```") => examples.extend(open.take()),
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    examples
}

#[test]
fn examples_are_canonical() {
    let examples = examples();
    assert!(examples.len() >= 10, "the page has lost its examples");
    for (line, example) in examples {
        let document = Document::parse(example.as_bytes()).unwrap_or_else(|errors| {
            panic!(
                "the example at line {line}:\n{}",
                errors.render("SCENARIO.md", example.as_bytes())
            )
        });
        assert_eq!(document.print(), example, "the example at line {line}");
        let printed = text::print(&document.scenario);
        let again = text::parse(printed.as_bytes()).expect("printed text parses");
        assert_eq!(again, document.scenario);
    }
}
