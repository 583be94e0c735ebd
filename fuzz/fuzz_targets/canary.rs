//! Scenarios on an engine with a bug: this target must fail.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if proptests::canary(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
