//! Inputs that are what a client of the NBD server sends.
//!
//! The first byte says how the bytes come in and whether a negotiation goes before them; the rest
//! is the client's. A naive server, which knows one small disk as a row of bytes, says what each
//! request must be answered with.

use blkproof::device::Store as _;
use blkproof::spec::{ImageName, Length};
use blkproof_qemu::nbd::{Client, DirtyBitmap, Export, Outbox, Session, Step};

/// The size of the disk at first, and the largest that is judged.
const SIZE: u64 = 64 << 10;
const SIZE_MAX: u64 = 1 << 20;

/// How much an input may have read: more takes too long.
const READ_MAX: usize = 8 << 20;

/// Fixed newstyle; structured replies; both contexts; the default export.
const NEGOTIATION: &[u8] = b"\0\0\0\x03\
    IHAVEOPT\0\0\0\x08\0\0\0\0\
    IHAVEOPT\0\0\0\x0a\0\0\0\x33\0\0\0\0\0\0\0\x02\
    \0\0\0\x0fbase:allocation\0\0\0\x14qemu:dirty-bitmap:b0\
    IHAVEOPT\0\0\0\x07\0\0\0\x06\0\0\0\0\0\0";

/// Returns the input of a client that has negotiated, or not, and sends these bytes.
#[must_use]
pub fn nbd_input(negotiated: bool, bytes: &[u8]) -> Vec<u8> {
    let first = if negotiated { 0x80 } else { 0 };
    [&[first], bytes].concat()
}

/// Has a client send the bytes. The server takes in what is complete and no more, answers as the
/// naive one does, and does the same however the bytes come in.
///
/// # Panics
///
/// Where that is not so.
pub fn nbd(bytes: &[u8]) -> bool {
    let Some((first, sent)) = bytes.split_first() else {
        return true;
    };
    let negotiation = if first & 0x80 != 0 { NEGOTIATION } else { &[] };
    let sent = [negotiation, sent].concat();
    let Some(whole) = converse(&sent, sent.len()) else {
        return false;
    };
    let piece = usize::from(first & 0x7f) + 1;
    let Some(pieces) = converse(&sent, piece) else {
        return false;
    };
    assert!(
        whole == pieces,
        "in pieces of {piece} bytes it does something else"
    );
    true
}

/// Has the bytes come in, so many at a time. Returns everything that is answered, or `None` where
/// the input asks for more than a run may take.
fn converse(sent: &[u8], piece: usize) -> Option<Vec<u8>> {
    let name = ImageName::new("disk0");
    let export = Export::new(&name, Length(SIZE), true, false, &[]).expect("a disk in memory");
    let bitmap = DirtyBitmap::new("b0", 4096, true).expect("a bitmap");
    export.add_bitmap(bitmap).expect("the first bitmap");
    let mut out = Outbox::new();
    let mut talk = Talk {
        session: Session::new(export.offer(), &mut out),
        naive: Naive::new(),
        client: None,
        answered: out.bytes().to_vec(),
        out,
        read: 0,
    };
    let (mut start, mut end) = (0, 0);
    loop {
        match talk.step(&export, &sent[start..end])? {
            Next::Taken(len) => start += len,
            Next::End => break,
            Next::More if end == sent.len() => break,
            Next::More => end = sent.len().min(end + piece.max(1)),
        }
    }
    talk.confirm(&export);
    Some(talk.answered)
}

enum Next {
    Taken(usize),
    More,
    End,
}

struct Talk {
    session: Session,
    client: Option<Client>,
    naive: Naive,
    out: Outbox,
    answered: Vec<u8>,
    read: usize,
}

impl Talk {
    fn step(&mut self, export: &Export, input: &[u8]) -> Option<Next> {
        self.out.clear();
        let was_open = self.session.is_open();
        let step = self.session.step(input, export.size(), &mut self.out);
        let next = match step {
            Step::Need(len) => {
                assert!(len > input.len(), "{len} bytes are there");
                assert!(self.out.is_empty(), "an answer to half a message");
                return Some(Next::More);
            }
            Step::End(why) => {
                assert!(!why.is_empty());
                Next::End
            }
            Step::Taken(len) => {
                assert!(len <= input.len());
                if was_open {
                    self.naive.refuses(input, len, self.out.bytes());
                }
                Next::Taken(len)
            }
            Step::Request {
                taken,
                request,
                data,
            } => {
                assert!(was_open && taken <= input.len() && data.end <= taken);
                let client = self
                    .client
                    .get_or_insert_with(|| export.admit(&self.session));
                let head = Head::read(input);
                if head.command == 8 && head.offset > SIZE_MAX {
                    return None;
                }
                let done = client.carry_out(&request, &input[data.clone()], &mut self.out);
                assert!(done.is_ok(), "nothing waits without a rule");
                self.naive
                    .carries_out(&head, &input[data], self.out.bytes());
                Next::Taken(taken)
            }
        };
        if !was_open {
            negotiates(self.out.bytes(), self.session.is_open());
        }
        self.read += self.out.len();
        self.answered.extend(self.out.bytes());
        (self.read <= READ_MAX).then_some(next)
    }

