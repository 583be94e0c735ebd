//! One connection: bytes in, requests carried out, bytes out.

use std::io::{self, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use blkproof_device::{PowerLoss, Wait};
use blkproof_qemu::nbd::{Client, KEPT, Outbox, Request, Session, Step};

use super::eager::Eagerness;
use super::hub::{Hub, Place};
use super::listen::Stream;
use super::parked::Parked;

/// How much is read at a time at least.
const CHUNK: usize = 256 << 10;

/// How many of the rules' doings are kept until somebody asks for them; how often it is looked
/// whether there are more.
const FIRINGS_KEPT: usize = 100_000;
const FIRINGS_LOOKED_AT: u64 = 4096;

/// How much is collected before it is sent at the latest.
const SENT: usize = 256 << 10;

/// Serves a client to its end.
pub(crate) fn serve(hub: &Hub, stream: Stream, place: Place) {
    let mut out = Outbox::new();
    let mut offer = hub.export().offer();
    if place.refused {
        offer.refused = Some("too many clients are connected".to_owned());
    }
    let session = Session::new(offer, &mut out);
    let connection = Connection {
        line: Line::new(hub, stream, place.ends),
        session,
        inbox: Inbox::default(),
        out,
    };
    // Whichever way it ends, there is nobody left to be told.
    let parked = connection.run();
    // What waits is carried out to its end, though nobody listens: until then it has its place.
    if let Some(parked) = parked {
        parked.wait();
    }
    drop(place);
}

/// Where replies go. Those of requests that waited come from another thread.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hub: Hub,
    stream: Stream,
    sending: Mutex<()>,
    ends: u64,
}

impl Line {
    fn new(hub: &Hub, stream: Stream, ends: u64) -> Self {
        Self(Arc::new(Shared {
            hub: hub.clone(),
            stream,
            sending: Mutex::new(()),
            ends,
        }))
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Tells whether the server this connection belongs to is no more.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.hub.export().store().is_off() || self.0.hub.is_over(self.0.ends)
    }

    /// Sends what is to be sent. After a loss of power nobody hears anything any more.
    pub(crate) fn send(&self, out: &mut Outbox) -> io::Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        if self.is_gone() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let sending = self.0.sending.lock();
        let sending = sending.unwrap_or_else(PoisonError::into_inner);
        (&self.0.stream).write_all(out.bytes())?;
        drop(sending);
        out.clear();
        Ok(())
    }

    /// Carries out a request; where that is the moment of a loss of power, all connections end.
    pub(crate) fn carry_out(
        &self,
        client: &Client,
        request: &Request,
        data: &[u8],
        out: &mut Outbox,
    ) -> io::Result<Result<(), Wait>> {
        let result = catch_unwind(AssertUnwindSafe(|| client.carry_out(request, data, out)));
        match result {
            Ok(done) => Ok(done),
            Err(panic) if panic.is::<PowerLoss>() => {
                self.0.hub.strike();
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// A connection and what lies on its way in and out.
#[derive(Debug)]
struct Connection {
    line: Line,
    session: Session,
    inbox: Inbox,
    out: Outbox,
}

impl Connection {
    /// Serves the client until one of the two ends it, and returns what still waits.
    fn run(mut self) -> Option<Parked> {
        if !self.negotiate().unwrap_or(false) {
            return None;
        }
        let client = self.line.hub().export().admit(&self.session);
        let mut parked = Parked::new(self.line.clone(), client.clone());
        let _ = self.transmit(&client, &mut parked);
        Some(parked)
    }

    /// Negotiates, and tells whether the export is in use then.
    fn negotiate(&mut self) -> io::Result<bool> {
        let deadline = Instant::now() + self.line.hub().limits().handshake;
        loop {
            match self.session.step(self.inbox.bytes(), 0, &mut self.out) {
                Step::Taken(len) => self.inbox.take(len),
                Step::Need(len) => {
                    self.line.send(&mut self.out)?;
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    self.line.0.stream.set_read_timeout(Some(left))?;
                    self.inbox.fill(&self.line.0.stream, len)?;
                }
                Step::End(_) | Step::Request { .. } => {
                    self.line.send(&mut self.out)?;
                    return Ok(false);
                }
            }
            if self.session.is_open() {
                self.line.0.stream.set_read_timeout(None)?;
                return Ok(true);
            }
            if self.out.len() > SENT {
                self.line.send(&mut self.out)?;
            }
        }
    }

    fn transmit(&mut self, client: &Client, parked: &mut Parked) -> io::Result<()> {
        for messages in 1_u64.. {
            if messages.is_multiple_of(FIRINGS_LOOKED_AT) {
                self.line.hub().export().store().trim_ledger(FIRINGS_KEPT);
            }
            let size = self.line.hub().export().size();
            let input = self.inbox.bytes();
            match self.session.step(input, size, &mut self.out) {
                Step::Taken(len) => self.inbox.take(len),
                Step::Need(len) => {
                    self.line.send(&mut self.out)?;
                    self.inbox.fill(&self.line.0.stream, len)?;
                }
                Step::End(_) => return self.line.send(&mut self.out),
                Step::Request {
                    taken,
                    request,
                    data,
                } => {
                    let data = &input[data];
                    let (line, out) = (&self.line, &mut self.out);
                    if let Err(wait) = line.carry_out(client, &request, data, out)? {
                        self.line.send(&mut self.out)?;
                        parked.park(request, data.to_vec(), wait)?;
                    }
                    self.inbox.take(taken);
                }
            }
            if self.out.len() > SENT {
                self.line.send(&mut self.out)?;
            }
        }
        Ok(())
    }
}

/// Bytes that came in and were not taken yet. Its memory follows what came, never what a client
/// says will come.
#[derive(Debug, Default)]
struct Inbox {
    memory: Vec<u8>,
    start: usize,
    end: usize,
    eager: Eagerness,
}

impl Inbox {
    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    fn take(&mut self, len: usize) {
        self.start += len;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads more. There must be `len` bytes before anything can come of them.
    fn fill(&mut self, mut stream: &Stream, len: usize) -> io::Result<()> {
        self.make_room(len);
        if let Some(read) = self.eager.read(stream, &mut self.memory[self.end..]) {
            return self.filled(read?);
        }
        loop {
            match stream.read(&mut self.memory[self.end..]) {
                Ok(read) => return self.filled(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn filled(&mut self, read: usize) -> io::Result<()> {
        self.end += read;
        match read {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Brings what is there to the front, makes room where there is none, and gives back memory
    /// that only a large request needed.
    fn make_room(&mut self, len: usize) {
        if self.start > 0 {
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let there = self.memory.len();
        if there > CHUNK + KEPT && len.max(self.end) <= CHUNK {
            self.memory.truncate(CHUNK);
            self.memory.shrink_to_fit();
        } else if there < CHUNK {
            self.memory.resize(CHUNK, 0);
        } else if self.end == there {
            let more = there.min(len.saturating_sub(there)).max(1);
            self.memory.resize(there + more, 0);
        }
    }
}
