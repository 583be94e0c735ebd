//! All backups of one transaction share one moment over all disks.
//!
//! Checked: whenever the target of a job of a transaction is compared.

pub(super) const SENTENCE: &str = "All backups of one transaction share one moment over all disks.";

pub(super) const WHEN: &str = "Whenever the target of a job of a transaction is compared.";

use super::Property;
use crate::model::{Judgement, Violation};

/// Reports what was written after the moment of a transaction and shows in one of its targets.
pub(crate) fn check(later: &Violation, out: &mut Judgement) {
    out.violations.push(Violation {
        property: Property::OneMoment,
        ..later.clone()
    });
}
