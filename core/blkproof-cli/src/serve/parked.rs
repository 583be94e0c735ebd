//! Requests that wait: for virtual time, or at a breakpoint.
//!
//! A second thread of the connection makes them again when their wait is over, while the first one
//! serves the client's other requests. It is started for the first request that waits.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_device::{Store as _, Wait};
use blkproof_qemu::nbd::{Client, Outbox, Request};

use super::connection::Line;
use super::listen;

/// How many requests of a connection wait at most; until one goes on, no more are read.
const REQUESTS_MAX: usize = 128;

/// How much data they have at most, but for one.
const DATA_MAX: usize = 32 << 20;

/// The requests of one connection that wait.
#[derive(Debug)]
pub(crate) struct Parked {
    line: Line,
    lot: Arc<Mutex<Lot>>,
    /// What the second thread works with, until there is one.
    client: Option<Client>,
}

#[derive(Debug, Default)]
struct Lot {
    requests: Vec<Waiting>,
    /// How many requests are being made again at the moment.
    busy: usize,
    /// No more come.
    closed: bool,
    /// The second thread is gone.
    ended: bool,
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    data: Vec<u8>,
    wait: Wait,
}

impl Lot {
    fn is_full(&self) -> bool {
        let data: usize = self.requests.iter().map(|waiting| waiting.data.len()).sum();
        self.requests.len() >= REQUESTS_MAX || data >= DATA_MAX
    }
}

fn lock(lot: &Mutex<Lot>) -> MutexGuard<'_, Lot> {
    lot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Parked {
    pub(crate) fn new(line: Line, client: Client) -> Self {
        Self {
            line,
            lot: Arc::default(),
            client: Some(client),
        }
    }

    /// Takes in a request that waits. Where there are too many, waits until one goes on.
    pub(crate) fn park(&mut self, request: Request, data: Vec<u8>, wait: Wait) -> io::Result<()> {
        lock(&self.lot).requests.push(Waiting {
            request,
            data,
            wait,
        });
        if let Some(client) = self.client.take() {
            let (line, lot) = (self.line.clone(), Arc::clone(&self.lot));
            listen::spawn(move || {
                run(&line, &lot, &client);
                lock(&lot).ended = true;
                line.hub().move_on();
            })?;
        }
        let hub = self.line.hub();
        hub.move_on();
        loop {
            let moves = hub.moves();
            if self.line.is_gone() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if !lock(&self.lot).is_full() {
                return Ok(());
            }
            hub.wait(moves);
        }
    }

    /// Waits until nothing waits any more, or everything ends.
    pub(crate) fn wait(self) {
        if self.client.is_some() {
            return;
        }
        lock(&self.lot).closed = true;
        let hub = self.line.hub();
        hub.move_on();
        loop {
            let moves = hub.moves();
            if lock(&self.lot).ended || self.line.is_gone() {
                return;
            }
            hub.wait(moves);
        }
    }
}

/// Makes requests again when their wait is over, until there will be no more.
fn run(line: &Line, lot: &Mutex<Lot>, client: &Client) {
    let hub = line.hub();
    let mut out = Outbox::new();
    loop {
        let moves = hub.moves();
        if line.is_gone() {
            return;
        }
        while let Some(waiting) = next(line, lot) {
            let result = line.carry_out(client, &waiting.request, &waiting.data, &mut out);
            let mut lot = lock(lot);
            lot.busy -= 1;
            match result {
                Err(_) => return,
                Ok(Ok(())) => {}
                Ok(Err(wait)) => lot.requests.push(Waiting { wait, ..waiting }),
            }
            drop(lot);
            hub.move_on();
            if line.send(&mut out).is_err() {
                // Nobody listens any more; what waits is still carried out.
                out.clear();
            }
        }
        let lot = lock(lot);
        if lot.closed && lot.requests.is_empty() {
            return;
        }
        drop(lot);
        hub.wait(moves);
    }
}

/// Returns the oldest request whose wait is over.
fn next(line: &Line, lot: &Mutex<Lot>) -> Option<Waiting> {
    let store = line.hub().export().store();
    let mut lot = lock(lot);
    let index = lot
        .requests
        .iter()
        .position(|waiting| store.is_over(&waiting.wait))?;
    lot.busy += 1;
    Some(lot.requests.remove(index))
}
