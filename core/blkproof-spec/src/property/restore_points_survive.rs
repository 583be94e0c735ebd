//! Every live restore point still restores after every later step.
//!
//! Checked: over live restore points behind each step that touched one of their images, a few at a
//! time, where an inspector can tell; over all of them at the end.

pub(super) const SENTENCE: &str = "Every live restore point still restores after every later step.";

pub(super) const WHEN: &str = "Over live restore points behind each step that touched one of \
    their images, a few at a time, where an inspector can tell; over all of them at the end.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};
use crate::name::ImageName;

/// Reports a restore point whose images cannot be found.
pub(crate) fn lost(image: &ImageName, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::RestorePointsSurvive,
        About::Image(image.clone()),
        "chain",
        Fact::Text("every image of it"),
        Fact::Text("an image missing"),
    ));
}
