//! Fault rules: plain errors, at the first request.

use blkproof_spec::fault::{Effect, IoTypes, Rule, When};
use blkproof_spec::{Errno, FaultRule};

use super::Grade;
use crate::shrink::edit::Change;

type Simpler = fn(&mut FaultRule);

const SIMPLEST: &[Simpler] = &[anywhere, at_first, plain, eio, in_any_state];
const FINER: &[Simpler] = &[sooner, always, of_any_kind, lasting];

pub(super) fn changes(used: bool, grade: Grade) -> Vec<Change> {
    let table = match grade {
        Grade::Simplest => SIMPLEST,
        Grade::Finer => FINER,
    };
    let unnamed = (grade == Grade::Simplest && !used).then_some(unnamed as Simpler);
    let all = unnamed.into_iter().chain(table.iter().copied());
    all.map(Change::Rule).collect()
}

fn unnamed(rule: &mut FaultRule) {
    rule.name = None;
}

fn anywhere(rule: &mut FaultRule) {
    match &mut rule.rule {
        Rule::InjectError(inject) => inject.sector = None,
        Rule::Extended(extended) => extended.range = None,
        _ => {}
    }
}

fn at_first(rule: &mut FaultRule) {
    if let Rule::Extended(extended) = &mut rule.rule {
        extended.when = match extended.when {
            When::Always | When::From(_) => When::Always,
            When::Nth(_) | When::Every(_) | When::Chance { .. } => When::Nth(1),
        };
    }
}

fn sooner(rule: &mut FaultRule) {
    if let Rule::Extended(extended) = &mut rule.rule {
        match &mut extended.when {
            When::Nth(n) | When::From(n) | When::Every(n) => *n = (*n).min((*n / 2).max(1)),
            When::Always | When::Chance { .. } => {}
        }
    }
}

fn always(rule: &mut FaultRule) {
    if let Rule::Extended(extended) = &mut rule.rule {
        extended.when = When::Always;
    }
}

/// Requests fail and nothing of them is done.
fn plain(rule: &mut FaultRule) {
    match &mut rule.rule {
        Rule::InjectError(inject) => inject.immediately = false,
        Rule::Extended(extended) => match extended.effect {
            Effect::Partial { errno, .. }
            | Effect::Torn { errno, .. }
            | Effect::AppliedButFailed(errno) => extended.effect = Effect::Error(errno),
            _ => {}
        },
        _ => {}
    }
}

fn eio(rule: &mut FaultRule) {
    match &mut rule.rule {
        Rule::InjectError(inject) => {
            inject.errno = inject.errno.map(|_| Errno::EIO);
        }
        Rule::Extended(extended) => match &mut extended.effect {
            Effect::Error(errno)
            | Effect::Partial { errno, .. }
            | Effect::Torn { errno, .. }
            | Effect::AppliedButFailed(errno) => *errno = Errno::EIO,
            _ => {}
        },
        _ => {}
    }
}

fn in_any_state(rule: &mut FaultRule) {
    match &mut rule.rule {
        Rule::InjectError(inject) => inject.state = 0,
        Rule::SetState { state, .. } => *state = 0,
        _ => {}
    }
}

fn of_any_kind(rule: &mut FaultRule) {
    if let Rule::InjectError(inject) = &mut rule.rule {
        inject.iotypes = IoTypes::ALL_BUT_BLOCK_STATUS;
    }
}

fn lasting(rule: &mut FaultRule) {
    if let Rule::InjectError(inject) = &mut rule.rule {
        inject.once = false;
    }
}
