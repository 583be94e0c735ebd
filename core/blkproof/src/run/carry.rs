//! Carrying out one step, and showing the model what was seen of it.

use core::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use blkproof_device::Overrun;
use blkproof_spec::step::{Action, Expect};
use blkproof_spec::{Observation, Refusal, Reply, Step, StepNumber};

use super::Run;
use super::allowance::Allowance;
use super::compare::Look;
use super::lost::completed;
use super::power::{is_loss, not_opened};
use super::world::World;
use crate::outcome::{Failure, Finding, Moment, NotJudged};
use crate::subject::{Subject, SubjectError};
use crate::text::describe;

impl Run<'_> {
    /// Carries out a step, shows it to the model, and fulfils what the model demands.
    pub(super) fn observe(&mut self, number: StepNumber, action: &Action) -> Reply {
        self.buffers.judgement.clear();
        self.buffers.read.clear();
        self.buffers.looked.pass();
        if let Some(actors) = &mut self.actors {
            self.world.act_for(&actors.acting(action));
        }
        let Some(reply) = self.carry_out(number, action) else {
            self.take_firings(number);
            self.excuse_restart(action);
            return Reply::Pending;
        };
        self.buffers.replies.push(reply);
        if reply == Reply::Done {
            let is_backup = matches!(action, Action::Backup { .. } | Action::Transaction { .. });
            self.counts.backups += u64::from(is_backup);
            self.buffers.known.note(action);
        } else {
            self.buffers.known.note_targets(action);
        }
        let wants_status = self.capabilities.bitmap_status && self.model.wants_status(action);
        self.gather(number, wants_status);
        self.trace_step(number, reply);
        let buffers = &mut *self.buffers;
        if let (Some(coverage), Moment::Step(_)) = (&mut self.coverage, &self.moment) {
            let cut = reply == Reply::Cut;
            let held = !buffers.suspended.is_empty() && !cut;
            let fired = if cut { &[] } else { &buffers.fired[..] };
            coverage.note(action, self.model, reply, fired, held);
        }
        let seen = Observation {
            reply,
            events: &buffers.events,
            status: wants_status.then_some(&buffers.status),
            fired: &buffers.fired,
            data: &buffers.read,
            suspended: &buffers.suspended,
            killed: self.losses.killed(),
        };
        let done = completed(&buffers.events, action, self.model);
        self.model
            .observe(number, action, &seen, &mut buffers.judgement);
        if reply != Reply::Cut {
            self.judge_targets(&done);
        }
        self.take_violations();
        self.judge_remains();
        match (reply, action) {
            (Reply::Cut, _) => self.clear_leftovers(),
            (Reply::Failed(_), Action::Rebase { image, .. }) => self.settle_failed_rebase(image),
            _ => {}
        }
        self.settle_sizes();
        self.judge_reported();
        self.buffers.looked.pass();
        self.fulfil_demands(Look::Passing);
        if reply != Reply::Cut {
            self.look_at_survivors();
        }
        reply
    }

    /// Hands a step to the store and the subject. `None` where the subject failed to answer at all.
    fn carry_out(&mut self, number: StepNumber, action: &Action) -> Option<Reply> {
        if let Some(reply) = self.forced() {
            return reply;
        }
        if is_loss(action) {
            return self.lose(number, action);
        }
        self.arm(true);
        let reply = self.carry_on(number, action);
        if self.world.is_off() {
            // Whatever it said then, nobody heard it.
            self.findings.clear();
            return self.recover();
        }
        self.arm(false);
        reply
    }

    fn carry_on(&mut self, number: StepNumber, action: &Action) -> Option<Reply> {
        if *action == Action::Restart {
            return self.restart();
        }
        if let Some(refusal) = self.act_on_store(action) {
            return Some(Reply::Refused(refusal));
        }
        let read = &mut self.buffers.read;
        match guarded(self.world, self.allowance, || {
            self.subject.apply(number, action, read)
        }) {
            Ok(reply) => Some(reply),
            Err(panic) => {
                self.findings.push(panic);
                None
            }
        }
    }

    /// Lets a step about faults or time act on the store. Returns why it is refused, if it is.
    fn act_on_store(&self, action: &Action) -> Option<Refusal> {
        match action {
            Action::Lift(name) => return (!self.world.lift(name)).then_some(Refusal::NoSuchRule),
            Action::ResumeTag(tag) => {
                return (!self.world.resume(tag)).then_some(Refusal::NoSuchTag);
            }
            Action::Install(rule) => self.world.install(rule),
            Action::LiftAll => self.world.lift_all(),
            Action::Tick(time) => self.world.tick(*time),
            _ => {}
        }
        None
    }

    fn restart(&mut self) -> Option<Reply> {
        if !self.capabilities.restart {
            return Some(Reply::Refused(Refusal::Unsupported));
        }
        let mut refusal = None;
        self.subject("closing the disks", |subject| {
            subject.close().or_else(|error| {
                refusal = error.refusal;
                refusal.map(|_| ()).ok_or(error)
            })
        });
        if let Some(refusal) = refusal {
            return Some(Reply::Refused(refusal));
        }
        let handle = self.world.handle();
        let setup = &self.scenario.setup;
        self.subject("opening the disks again", |subject| {
            subject.open(handle, setup)
        });
        self.findings.is_empty().then_some(Reply::Done)
    }

    /// Takes a restart that faults kept from succeeding as the end of what can be judged: what was
    /// not written when the disks were closed is lost, and the subject said so.
    fn excuse_restart(&mut self, action: &Action) {
        if self.buffers.fired.is_empty() {
            return;
        }
        let message = match self.findings.first() {
            Some(Finding::Subject { message, .. }) if *action == Action::Restart => message.clone(),
            Some(finding) => match not_opened(finding) {
                Some(message) => message,
                None => return,
            },
            None => return,
        };
        self.not_judged = Some(NotJudged::NotOpened(message));
    }

    /// Asks the subject for something that it must be able to do.
    pub(super) fn subject(
        &mut self,
        doing: &str,
        call: impl FnOnce(&mut dyn Subject) -> Result<(), SubjectError>,
    ) -> bool {
        self.buffers.looked.pass();
        let finding = match guarded(self.world, self.allowance, || call(self.subject)) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => Finding::Subject {
                doing: doing.to_owned(),
                message: error.message,
            },
            Err(panic) => panic,
        };
        self.findings.push(finding);
        false
    }

    /// Gathers events, status, faults that fired and suspended requests.
    fn gather(&mut self, number: StepNumber, wants_status: bool) {
        let buffers = &mut *self.buffers;
        buffers.events.clear();
        buffers.events.append(&mut buffers.early);
        let events = &mut buffers.events;
        let status = &mut buffers.status;
        let asked = guarded(self.world, self.allowance, || {
            self.subject.drain_events(events);
            if wants_status {
                status.bitmaps.clear();
                status.jobs.clear();
                self.subject.status(status);
            }
        });
        if let Err(panic) = asked {
            self.findings.push(panic);
        }
        let events = buffers.events.iter();
        let lasting =
            events.filter(|event| !matches!(event, blkproof_spec::JobEvent::Status { .. }));
        buffers.unchecked.extend(lasting.cloned());
        self.take_firings(number);
        self.buffers.suspended.clear();
        self.world.suspended(&mut self.buffers.suspended);
    }

    /// Takes the faults that fired since the last time.
    pub(super) fn take_firings(&mut self, number: StepNumber) {
        let buffers = &mut *self.buffers;
        buffers.fired.clear();
        self.world.drain_ledger(&mut buffers.fired);
        let room = Failure::FIRINGS_MAX.saturating_sub(buffers.firings.len());
        let fired = buffers.fired.iter().take(room).cloned();
        buffers.firings.extend(fired.map(|firing| (number, firing)));
    }

    fn trace_step(&mut self, number: StepNumber, reply: Reply) {
        let Some(trace) = &mut self.trace else {
            return;
        };
        let mut entries = Vec::new();
        self.world.drain_trace(&mut entries);
        for entry in entries {
            trace.line(format_args!("{entry}"));
        }
        trace.line(format_args!("step {} {reply:?}", number.0));
        trace.line(format_args!("{:?}", self.buffers.events));
        trace.bytes(&self.buffers.read);
    }

    /// Compares the answer with what the scenario says.
    pub(super) fn expect(&mut self, expect: Expect, reply: Reply) {
        let met = match (expect, reply) {
            (Expect::Any, _)
            | (Expect::Done, Reply::Done)
            | (Expect::Pending, Reply::Pending)
            | (Expect::Cut, Reply::Cut)
            | (Expect::Refused(None), Reply::Refused(_))
            | (Expect::Failed(None), Reply::Failed(_)) => true,
            (Expect::Refused(Some(expected)), Reply::Refused(seen)) => expected == seen,
            (Expect::Failed(Some(expected)), Reply::Failed(seen)) => expected == seen,
            _ => false,
        };
        let panicked = self
            .findings
            .iter()
            .any(|finding| matches!(finding, Finding::Panic { .. }));
        if !met && !panicked {
            self.findings.push(Finding::Expectation {
                aspect: "reply",
                expected: expect_text(expect),
                seen: reply_text(reply),
            });
        }
    }

    /// Moves the model's violations among the findings.
    pub(super) fn take_violations(&mut self) {
        let exercised = core::mem::take(&mut self.buffers.judgement.exercised);
        if let Some(coverage) = &mut self.coverage {
            coverage.note_exercised(exercised);
        }
        for violation in self.buffers.judgement.violations.drain(..) {
            super::compare::merge(&mut self.findings, violation);
        }
    }
}

