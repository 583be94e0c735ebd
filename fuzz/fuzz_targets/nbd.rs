//! What a client of the NBD server sends, answered and compared with a naive server.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if proptests::nbd(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
