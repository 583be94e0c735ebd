//! Requests that stay in flight, and breakpoints that hold them.

use blkproof_spec::fault::{Event, Rule};
use blkproof_spec::step::{Action, GuestOp, Work};
use blkproof_spec::{At, FaultRule, Layer, Place, Units};

use super::guest;
use crate::generate::Choices;
use crate::generate::account::{Account, Request};
use crate::generate::label::Label;

/// Submits a request, or carries one that is in flight further.
pub(super) fn step(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let count = account.requests.len();
    if count == 0 || (count < 4 && choices.chance(30)) {
        let op = guest::any_op(account, disk, choices);
        start(account, disk, op, None, choices);
        return;
    }
    let index = choices.index(count);
    let request = account.requests[index];
    if let Some(tag) = request.tag {
        account.requests[index].tag = None;
        account.tags.retain(|kept| *kept != tag);
        return account.push(Action::ResumeTag(tag.tag()));
    }
    let work = Work::Request(request.name.request());
    if choices.chance(35) {
        let units = Units(choices.between(1, 4));
        return account.push(Action::Advance { work, units });
    }
    account.requests.remove(index);
    account.push(Action::Settle {
        request: request.name.request(),
    });
}

/// Submits a request and has it told how it went, as one that meets a fault may.
pub(super) fn whole(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let op = guest::any_op(account, disk, choices);
    start(account, disk, op, None, choices);
    let request = account.requests.remove(account.requests.len() - 1);
    account.push(Action::Settle {
        request: request.name.request(),
    });
}

pub(super) fn start(
    account: &mut Account,
    disk: usize,
    op: GuestOp,
    tag: Option<Label>,
    choices: &mut Choices<'_>,
) {
    let name = account.fresh("r");
    let known = &account.disks[disk];
    let is_read = matches!(op, GuestOp::Read { .. } | GuestOp::Flush);
    let at = if is_read && choices.chance(10) {
        At::Node(known.name.image())
    } else {
        known.name.device()
    };
    account.requests.push(Request { name, tag });
    account.push(Action::Start {
        request: name.request(),
        at,
        op,
    });
}

/// Suspends a request at an event, or resumes one.
pub(super) fn suspend(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if let Some(tag) = account.tags.last().copied() {
        account.tags.retain(|kept| *kept != tag);
        for request in account.requests.iter_mut() {
            request.tag = request.tag.filter(|held| *held != tag);
        }
        return account.push(Action::ResumeTag(tag.tag()));
    }
    let tag = account.fresh("t");
    let known = &account.disks[disk];
    let event = if known.is_qcow2() {
        choices.pick(&[
            Event::WriteAio,
            Event::WriteAio,
            Event::ClusterAlloc,
            Event::L2Update,
            Event::PwritevDone,
            Event::ReadAio,
            Event::FlushToDisk,
        ])
    } else {
        choices.pick(&[Event::PwritevDone, Event::FlushToDisk])
    };
    let rule = FaultRule {
        name: None,
        place: Place {
            image: known.name.image(),
            layer: Layer::File,
        },
        rule: Rule::Break {
            event,
            tag: tag.tag(),
        },
    };
    account.push(Action::Install(rule));
    account.holds = true;
    account.tags.push(tag);
    let op = guest::any_op(account, disk, choices);
    if choices.chance(20) {
        // A plain request that is suspended stays pending and goes on by itself later.
        let at = account.disks[disk].name.device();
        return account.push(Action::Guest { at, op });
    }
    start(account, disk, op, Some(tag), choices);
    if choices.chance(30) {
        let request = account.requests[account.requests.len() - 1];
        let work = Work::Request(request.name.request());
        account.push(Action::Advance {
            work,
            units: Units(8),
        });
    }
    if choices.chance(80) {
        account.push(Action::WaitFor(tag.tag()));
    }
}
