//! Scenario texts: read, printed, read again.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if proptests::scenario_text(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
