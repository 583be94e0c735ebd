//! Replies, written.

use blkproof_spec::{ByteRange, Errno};

use super::outbox::Outbox;
use super::request::Request;
use super::wire::{self, chunk};

/// How long the head of a simple reply is.
const SIMPLE_HEAD: usize = 16;

/// How long the head of a chunk of data is, with its offset.
const DATA_HEAD: usize = 28;

/// Acknowledges a request that needs no data.
pub(crate) fn done(request: &Request, out: &mut Outbox) {
    simple(0, request.cookie, out);
}

/// Says that a request failed. Where replies are structured, it says so in words as well.
pub(crate) fn failed(cookie: u64, errno: Errno, structured: bool, out: &mut Outbox) {
    let error = on_the_wire(errno);
    if !structured {
        simple(error, cookie, out);
        return;
    }
    let message = match errno.text() {
        Some(text) => text.to_owned(),
        None => format!("error {errno}"),
    };
    let len = u16::try_from(message.len()).unwrap_or(0);
    chunk_head(chunk::ERROR, cookie, 6 + u32::from(len), out);
    out.u32(error);
    out.u16(len);
    out.push(&message.as_bytes()[..usize::from(len)]);
}

/// Writes the reply to a read of `range`, whose bytes `fill` puts in place. If it fails, nothing is
/// written.
pub(crate) fn data<E>(
    request: &Request,
    range: ByteRange,
    structured: bool,
    out: &mut Outbox,
    fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    let len = usize::try_from(range.len).expect("a payload that is allowed fits memory");
    if structured && len == 0 {
        fill(&mut [])?;
        chunk_head(chunk::NONE, request.cookie, 0, out);
        return Ok(());
    }
    if structured {
        let len = u32::try_from(range.len).expect("a payload that is allowed fits 32 bits");
        chunk_head(chunk::OFFSET_DATA, request.cookie, 8 + len, out);
        out.u64(range.start);
        debug_assert_eq!(out.len() - start, DATA_HEAD);
    } else {
        simple(0, request.cookie, out);
        debug_assert_eq!(out.len() - start, SIMPLE_HEAD);
    }
    let filled = fill(out.room(len));
    if filled.is_err() {
        out.truncate(start);
    }
    filled
}

/// Writes the answer of one context: runs of bytes and what they are. The `last` one ends the
/// reply.
pub(crate) fn status(
    request: &Request,
    context: u32,
    runs: &[(u32, u32)],
    last: bool,
    out: &mut Outbox,
) {
    let len = u32::try_from(4 + 8 * runs.len()).expect("few runs are told at a time");
    let flags = if last { chunk::DONE } else { 0 };
    flagged_chunk_head(flags, chunk::BLOCK_STATUS, request.cookie, len, out);
    out.u32(context);
    for (len, flags) in runs {
        out.u32(*len);
        out.u32(*flags);
    }
}

fn simple(error: u32, cookie: u64, out: &mut Outbox) {
    let mut head = [0; SIMPLE_HEAD];
    head[..4].copy_from_slice(&wire::SIMPLE_REPLY_MAGIC.to_be_bytes());
    head[4..8].copy_from_slice(&error.to_be_bytes());
    head[8..].copy_from_slice(&cookie.to_be_bytes());
    out.push(&head);
}

/// Begins the only chunk of a reply.
fn chunk_head(kind: u16, cookie: u64, len: u32, out: &mut Outbox) {
    flagged_chunk_head(chunk::DONE, kind, cookie, len, out);
}

fn flagged_chunk_head(flags: u16, kind: u16, cookie: u64, len: u32, out: &mut Outbox) {
    let mut head = [0; 20];
    head[..4].copy_from_slice(&wire::CHUNK_MAGIC.to_be_bytes());
    head[4..6].copy_from_slice(&flags.to_be_bytes());
    head[6..8].copy_from_slice(&kind.to_be_bytes());
    head[8..16].copy_from_slice(&cookie.to_be_bytes());
    head[16..].copy_from_slice(&len.to_be_bytes());
    out.push(&head);
}

/// Returns the number that says this error in the protocol, which knows a few only. What it does
/// not know it calls `EINVAL`, as QEMU's server does.
fn on_the_wire(errno: Errno) -> u32 {
    const EOVERFLOW: Errno = Errno(75);
    const ESHUTDOWN: Errno = Errno(108);
    const EDQUOT: Errno = Errno(122);
    let known = match errno {
        Errno::EFBIG | EDQUOT => Errno::ENOSPC,
        Errno::EPERM | Errno::EIO | Errno::ENOMEM | Errno::EINVAL | Errno::ENOSPC => errno,
        Errno::ENOTSUP | EOVERFLOW | ESHUTDOWN => errno,
        _ => Errno::EINVAL,
    };
    u32::from(known.0)
}
