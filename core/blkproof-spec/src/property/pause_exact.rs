//! A job that stops on an error is paused with the documented status, keeps its bitmap
//! busy and its point in time protected, and ends after a resume as if nothing had
//! happened.
//!
//! Checked: while a job is paused by an error.

pub(super) const SENTENCE: &str = "A job that stops on an error is paused with the documented status, keeps its \
    bitmap busy and its point in time protected, and ends after a resume as if nothing \
    had happened.";

pub(super) const WHEN: &str = "While a job is paused by an error.";
