//! The engine as a subject of the harness: the only file that knows the harness.

use blkproof::{Subject, SubjectError};
use blkproof_device::{BlockDevice, IoResult, Parcel, Store};
use blkproof_spec::step::{Backup, Run, Work};
use blkproof_spec::{
    Action, At, ByteRange, Capabilities, JobEvent, Offset, Refusal, Reply, Setup, Status,
    StepNumber,
};

use crate::bugs::Bugs;
use crate::machine::Machine;
use crate::stop::Stop;

/// The built-in backup engine.
#[derive(Debug)]
pub struct Engine(Machine);

impl Engine {
    /// Makes an engine that has nothing open.
    #[must_use]
    pub fn new() -> Self {
        Self::with_bugs(Bugs::NONE)
    }

    /// Makes an engine that has nothing open and makes these mistakes.
    #[must_use]
    pub fn with_bugs(bugs: Bugs) -> Self {
        Self(Machine::new(bugs))
    }

    fn act(
        &mut self,
        number: StepNumber,
        action: &Action,
        read: &mut Vec<u8>,
    ) -> Result<Reply, Stop> {
        let machine = &mut self.0;
        let reply = match action {
            Action::Guest { at, op } => machine.guest(number, at, op, read)?,
            Action::Start { request, at, op } => machine.start_request(number, request, at, op)?,
            Action::Settle { request } => machine.settle_request(request, read)?,
            Action::Resize { at, size } => machine.resize(at, *size).map(|()| Reply::Done)?,
            Action::Bitmap(step) => {
                let undo = machine.prepare_bitmap(step)?;
                machine.commit_bitmap(&undo);
                Reply::Done
            }
            Action::Create(step) => machine.create(step).map(|()| Reply::Done)?,
            Action::Rebase { image, backing } => machine
                .rebase(image, backing.as_ref())
                .map(|()| Reply::Done)?,
            Action::Remove { image } => machine.remove(image).map(|()| Reply::Done)?,
            Action::Backup { backup, run } => self.backup(backup, *run)?,
            Action::Job { job, verb } => machine.command(job, *verb)?,
            Action::Advance { work, units } => match work {
                Work::Job(job) => machine.advance_job(job, *units)?,
                Work::Request(request) => machine.advance_request(request, *units)?,
            },
            Action::Finish { job } => {
                let index = machine.job_named(job)?;
                machine.finish_job(machine.jobs[index].serial)
            }
            Action::Transaction { actions, mode } => machine.transaction(actions, *mode)?,
            Action::Tick(span) => {
                machine.tick(span.0);
                Reply::Done
            }
            Action::Install(_) | Action::Lift(_) | Action::LiftAll | Action::ResumeTag(_) => {
                machine.go_on();
                Reply::Done
            }
            Action::WaitFor(tag) => machine.wait_for(tag)?,
            _ => return Err(Refusal::Unsupported.into()),
        };
        Ok(reply)
    }

    fn look(
        &mut self,
        at: &At,
        range: ByteRange,
        read: impl FnOnce(&mut dyn BlockDevice) -> IoResult<()>,
    ) -> Result<(), SubjectError> {
        if self.0.store.is_none() {
            return Err(SubjectError::new("the engine is not open"));
        }
        self.0.peek(at, range, read).map_err(SubjectError::new)
    }

    fn backup(&mut self, backup: &Backup, run: Run) -> Result<Reply, Refusal> {
        let machine = &mut self.0;
        let job = machine.create_job(backup, None)?;
        machine.start_job(job);
        Ok(match run {
            Run::Start => Reply::Done,
            Run::Finish => machine.finish_job(job),
        })
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Subject for Engine {
    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.0.prepare(store, setup).map_err(SubjectError::new)
    }

    fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.0.open(store, setup).map_err(SubjectError::new)
    }

    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        self.0.peeked = None;
        self.0.ended.clear();
        self.0.jobs.iter_mut().for_each(|job| job.fruitless = 0);
        if self.0.store.is_none() {
            return Reply::Refused(Refusal::Unsupported);
        }
        match self.act(number, action, read) {
            Ok(reply) => reply,
            Err(stop) => stop.reply(),
        }
    }

    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        self.look(at, range, |device| device.read_at(Offset(range.start), buf))
    }

    fn peek_parcel(
        &mut self,
        at: &At,
        range: ByteRange,
        parcel: &mut Parcel,
    ) -> Result<(), SubjectError> {
        self.look(at, range, |device| device.read_parcel(range, parcel))
    }

    fn status(&mut self, status: &mut Status) {
        self.0.report(status);
    }

    fn drain_events(&mut self, events: &mut Vec<JobEvent>) {
        events.append(&mut self.0.events);
    }

    fn close(&mut self) -> Result<(), SubjectError> {
        match self.0.settle_all() {
            Ok(settled) => {
                self.0.close();
                settled.map_err(SubjectError::new)
            }
            Err(_waits) => Err(SubjectError::refused(Refusal::CannotDrain)),
        }
    }
}
