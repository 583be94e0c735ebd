//! Commands while something slow holds a job or a request, and losses of power when it is let go.

use blkproof_spec::fault::When;
use blkproof_spec::step::{Action, JobVerb, Work};
use blkproof_spec::{IoType, Layer, Millis, Place, Units};

use super::{bitmaps, faults, flight, guest, jobs, meet, power, scenes, transactions};
use crate::generate::Choices;
use crate::generate::account::Account;
use crate::generate::kind::Kind;
use crate::generate::label::Label;

/// Has something slow hold a job, or a request.
pub(super) fn hold(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let loses = account.weights[Kind::PowerCut as usize] > 0;
    if loses || account.is_source(disk) {
        request(account, disk, loses, choices);
    } else {
        job(account, disk, choices);
    }
}

/// Gives commands to a job whose requests take time: it cannot be paused or ended before they are
/// over.
fn job(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    scenes::scatter(account, disk, choices);
    let draft = scenes::draft(account, disk, choices);
    let job = draft.job;
    let (image, kind) = if choices.chance(50) {
        (account.disks[disk].name, IoType::Read)
    } else {
        (job.target, IoType::Write)
    };
    let rule = slow(account, image, kind, choices);
    let index = scenes::start(account, draft);
    let work = Work::Job(job.name.job());
    let units = Units(choices.between(1, 8));
    account.push(Action::Advance { work, units });
    if choices.chance(75) {
        jobs::verb(account, job, JobVerb::Pause);
    }
    for _ in 0..choices.between(1, 3) {
        let verb = choices.pick(&[
            JobVerb::Pause,
            JobVerb::Resume,
            JobVerb::Resume,
            JobVerb::Cancel { force: false },
            JobVerb::Cancel { force: true },
            JobVerb::SetSpeed(65_536),
            JobVerb::Finalize,
        ]);
        jobs::verb(account, job, verb);
    }
    let_go(account, rule, choices);
    account.jobs[index].doubtful = true;
    jobs::verb(account, job, JobVerb::Resume);
    jobs::finish(account, index);
}

/// A rule by which all requests of a kind take time.
fn slow(account: &mut Account, image: Label, kind: IoType, choices: &mut Choices<'_>) -> Label {
    let place = Place {
        image: image.image(),
        layer: Layer::File,
    };
    let when = choices.pick(&[When::Always, When::Nth(1), When::Nth(2)]);
    let rule = meet::delay(kind, when, choices);
    faults::add(account, "wait", place, rule)
}

fn let_go(account: &mut Account, rule: Label, choices: &mut Choices<'_>) {
    match choices.below(4) {
        0 => faults::lift_rule(account, rule),
        1 => faults::lift_all(account),
        _ => {
            account.push(Action::Tick(Millis(250)));
            faults::lift_rule(account, rule);
        }
    }
}

/// Has requests of the guest wait; where power may be lost, it is lost in the midst of what goes on
/// then.
fn request(account: &mut Account, disk: usize, loses: bool, choices: &mut Choices<'_>) {
    if loses && choices.chance(30) {
        return command(account, disk, choices);
    }
    if loses && choices.chance(50) && !account.is_source(disk) {
        let draft = scenes::draft(account, disk, choices);
        scenes::start(account, draft);
    }
    if choices.chance(25) {
        flight::suspend(account, disk, choices);
        lose(account, loses, choices);
        return flight::suspend(account, disk, choices);
    }
    let kind = choices.pick(&[IoType::Write, IoType::Write, IoType::Flush, IoType::Read]);
    let image = account.disks[disk].name;
    let rule = slow(account, image, kind, choices);
    let started = choices.chance(50);
    if started {
        let op = guest::any_op(account, disk, choices);
        flight::start(account, disk, op, None, choices);
        let request = account.requests[account.requests.len() - 1];
        let work = Work::Request(request.name.request());
        let units = Units(choices.between(1, 8));
        account.push(Action::Advance { work, units });
    } else if account.disks[disk].is_qcow2() && choices.chance(25) {
        meet::compressed(account, disk, choices);
    } else {
        let kind = choices.pick(&[Kind::Write, Kind::Zeroes, Kind::Flush]);
        guest::request(account, disk, kind, choices);
    }
    lose(account, loses, choices);
    let_go(account, rule, choices);
    if started {
        let request = account.requests.remove(account.requests.len() - 1);
        let request = request.name.request();
        if choices.chance(50) {
            let work = Work::Request(request.clone());
            let units = Units(choices.between(1, 8));
            account.push(Action::Advance { work, units });
        }
        account.push(Action::Settle { request });
    }
}

