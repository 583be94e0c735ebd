//! How many cases suites of properties try.

use std::env::{self, VarError};

/// Few, so that the suite is quick at each commit; as many as `PROPTEST_CASES` says, for the long
/// runs at night. What it says must be a number: a slip would go unnoticed for many nights.
pub(crate) fn cases(few: u32) -> u32 {
    match env::var("PROPTEST_CASES") {
        Err(VarError::NotPresent) => few,
        Err(error) => panic!("PROPTEST_CASES: {error}"),
        Ok(text) => parse(&text).unwrap_or_else(|error| panic!("PROPTEST_CASES={text}: {error}")),
    }
}

fn parse(text: &str) -> Result<u32, &'static str> {
    let cases = text.parse().ok().filter(|cases| *cases > 0);
    cases.ok_or("expected a number of cases, at least 1")
}

#[test]
fn a_number_of_cases_is_a_number() {
    assert_eq!(parse("5000"), Ok(5000));
    for bad in ["", "0", "-1", "many", "1e4", "99999999999"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