    /// The disk holds what the naive one does.
    fn confirm(&self, export: &Export) {
        let mut store = export.store().clone();
        let mut device = store.open(export.name()).expect("the disk");
        assert_eq!(device.size().0, self.naive.bytes.len() as u64);
        let mut bytes = vec![0; self.naive.bytes.len()];
        let read = device.read_at(0.into(), &mut bytes);
        assert!(read.is_ok() && bytes == self.naive.bytes, "other bytes");
    }
}

/// Every answer of a negotiation is whole.
fn negotiates(mut answer: &[u8], open: bool) {
    const MAGIC: [u8; 8] = 0x0003_e889_0455_65a9_u64.to_be_bytes();
    while !answer.is_empty() {
        if !answer.starts_with(&MAGIC) {
            // The answer to the name of an export, with padding or without.
            assert!(open && [10, 134].contains(&answer.len()), "{answer:?}");
            return;
        }
        let len = number(&answer[16..20]);
        answer = &answer[20 + index(len)..];
    }
}

/// A request's head, read once more.
struct Head {
    flags: u64,
    command: u64,
    cookie: u64,
    offset: u64,
    len: u64,
}

impl Head {
    fn read(bytes: &[u8]) -> Self {
        assert_eq!(bytes[..4], [0x25, 0x60, 0x95, 0x13]);
        Self {
            flags: number(&bytes[4..6]),
            command: number(&bytes[6..8]),
            cookie: number(&bytes[8..16]),
            offset: number(&bytes[16..24]),
            len: number(&bytes[24..28]),
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a disk that fits memory")
}

/// A reply, read: its cookie, its error, and what its chunks carry.
struct Reply<'a> {
    cookie: u64,
    error: u64,
    chunks: Vec<(u64, &'a [u8])>,
}

impl<'a> Reply<'a> {
    /// Reads the one reply that `bytes` are; `len` bytes of data follow a simple one that has them.
    fn read(bytes: &'a [u8], len: u64) -> Self {
        if bytes[..4] == [0x67, 0x44, 0x66, 0x98] {
            let error = number(&bytes[4..8]);
            let wanted = if error == 0 { len } else { 0 };
            assert_eq!(bytes.len() as u64, 16 + wanted, "a simple reply");
            return Self {
                cookie: number(&bytes[8..16]),
                error,
                chunks: vec![(1, &bytes[16..])],
            };
        }
        let (mut rest, mut chunks, mut error, mut cookie) = (bytes, Vec::new(), 0, None);
        loop {
            assert_eq!(rest[..4], [0x66, 0x8e, 0x33, 0xef], "the magic of a chunk");
            let (flags, kind) = (number(&rest[4..6]), number(&rest[6..8]));
            let own = number(&rest[8..16]);
            assert_eq!(*cookie.get_or_insert(own), own, "chunks of one reply");
            let end = 20 + index(number(&rest[16..20]));
            let payload = &rest[20..end];
            if kind & 0x8000 == 0 {
                chunks.push((kind, payload));
            } else {
                error = number(&payload[..4]);
                let message = number(&payload[4..6]);
                assert_eq!(payload.len() as u64, 6 + message);
                assert_ne!(error, 0);
            }
            rest = &rest[end..];
            if flags & 1 == 1 {
                assert!(rest.is_empty(), "more than one reply");
                let cookie = cookie.unwrap_or_default();
                return Self {
                    cookie,
                    error,
                    chunks,
                };
            }
        }
    }
}

/// A server that knows its disk as a row of bytes.
struct Naive {
    bytes: Vec<u8>,
    dirty: Vec<bool>,
}

impl Naive {
    fn new() -> Self {
        Self {
            bytes: vec![0; index(SIZE)],
            dirty: vec![false; index(SIZE_MAX / 4096)],
        }
    }

    /// Whether a request may be carried out, but for flags that depend on the negotiation.
    fn allows(&self, head: &Head) -> bool {
        let flags = match head.command {
            0 => 4,
            6 => 2 | 16,
            7 => 8,
            1..=5 | 8 => 0,
            _ => return false,
        };
        let end = head.offset.checked_add(head.len);
        let inside = end.is_some_and(|end| end <= self.bytes.len() as u64);
        let fits = match head.command {
            3 => head.offset == 0 && head.len == 0,
            7 => inside && head.len > 0,
            8 => true,
            _ => inside,
        };
        fits && head.flags & !(flags | 1) == 0
    }

    /// Something was taken in and not carried out: a request that is not allowed, or its data.
    fn refuses(&self, input: &[u8], taken: usize, answer: &[u8]) {
        if answer.is_empty() {
            return;
        }
        let reply = Reply::read(answer, 0);
        assert_ne!(reply.error, 0, "a refusal without an error");
        if taken >= 28 && input[..4] == [0x25, 0x60, 0x95, 0x13] {
            let head = Head::read(input);
            assert_eq!(reply.cookie, head.cookie);
            // What depends on the negotiation may be refused though it looks well.
            let depends = head.command == 7 || head.command == 0 && head.flags & 4 != 0;
            assert!(depends || !self.allows(&head), "a good request is refused");
        }
    }

    fn carries_out(&mut self, head: &Head, data: &[u8], answer: &[u8]) {
        assert!(self.allows(head), "a bad request is carried out");
        let is_read = head.command == 0;
        let reply = Reply::read(answer, if is_read { head.len } else { 0 });
        assert_eq!(reply.cookie, head.cookie);
        assert_eq!(reply.error, 0);
        if head.command == 8 {
            self.resize(index(head.offset));
            return;
        }
        let range = index(head.offset)..index(head.offset + head.len);
        match head.command {
            0 => self.check_read(range, &reply),
            7 => self.check_status(range, head.flags & 8 != 0, &reply),
            1 | 4 | 6 => {
                let bytes = &mut self.bytes[range.clone()];
                if head.command == 1 {
                    bytes.copy_from_slice(data);
                } else {
                    bytes.fill(0);
                }
                if !range.is_empty() {
                    self.dirty[range.start / 4096..=(range.end - 1) / 4096].fill(true);
                }
            }
            _ => {}
        }
    }

    fn resize(&mut self, size: usize) {
        let old = self.bytes.len();
        self.bytes.resize(size, 0);
        self.dirty[size.div_ceil(4096)..].fill(false);
        if size > old {
            self.dirty[old / 4096..size.div_ceil(4096)].fill(true);
        }
    }

    fn check_read(&self, range: core::ops::Range<usize>, reply: &Reply<'_>) {
        let [(kind, payload)] = reply.chunks[..] else {
            panic!("data comes in one piece");
        };
        let wanted = &self.bytes[range.clone()];
        // Simple replies have the data alone, and so has none that is structured.
        if payload.len() == wanted.len() + 8 {
            assert_eq!((kind, number(&payload[..8])), (1, range.start as u64));
            assert!(payload[8..] == *wanted, "other bytes");
        } else {
            assert!(payload == wanted, "other bytes");
        }
    }

    fn check_status(&self, range: core::ops::Range<usize>, one: bool, reply: &Reply<'_>) {
        assert!(!reply.chunks.is_empty());
        for (kind, payload) in &reply.chunks {
            assert_eq!(*kind, 5);
            let (runs, rest) = payload[4..].as_chunks::<8>();
            assert!(rest.is_empty() && !runs.is_empty());
            assert!(!one || runs.len() == 1);
            let mut position = range.start;
            for run in runs {
                let len = index(number(&run[..4]));
                assert!(len > 0);
                let flags = number(&run[4..]);
                self.check_run(position..position + len, number(&payload[..4]), flags);
                position += len;
            }
            assert!(position <= range.end && (one || position == range.end));
        }
    }

    fn check_run(&self, run: core::ops::Range<usize>, context: u64, flags: u64) {
        if context == 0 {
            let zero = self.bytes[run].iter().all(|byte| *byte == 0);
            assert!(zero || flags == 0, "data is called zeroes");
            return;
        }
        let dirty = &self.dirty[run.start / 4096..=(run.end - 1) / 4096];
        assert!(
            dirty.iter().all(|dirty| *dirty == (flags == 1)),
            "another bitmap"
        );
    }
}
