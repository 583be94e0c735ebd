//! A job's states move along allowed edges, it ends once and with the one event that
//! fits, its progress equals its length at success, and nothing of it stays behind.
//!
//! Checked: at every step that reports events or jobs.

pub(super) const SENTENCE: &str = "A job's states move along allowed edges, it ends once and with the one event that \
    fits, its progress equals its length at success, and nothing of it stays behind.";

pub(super) const WHEN: &str = "At every step that reports events or jobs.";
