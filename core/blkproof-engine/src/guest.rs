//! Commands about guest requests: carrying them out, submitting, advancing and settling them.

use blkproof_device::Wait;
use blkproof_spec::step::GuestOp;
use blkproof_spec::{At, Refusal, Reply, RequestId, StepNumber, Units, WriteNumber};

use crate::bugs::Bug;
use crate::copier::Unit;
use crate::machine::Machine;
use crate::node::{NodeId, Place};
use crate::request::{Request, changes};

impl Machine {
    /// Carries a request out to its end, unless it has to wait or that is too much for one step.
    pub(crate) fn guest(
        &mut self,
        number: StepNumber,
        at: &At,
        op: &GuestOp,
        read: &mut Vec<u8>,
    ) -> Result<Reply, Refusal> {
        let mut request = self.admit(number, at, op, None)?;
        request.data = core::mem::take(read);
        for _ in 0..self.units_max.0 {
            match self.step_request(&mut request) {
                Unit::Done => {}
                Unit::Waits(_) | Unit::Limited(_) => break,
                Unit::Nothing => {
                    *read = core::mem::take(&mut request.data);
                    return Ok(request.reply());
                }
            }
        }
        self.requests.push(request);
        Ok(Reply::Pending)
    }

    /// Submits a request that stays in flight.
    pub(crate) fn start_request(
        &mut self,
        number: StepNumber,
        id: &RequestId,
        at: &At,
        op: &GuestOp,
    ) -> Result<Reply, Refusal> {
        if self.request_named(id).is_some() {
            return Err(Refusal::BadRequest);
        }
        let request = self.admit(number, at, op, Some(id.clone()))?;
        self.requests.push(request);
        Ok(Reply::Done)
    }

    /// Carries a request in flight out to its end, unless it has to wait.
    pub(crate) fn settle_request(
        &mut self,
        id: &RequestId,
        read: &mut Vec<u8>,
    ) -> Result<Reply, Refusal> {
        let serial = self.request_named(id).ok_or(Refusal::BadRequest)?;
        if self.run_request(serial).is_err() {
            return Ok(Reply::Pending);
        }
        let index = self.request_index(serial).ok_or(Refusal::BadRequest)?;
        let mut request = self.requests.remove(index);
        core::mem::swap(read, &mut request.data);
        Ok(request.reply())
    }

    /// Does some units of a request's work.
    pub(crate) fn advance_request(
        &mut self,
        id: &RequestId,
        units: Units,
    ) -> Result<Reply, Refusal> {
        let serial = self.request_named(id).ok_or(Refusal::BadRequest)?;
        for done in 0..units.0 {
            if done == self.units_max.0 {
                return Ok(Reply::Pending);
            }
            if self.step_numbered(serial) != Unit::Done {
                break;
            }
        }
        Ok(Reply::Done)
    }

    /// Lets plain requests go on whose wait is over.
    pub(crate) fn go_on(&mut self) {
        let plain: Vec<u32> = self
            .requests
            .iter()
            .filter(|request| request.id.is_none())
            .map(|request| request.serial)
            .collect();
        for serial in plain {
            let _waits_on = self.run_request(serial);
        }
    }

    /// Carries all requests on some nodes out to their end.
    pub(crate) fn drain(&mut self, on: impl Fn(NodeId) -> bool) -> Result<(), Wait> {
        if self.requests.is_empty() {
            return Ok(());
        }
        let flying: Vec<u32> = self
            .requests
            .iter()
            .filter(|request| on(request.node()))
            .map(|request| request.serial)
            .collect();
        for serial in flying {
            self.run_request(serial)?;
        }
        Ok(())
    }

    fn request_named(&self, id: &RequestId) -> Option<u32> {
        let mut requests = self.requests.iter();
        let request = requests.find(|request| request.id.as_ref() == Some(id));
        request.map(|request| request.serial)
    }

    pub(crate) fn request_index(&self, serial: u32) -> Option<usize> {
        self.requests
            .iter()
            .position(|request| request.serial == serial)
    }

    /// Checks a request and makes its state machine.
    fn admit(
        &mut self,
        number: StepNumber,
        at: &At,
        op: &GuestOp,
        id: Option<RequestId>,
    ) -> Result<Request, Refusal> {
        let place = self.nodes.find(at).ok_or(Refusal::NoSuchDevice)?;
        let node = &self.nodes[place.node()];
        if changes(op) && place == Place::Node(place.node()) && !node.filters.is_empty() {
            return Err(Refusal::PermissionConflict);
        }
        self.requests_made = self.requests_made.wrapping_add(1);
        let write = WriteNumber(number.0);
        let mut request = Request::new(self.requests_made, id, place, op.clone(), write, self.bugs);
        request.end_at_once(node);
        if self.bugs.has(Bug::NothingMarks) && changes(op) && op.range().is_empty() {
            self.nodes[place.node()].record(op.range());
        }
        Ok(request)
    }
}