/// Has power be lost in the midst of a command that sees requests in flight to their end first.
fn command(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    bitmaps::ensure(account, disk, choices);
    for _ in 0..choices.between(1, 2) {
        let op = guest::any_op(account, disk, choices);
        flight::start(account, disk, op, None, choices);
    }
    let waits = |account: &Account| account.jobs.iter().position(|job| job.worked);
    if choices.chance(30) && waits(account).is_none() && !account.is_source(disk) {
        // A job that waits to be finalized, under which the guest goes on.
        let mut draft = scenes::draft(account, disk, choices);
        draft.job.finalize = true;
        draft.backup.auto_finalize = false;
        let index = scenes::start(account, draft);
        jobs::finish(account, index);
        let op = guest::any_op(account, disk, choices);
        flight::start(account, disk, op, None, choices);
    }
    if choices.chance(30) && !account.is_source(disk) {
        scenes::scatter(account, disk, choices);
        let draft = scenes::draft(account, disk, choices);
        let job = draft.job;
        scenes::start(account, draft);
        let work = Work::Job(job.name.job());
        let units = Units(choices.between(1, 4));
        account.push(Action::Advance { work, units });
        lose(account, true, choices);
        let verb = choices.pick(&[JobVerb::Pause, JobVerb::Cancel { force: false }]);
        return jobs::verb(account, job, verb);
    }
    lose(account, true, choices);
    if let Some(index) = waits(account) {
        let job = account.jobs[index];
        account.ended(index, true);
        let verb = choices.pick(&[JobVerb::Finalize, JobVerb::Cancel { force: true }]);
        return jobs::verb(account, job, verb);
    }
    match choices.below(4) {
        0 => transactions::transaction(account, disk, choices),
        1 => jobs::command(account, disk, choices),
        _ => bitmaps::draining(account, disk, choices),
    }
}

fn lose(account: &mut Account, loses: bool, choices: &mut Choices<'_>) {
    if loses && choices.chance(70) {
        power::soon(account, choices);
    }
}

#[cfg(test)]
mod tests {
    use blkproof_spec::Step;
    use blkproof_spec::step::{Action, JobVerb};

    use crate::generate::{Kind, Profile, case};

    fn cases(with: &str) -> impl Iterator<Item = Vec<Step>> {
        let none: String = Kind::ALL
            .iter()
            .filter(|kind| **kind != Kind::Hold && !with.starts_with(kind.name()))
            .map(|kind| format!("{} = 0\n", kind.name()))
            .collect();
        let text = format!("kinds = 100\n{none}{with}hold = 50\n");
        let profile = Profile::parse("hold", &text).unwrap();
        (0..300).map(move |number| case(5, number, &profile).steps)
    }

    #[test]
    fn jobs_that_something_holds_are_paused_and_told_to_go_on() {
        let told = cases("").filter(|steps| {
            let is = |step: &Step, wanted| {
                matches!(step.action, Action::Job { verb, .. } if verb == wanted)
            };
            let rule = steps.iter().position(|step| matches!(step.action, Action::Install(_)));
            let rest = &steps[rule.unwrap_or(steps.len())..];
            let paused = rest.iter().position(|step| is(step, JobVerb::Pause));
            let lifted = rest.iter().position(|step| matches!(step.action, Action::Tick(_)));
            paused.is_some() && lifted > paused
        });
        assert!(told.count() > 50);
    }

    #[test]
    fn power_is_lost_right_before_something_is_let_go() {
        let lost = cases("power-cut = 1\n").filter(|steps| {
            steps.windows(2).any(|pair| {
                let loses = matches!(pair[0].action, Action::PowerCut(_) | Action::Kill { .. });
                let lets_go = matches!(
                    pair[1].action,
                    Action::Tick(_) | Action::Lift(_) | Action::LiftAll | Action::ResumeTag(_)
                );
                loses && lets_go
            })
        });
        assert!(lost.count() > 50);
    }
}
