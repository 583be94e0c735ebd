//! Hostile images, through the driver and through the inspection.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if proptests::qcow2_image(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