/// Calls the subject; a panic becomes a finding, and so does work without end.
pub(super) fn guarded<T>(
    world: &dyn World,
    allowance: Allowance,
    call: impl FnOnce() -> T,
) -> Result<T, Finding> {
    world.allow(allowance.work, allowance.renewals);
    let result = caught(call);
    world.allow(u64::MAX, 0);
    result
}

/// Calls code of the user; a panic becomes a finding.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Finding> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| Finding::Panic {
        message: panic_text(&*panic),
    })
}

/// Returns what a panic says.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(Overrun { allowed, .. }) = panic.downcast_ref() {
        return format!(
            "more than {allowed} requests to the devices (or KiB of their data) in one call"
        );
    }
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

fn expect_text(expect: Expect) -> String {
    // The words of the scenario text, behind `expect=`.
    let text = describe(&Step {
        action: Action::LiftAll,
        expect,
    });
    match text.split_once("expect=") {
        Some((_, words)) => words.to_owned(),
        None => "done".to_owned(),
    }
}

/// Returns an answer in the words of the scenario text.
pub(crate) fn reply_text(reply: Reply) -> String {
    match reply {
        Reply::Done => "done".to_owned(),
        Reply::Refused(refusal) => format!("refused({refusal})"),
        Reply::Failed(errno) => format!("failed({errno})"),
        Reply::Pending => "pending".to_owned(),
        Reply::Cut => "cut".to_owned(),
    }
}
