//! Scenarios of bitmap commands, judged on the built-in engine.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if proptests::bitmap(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
