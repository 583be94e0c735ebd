//! Scenarios that find out whether a subject is what it says: one for each capability that a step
//! shows, whose last step takes it.
//!
//! Where it is missing, scenarios that are made up do not ask for it; so these do, and the model
//! says whether the answer is that of a subject which claims it or does not (`claims-true`).

use blkproof_spec::step::Expect;
use blkproof_spec::{Capabilities, Length, Scenario};

use crate::text;

/// The capabilities, each with its steps.
const CLAIMS: [(&str, &str); 15] = [
    (
        "transactions",
        "bitmap add d b
transaction individual
  bitmap clear d b
end
",
    ),
    ("in_flight", "start r write d 0 512 stamp\n"),
    ("background_jobs", "backup d full to=full job=j start\n"),
    (
        "stepwise",
        "backup d full to=full job=j start
advance j 1
",
    ),
    ("resize", "resize d 128k\n"),
    (
        "rebase",
        "backup d full to=full
create i qcow2 backing=full
rebase i no-backing
",
    ),
    (
        "job_options",
        "backup d full to=full on-source-error=ignore\n",
    ),
    ("top", "backup d top to=top\n"),
    ("copy_before_write", "backup d none to=none job=j start\n"),
    (
        "bitmap_modes",
        "bitmap add d b
backup d bitmap bitmap=b bitmap-mode=never to=inc
",
    ),
    (
        "node_targets",
        "create i 64k qcow2
backup d full to=i mode=node
",
    ),
    ("compressed", "write d 0 64k stamp compressed\n"),
    (
        "merge",
        "bitmap add d b
bitmap add d c
bitmap merge d b from=c
",
    ),
    (
        "disabled_bitmaps",
        "bitmap add d b
bitmap disable d b
",
    ),
    ("persistent", "bitmap add d b persistent\n"),
];

/// Returns the scenarios, each with the name of its capability. Whoever declines what it likes
/// claims nothing.
pub(super) fn scenarios(can: &Capabilities) -> Vec<(&'static str, Scenario)> {
    if can.declines {
        return Vec::new();
    }
    // Another one than the subject has, if there is only one.
    let granularity = match can.granularity {
        Some(Length(0x1000)) => "8k",
        _ => "4k",
    };
    let steps = format!("bitmap add d b granularity={granularity}\n");
    let first = [("granularity", scenario("granularity", &steps))];
    let rest = CLAIMS
        .iter()
        .map(|(name, steps)| (*name, scenario(name, steps)));
    first.into_iter().chain(rest).collect()
}

/// Returns the name of a capability that there is a scenario for.
pub(super) fn known(name: &str) -> Option<&'static str> {
    let names = CLAIMS.iter().map(|(known, _)| *known);
    names.chain(["granularity"]).find(|known| *known == name)
}

fn scenario(name: &str, steps: &str) -> Scenario {
    // Only a qcow2 image stores bitmaps.
    let text =
        format!("blkproof 1\ntitle the subject claims {name} or not\ndisk d 64k qcow2\n{steps}");
    let mut scenario = text::parse(text.as_bytes()).expect("these are right");
    let steps = scenario.steps.iter_mut();
    steps.for_each(|step| step.expect = Expect::Any);
    scenario
}
