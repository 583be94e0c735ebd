//! All backups of one transaction share one moment over all disks.
//!
//! Checked: whenever the target of a job of a transaction is compared.

pub(super) const SENTENCE: &str = "All backups of one transaction share one moment over all disks.";

pub(super) const WHEN: &str = "Whenever the target of a job of a transaction is compared.";
