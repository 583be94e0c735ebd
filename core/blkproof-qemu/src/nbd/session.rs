//! One connection as a state machine.

use core::ops::Range;
use std::sync::Arc;

use super::handshake::{Agreed, Handshake, Progress};
use super::offer::Offer;
use super::outbox::Outbox;
use super::reply;
use super::request::{HEAD, Head, Known, Request};
use super::wire::MAX_PAYLOAD;

/// One connection, from its greeting to its end.
///
/// ```
/// use blkproof_qemu::nbd::{Offer, Outbox, Session, Step};
///
/// let offer = Offer {
///     name: "disk0".into(),
///     description: String::new(),
///     size: 1 << 20,
///     read_only: false,
///     bitmaps: Vec::new(),
///     refused: None,
/// };
/// let mut out = Outbox::new();
/// let mut session = Session::new(offer, &mut out);
/// assert!(out.bytes().starts_with(b"NBDMAGICIHAVEOPT"));
/// // Fixed newstyle; then the name of the default export, which has no byte.
/// let input = *b"\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\0";
/// out.clear();
/// assert_eq!(session.step(&input, 0, &mut out), Step::Taken(4));
/// assert_eq!(session.step(&input[4..], 0, &mut out), Step::Taken(16));
/// assert_eq!(out.bytes()[..8], (1_u64 << 20).to_be_bytes());
/// assert!(session.is_open());
/// ```
#[derive(Debug)]
pub struct Session(Phase);

#[derive(Debug)]
enum Phase {
    Handshake(Box<Handshake>),
    Transmission(Box<Transmission>),
}

/// A connection whose export is in use.
#[derive(Debug)]
pub(crate) struct Transmission {
    agreed: Arc<Agreed>,
    read_only: bool,
    peak: u64,
    /// How much data of a refused request is still to come, and what it is answered then.
    skipping: Option<Skipping>,
}

#[derive(Clone, Copy, Debug)]
struct Skipping {
    head: Head,
    left: u32,
}

/// What comes of the bytes at the front.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing yet: so many bytes have to be there at least.
    Need(usize),
    /// So many bytes were taken in; what they asked for was answered.
    Taken(usize),
    /// A request is to be carried out. All its bytes are taken in, of which `data` is what it
    /// writes.
    Request {
        /// How many bytes were taken in.
        taken: usize,
        /// The request.
        request: Request,
        /// Where its data lies in the bytes.
        data: Range<usize>,
    },
    /// The connection ends here, when what is to be sent was sent: why.
    End(&'static str),
}

impl Session {
    /// Begins a connection.
    #[must_use]
    pub fn new(offer: Offer, out: &mut Outbox) -> Self {
        Self(Phase::Handshake(Box::new(Handshake::new(offer, out))))
    }

    /// Tells whether the negotiation is over and the export in use.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.0, Phase::Transmission(_))
    }

    /// Takes in what stands at the front of `input`, one message at most. The export has `size`
    /// bytes now.
    pub fn step(&mut self, input: &[u8], size: u64, out: &mut Outbox) -> Step {
        let handshake = match &mut self.0 {
            Phase::Transmission(transmission) => return transmission.step(input, size, out),
            Phase::Handshake(handshake) => handshake,
        };
        match handshake.step(input, out) {
            Progress::Need(len) => Step::Need(len),
            Progress::Taken(len) => Step::Taken(len),
            Progress::End(why) => Step::End(why),
            Progress::Done(len) => {
                let (agreed, offer) = handshake.finish();
                self.0 = Phase::Transmission(Box::new(Transmission {
                    agreed: Arc::new(agreed),
                    read_only: offer.read_only,
                    peak: offer.size,
                    skipping: None,
                }));
                Step::Taken(len)
            }
        }
    }

    /// Returns what was agreed upon; nothing before the end of the negotiation.
    pub(crate) fn agreed(&self) -> Arc<Agreed> {
        match &self.0 {
            Phase::Transmission(transmission) => Arc::clone(&transmission.agreed),
            Phase::Handshake(_) => Arc::default(),
        }
    }
}

impl Transmission {
    fn step(&mut self, input: &[u8], size: u64, out: &mut Outbox) -> Step {
        self.peak = self.peak.max(size);
        if self.skipping.is_some() {
            return self.skip(input, size, out);
        }
        let Some(head) = input.first_chunk::<HEAD>() else {
            return Step::Need(HEAD);
        };
        let Some(head) = Head::read(head) else {
            return Step::End("a request does not begin as requests do");
        };
        if head.is_disconnect() {
            return Step::End("the client is done");
        }
        if head.data_len() > MAX_PAYLOAD {
            self.skipping = Some(Skipping {
                head,
                left: head.data_len(),
            });
            return Step::Taken(HEAD);
        }
        let taken = HEAD + head.data_len() as usize;
        if input.len() < taken {
            return Step::Need(taken);
        }
        match head.operation(&self.known(size)) {
            Ok(operation) => Step::Request {
                taken,
                request: Request {
                    cookie: head.cookie,
                    operation,
                },
                data: HEAD..taken,
            },
            Err(errno) => {
                reply::failed(head.cookie, errno, self.agreed.structured, out);
                Step::Taken(taken)
            }
        }
    }

    /// Drops data of a request that was too long, and answers it at its end.
    fn skip(&mut self, input: &[u8], size: u64, out: &mut Outbox) -> Step {
        let known = self.known(size);
        let Some(skipping) = &mut self.skipping else {
            return Step::Taken(0);
        };
        let taken = input.len().min(skipping.left as usize);
        skipping.left -= u32::try_from(taken).unwrap_or(skipping.left);
        if skipping.left > 0 {
            return if taken == 0 {
                Step::Need(1)
            } else {
                Step::Taken(taken)
            };
        }
        let head = skipping.head;
        self.skipping = None;
        // It is refused for its length, if for nothing else.
        if let Err(errno) = head.operation(&known) {
            reply::failed(head.cookie, errno, self.agreed.structured, out);
        }
        Step::Taken(taken)
    }

    fn known(&self, size: u64) -> Known {
        Known {
            size,
            peak: self.peak,
            read_only: self.read_only,
            structured: self.agreed.structured,
            has_contexts: self.agreed.structured && !self.agreed.contexts.is_empty(),
        }
    }
}
