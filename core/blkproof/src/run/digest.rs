//! The SHA-256 of what a guest sees.

use blkproof_spec::{At, ByteRange, ImageName};
use sha2::{Digest, Sha256};

use super::Run;
use super::carry::guarded;
use crate::inspect::{InspectError, Inspected};
use crate::outcome::Finding;

/// The largest disk that is hashed: zeroes have to be hashed as well.
const SIZE_MAX: u64 = 1 << 30;

const PIECE: usize = 256 << 10;

static ZEROES: [u8; PIECE] = [0; PIECE];

impl Run<'_> {
    /// Returns the digest of a disk as the guest sees it, or of an image through its chain.
    pub(super) fn digest(&mut self, name: &ImageName) -> Result<[u8; 32], Finding> {
        let problem = |message: String| Finding::Subject {
            doing: format!("computing the digest of {name}"),
            message,
        };
        let Some(image) = self.buffers.known.get(name) else {
            return Err(problem("there is no such disk or image".to_owned()));
        };
        let (size, format, is_disk) = (image.size, image.format, image.is_disk);
        if let Some(inspector) = self.inspector.as_mut().filter(|_| !is_disk) {
            let opened = inspector.open(self.world.images(), name, format);
            return opened
                .and_then(|mut image| inspected_digest(&mut *image))
                .map_err(|error| problem(error.message));
        }
        check_size(size.0).map_err(|error| problem(error.message))?;
        let at = At::Device(name.clone());
        let mut hash = Sha256::new();
        let mut offset = 0;
        let mut buf = vec![0; PIECE];
        while offset < size.0 {
            let range = ByteRange::new(offset, (PIECE as u64).min(size.0 - offset));
            let piece = &mut buf[..usize::try_from(range.len).unwrap_or(PIECE)];
            self.world.set_quiet(true);
            let looked = guarded(self.world, self.allowance, || {
                self.subject.peek(&at, range, piece)
            });
            self.world.set_quiet(false);
            looked?.map_err(|error| problem(error.message))?;
            hash.update(piece);
            offset = range.end();
        }
        Ok(hash.finalize().into())
    }
}

fn check_size(size: u64) -> Result<(), InspectError> {
    if size <= SIZE_MAX {
        return Ok(());
    }
    Err(InspectError::new(format!(
        "it has {size} bytes; at most {SIZE_MAX} are hashed, since zeroes have to be hashed too"
    )))
}

/// Hashes an image. Zeroes are hashed without being read.
fn inspected_digest(image: &mut dyn Inspected) -> Result<[u8; 32], InspectError> {
    let size = image.size().0;
    check_size(size)?;
    let mut ranges = Vec::new();
    image.data(&mut ranges)?;
    let mut hash = Sha256::new();
    let mut buf = vec![0; PIECE];
    let mut offset = 0;
    for range in ranges {
        let range = range.intersect(ByteRange::new(0, size));
        hash_zeroes(&mut hash, range.start.saturating_sub(offset));
        offset = offset.max(range.start);
        while offset < range.end() {
            let len = (PIECE as u64).min(range.end() - offset);
            let piece = &mut buf[..usize::try_from(len).unwrap_or(PIECE)];
            image.read(offset, piece)?;
            hash.update(piece);
            offset += len;
        }
    }
    hash_zeroes(&mut hash, size - offset);
    Ok(hash.finalize().into())
}

fn hash_zeroes(hash: &mut Sha256, mut len: u64) {
    while len > 0 {
        let piece = usize::try_from(len).unwrap_or(PIECE).min(PIECE);
        hash.update(&ZEROES[..piece]);
        len -= piece as u64;
    }
}
