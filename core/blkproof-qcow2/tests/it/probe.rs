//! A device that fails at one chosen request, and can be looked at while an image has it.

use std::sync::{Arc, Mutex};

use blkproof_device::{BlockDevice, BlockStatus, Durability, IoError, IoResult, MemDisk, Wait};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, Length, Offset, Tag};

use crate::support::disk;

/// What becomes of the request that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// It does not happen.
    Nothing,
    /// Its first half happens.
    Half,
    /// It happens, and is said to have failed.
    All,
    /// It does not happen, and waits.
    Wait,
}

/// The device and what is known of it. Clones are the same device.
#[derive(Clone, Debug)]
pub(crate) struct Probe(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    disk: MemDisk,
    /// Requests and events that came since the last arming.
    count: u64,
    /// Which of them fails.
    fail_at: Option<u64>,
    failure: Failure,
    /// Whether events count, and wait when it is their turn.
    events_wait: bool,
    fired: bool,
    /// Requests are those of a test's own checks: they neither count nor fail.
    quiet: bool,
    events: Vec<Event>,
    /// Copies of the disk after every request that changed it.
    history: Option<Vec<Change>>,
    /// How many flushes succeeded.
    flushes: u64,
}

/// A request that changed the disk.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) range: ByteRange,
    /// A copy of the disk after it.
    pub(crate) after: MemDisk,
    /// How many flushes were before it.
    pub(crate) flushes: u64,
}

impl Probe {
    pub(crate) fn new() -> Self {
        Self::on(disk())
    }

    pub(crate) fn on(disk: MemDisk) -> Self {
        Self(Arc::new(Mutex::new(State {
            disk,
            count: 0,
            fail_at: None,
            failure: Failure::Nothing,
            events_wait: false,
            fired: false,
            quiet: false,
            events: Vec::new(),
            history: None,
            flushes: 0,
        })))
    }

    /// Has the request that is number `at` from now on fail, or the event wait.
    pub(crate) fn arm(&self, at: u64, failure: Failure, events_wait: bool) {
        let mut state = self.0.lock().unwrap();
        state.count = 0;
        state.fail_at = Some(at);
        state.failure = failure;
        state.events_wait = events_wait;
        state.fired = false;
    }

    /// Says whether what comes now is a test's own check.
    pub(crate) fn quiet(&self, quiet: bool) {
        self.0.lock().unwrap().quiet = quiet;
    }

    pub(crate) fn fired(&self) -> bool {
        self.0.lock().unwrap().fired
    }

    pub(crate) fn snapshot(&self) -> MemDisk {
        self.0.lock().unwrap().disk.snapshot()
    }

    pub(crate) fn record(&self) {
        self.0.lock().unwrap().history = Some(Vec::new());
    }

    pub(crate) fn take_history(&self) -> Vec<MemDisk> {
        let changes = self.take_changes().into_iter();
        changes.map(|change| change.after).collect()
    }

    pub(crate) fn take_changes(&self) -> Vec<Change> {
        let mut state = self.0.lock().unwrap();
        state.history.replace(Vec::new()).unwrap_or_default()
    }

    /// Returns how many flushes succeeded.
    pub(crate) fn flushes(&self) -> u64 {
        self.0.lock().unwrap().flushes
    }

    /// Returns the events raised since the last call.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap().events)
    }

    fn change(&self, range: ByteRange, mut act: impl FnMut(&mut MemDisk, u64)) -> IoResult<()> {
        let mut state = self.0.lock().unwrap();
        let turn = state.turn();
        let half = range.len / 2 / 512 * 512;
        match (turn, state.failure) {
            (false, _) | (true, Failure::All) => act(&mut state.disk, range.len),
            (true, Failure::Half) => act(&mut state.disk, half),
            (true, Failure::Nothing | Failure::Wait) => {}
        }
        let (after, flushes) = (state.disk.snapshot(), state.flushes);
        if let Some(history) = &mut state.history {
            history.push(Change {
                range,
                after,
                flushes,
            });
        }
        state.end(turn)
    }
}

impl State {
    fn turn(&mut self) -> bool {
        if self.quiet {
            return false;
        }
        self.count += 1;
        self.fail_at == Some(self.count - 1)
    }

    fn end(&mut self, turn: bool) -> IoResult<()> {
        if turn {
            self.fired = true;
            self.fail_at = None;
            return Err(match self.failure {
                Failure::Wait => waits(),
                _ => IoError::Failed(Errno::EIO),
            });
        }
        Ok(())
    }
}

fn waits() -> IoError {
    IoError::Wait(Wait::Tag(Tag::new("probe")))
}

impl BlockDevice for Probe {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        let mut state = self.0.lock().unwrap();
        let turn = state.turn();
        state.end(turn)?;
        state.disk.read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        let range = ByteRange::new(offset.0, data.len() as u64);
        self.change(range, |disk, len| {
            let len = usize::try_from(len).unwrap();
            disk.write_at(offset, &data[..len], durability).unwrap();
        })
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        self.0.lock().unwrap().disk.write_compressed(offset, data)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        self.change(range, |disk, len| {
            disk.write_zeroes(ByteRange::new(range.start, len), unmap)
                .unwrap();
        })
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.change(range, |disk, len| {
            disk.discard(ByteRange::new(range.start, len)).unwrap();
        })
    }

    fn flush(&mut self) -> IoResult<()> {
        let mut state = self.0.lock().unwrap();
        let turn = state.turn();
        state.end(turn)?;
        state.flushes += 1;
        Ok(())
    }

    fn size(&self) -> Length {
        self.0.lock().unwrap().disk.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        self.0.lock().unwrap().disk.set_size(size)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        self.0.lock().unwrap().disk.block_status(range)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        let mut state = self.0.lock().unwrap();
        if state.events_wait && state.turn() {
            state.fired = true;
            state.fail_at = None;
            return Err(waits());
        }
        state.events.push(event);
        Ok(())
    }
}
