//! A fault may make a command fail, never succeed wrongly: no wrong contents after a step
//! that met a reported fault.
//!
//! Checked: whenever contents are compared after a fault fired.

pub(super) const SENTENCE: &str = "A fault may make a command fail, never succeed wrongly: no \
    wrong contents after a step that met a reported fault.";

pub(super) const WHEN: &str = "Whenever contents are compared after a fault fired.";

use super::Property;
use crate::model::{Judgement, Violation};

/// Reports wrong contents once more where a fault fired before.
pub(crate) fn check(found: &Violation, faulted: bool, out: &mut Judgement) {
    if faulted {
        out.violations.push(Violation {
            property: Property::RefusedNotWrong,
            ..found.clone()
        });
    }
}
