//! The trace: what happened at the devices, in order.

use core::fmt;

use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, IoType, Length, Place};

use crate::block_device::IoError;
use crate::fault_store::FaultStore;
use crate::media::Media;

/// Something that happened at a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceEntry {
    /// Where.
    pub place: Place,
    /// What.
    pub what: Traced,
    /// How the caller saw it end.
    pub result: Result<(), IoError>,
}

/// What a trace remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Traced {
    /// A request.
    Request(IoType, ByteRange),
    /// A change of size.
    Resize(Length),
    /// An event was raised.
    Event(Event),
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.place)?;
        match self.what {
            Traced::Request(kind, range) => write!(f, "{kind} {range}")?,
            Traced::Resize(size) => write!(f, "resize {size}")?,
            Traced::Event(event) => write!(f, "event {event}")?,
        }
        match &self.result {
            Ok(()) => Ok(()),
            Err(error) => write!(f, ": {error}"),
        }
    }
}

/// How many requests of each kind reached a device since it was made.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counters([u64; IoType::ALL.len()]);

impl Counters {
    pub(crate) fn count(&mut self, kind: IoType) {
        self.0[kind as usize] += 1;
    }

    /// Returns how many requests of this kind there were.
    #[must_use]
    pub fn of(&self, kind: IoType) -> u64 {
        self.0[kind as usize]
    }
}

impl<M: Media> FaultStore<M> {
    /// Forgets the oldest of the rules' doings, but for this many: for stores that run so long that
    /// nobody asks for them.
    pub fn trim_ledger(&self, kept: usize) {
        let ledger = &mut self.desk().lock().ledger;
        ledger.drain(..ledger.len().saturating_sub(kept));
    }
}
