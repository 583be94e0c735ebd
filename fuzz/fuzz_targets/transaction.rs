//! Scenarios of transactions, judged on the built-in engine.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if proptests::transaction(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
