//! What came of a check in which everything held.

use core::fmt;

use crate::known::{Known, KnownFinding, Sightings};

/// What was judged by a check in which everything held, known findings left aside.
///
/// [`Check::run`](crate::Check::run) returns it, so that a test can be as strict as it likes:
///
/// ```no_run
/// # use blkproof::{Check, Subject};
/// # fn make() -> Box<dyn Subject> { panic!() }
/// # fn test<S: Subject + 'static>(make: fn() -> S) {
/// let judged = Check::new().known("known.txt").run(make);
/// // A finding that no longer shows is repaired: its line must go.
/// assert_eq!(judged.unseen().next(), None);
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Judged {
    /// The scenarios that were judged: kept ones and made-up ones.
    pub cases: u64,
    /// The backups and transactions that the subject carried out or accepted in them.
    pub backups: u64,
    known: Known,
    seen: Sightings,
}

impl Judged {
    pub(super) fn new(known: &Known) -> Self {
        Self {
            known: known.clone(),
            ..Self::default()
        }
    }

    pub(super) fn with_seen(cases: u64, backups: u64, known: &Known, seen: Sightings) -> Self {
        Self {
            cases,
            backups,
            known: known.clone(),
            seen,
        }
    }

    pub(super) fn seen_mut(&mut self) -> &mut Sightings {
        &mut self.seen
    }

    /// Returns the known findings, each with how often it showed.
    pub fn known(&self) -> impl Iterator<Item = (&KnownFinding, u64)> {
        let findings = self.known.findings().iter().enumerate();
        findings.map(|(index, finding)| (finding, self.seen.of(index)))
    }

    /// Returns the known findings that did not show.
    pub fn unseen(&self) -> impl Iterator<Item = &KnownFinding> {
        self.seen.unseen(&self.known)
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cases, backups, .. } = self;
        writeln!(f, "{cases} scenarios with {backups} backups hold")?;
        for (finding, seen) in self.known() {
            match seen {
                0 => writeln!(
                    f,
                    "  known, and not seen any more: {finding} (line {})",
                    finding.line
                )?,
                1 => writeln!(f, "  known, seen once: {finding}")?,
                _ => writeln!(f, "  known, seen {seen} times: {finding}")?,
            }
        }
        Ok(())
    }
}
