//! Configuration files of `blkdebug`: read, printed, and armed below a disk before the judge.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if proptests::blkdebug_config(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
