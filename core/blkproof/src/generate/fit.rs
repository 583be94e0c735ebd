//! Scenarios for subjects that cannot do everything.

use blkproof_spec::step::{
    Action, Backup, BitmapCommand, BitmapStep, ErrorPolicy, Expect, GuestOp, Run, Sync, TargetMode,
    TransactionAction,
};
use blkproof_spec::{Capabilities, FaultRule, Layer, Scenario};

use crate::shrink::without_steps;

/// Makes a scenario one for a subject that can do no more than `can`: no step of it takes a
/// capability that is missing.
///
/// What can be done in a plainer way is (a job that was only to be started is run to its end, a
/// bitmap has the granularity that all have); what cannot goes, with the steps that cannot be
/// without it. The steps that are left say nothing of their answers then, except for checks: the
/// model alone judges them.
///
/// ```
/// use blkproof::generate::{self, Profile};
/// use blkproof::spec::Capabilities;
///
/// let scenario = generate::case(7, 0, &Profile::built_in()[0]);
/// let plain = generate::fit(scenario, &Capabilities::MINIMAL);
/// let lacks = |action| Capabilities::MINIMAL.lacking(action).is_some();
/// assert!(!plain.steps.iter().any(|step| lacks(&step.action)));
/// ```
#[must_use]
pub fn fit(mut scenario: Scenario, can: &Capabilities) -> Scenario {
    let has_place = |rule: &FaultRule| can.faults_above_format || rule.place.layer != Layer::Format;
    scenario.setup.rules.retain(has_place);
    let lacks = |action: &Action| can.lacking(action).is_some();
    if !scenario.steps.iter().any(|step| lacks(&step.action)) {
        return scenario;
    }
    for step in &mut scenario.steps {
        if lacks(&step.action) {
            plainer(&mut step.action, can);
        }
        if !matches!(step.action, Action::Check(_)) {
            step.expect = Expect::Any;
        }
    }
    if scenario.steps.iter().any(|step| lacks(&step.action)) {
        without_steps(&scenario, lacks)
    } else {
        scenario
    }
}

/// Has a step do the same in a way that takes fewer capabilities, where there is one.
fn plainer(action: &mut Action, can: &Capabilities) {
    match action {
        Action::Guest { op, .. } => plainer_op(op),
        Action::Start { at, op, .. } => {
            plainer_op(op);
            if !can.in_flight {
                *action = Action::Guest {
                    at: at.clone(),
                    op: op.clone(),
                };
            }
        }
        Action::Bitmap(step) => plainer_bitmap(step, can),
        Action::Backup { backup, run } => {
            plainer_backup(backup, can);
            if !commands(can) {
                *run = Run::Finish;
            }
        }
        Action::Transaction { actions, .. } => {
            for action in actions {
                match action {
                    TransactionAction::Abort => {}
                    TransactionAction::Bitmap(step) => plainer_bitmap(step, can),
                    TransactionAction::Backup(backup) => plainer_backup(backup, can),
                }
            }
        }
        _ => {}
    }
}

/// All that a request can lack is compression.
fn plainer_op(op: &mut GuestOp) {
    if let GuestOp::Write { compressed, .. } = op {
        *compressed = false;
    }
}

fn plainer_bitmap(step: &mut BitmapStep, can: &Capabilities) {
    if let BitmapCommand::Add {
        granularity,
        persistent,
        disabled,
    } = &mut step.command
    {
        *granularity = can.granularity.or(*granularity);
        *persistent &= can.persistent;
        *disabled &= can.disabled_bitmaps;
    }
}

fn plainer_backup(backup: &mut Backup, can: &Capabilities) {
    backup.compress &= can.compressed;
    if !can.bitmap_modes {
        backup.bitmap_mode = None;
        if backup.sync == Sync::Bitmap {
            backup.sync = Sync::Incremental;
        }
    }
    if !can.top && backup.sync == Sync::Top {
        backup.sync = Sync::Full;
    }
    if !can.node_targets && backup.mode == TargetMode::Node {
        backup.mode = TargetMode::Existing;
    }
    if !can.job_options {
        backup.speed = 0;
        backup.min_cluster = None;
    }
    if !can.job_options || !commands(can) {
        backup.auto_finalize = true;
        backup.auto_dismiss = true;
        backup.on_source_error = ErrorPolicy::Report;
        backup.on_target_error = ErrorPolicy::Report;
    }
}

/// Tells whether jobs can be followed and commanded while they run.
fn commands(can: &Capabilities) -> bool {
    can.background_jobs && can.events
}
