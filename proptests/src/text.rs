//! Inputs that are scenario texts.

use blkproof::text::{self, Document};

/// Parses the bytes as a scenario text. What is wrong with it can be told; what is right is
/// printed in a form that reads the same again, comments included.
///
/// # Panics
///
/// Where that is not so.
pub fn scenario_text(bytes: &[u8]) -> bool {
    let lenient = text::parse_leniently(bytes);
    match Document::parse(bytes) {
        Ok(document) => {
            let printed = document.print();
            let again = Document::parse(printed.as_bytes());
            let again = again.unwrap_or_else(|error| panic!("{error}\n{printed}"));
            assert_eq!(again.scenario, document.scenario, "{printed}");
            assert_eq!(again.print(), printed, "printing twice makes no difference");
            assert_eq!(lenient, document.scenario, "what is right is left out");
        }
        Err(diagnostics) => {
            assert!(!diagnostics.list.is_empty(), "refused without a reason");
            assert!(!diagnostics.render("input.blk", bytes).is_empty());
        }
    }
    // What was read of a wrong text can be written down as well, and is right then.
    let printed = text::print(&lenient);
    match Document::parse(printed.as_bytes()) {
        Ok(document) => assert_eq!(document.scenario, lenient, "{printed}"),
        Err(diagnostics) => panic!("{diagnostics}\n{printed}"),
    }
    true
}
