//! One run of the tool, on two fresh disks.

use std::ffi::OsString;
use std::time::Duration;

use blkproof::sweep::Position;
use blkproof_device::{BlockDevice as _, Durability, IoResult};
use blkproof_qemu::nbd::Export;
use blkproof_spec::power::{Lost, PowerCut};
use blkproof_spec::{ImageName, Length, Offset};

use super::tally::Outcome;
use super::tool::{self, Ended};
use super::{SOURCE, TARGET};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::serve::{Endpoint, Hub, Limits, Listening, Loss};

/// How much is written and compared at a time.
const CHUNK: u64 = 64 << 10;

/// How many connections a tool may have at each disk.
const LIMITS: Limits = Limits {
    connections: 64,
    handshake: Duration::from_secs(10),
    cached: true,
};

/// What all runs have in common.
pub(super) struct Stage<'a> {
    pub(super) size: Length,
    pub(super) durable: bool,
    pub(super) limit: Duration,
    pub(super) command: &'a [OsString],
    pub(super) interrupt: &'a Interrupt,
}

/// What a run came to.
pub(super) struct Round {
    pub(super) ended: Ended,
    /// Whether the request that was to be struck came.
    pub(super) fired: bool,
    /// What was done to which requests.
    pub(super) firings: Vec<String>,
    /// The first byte in which the target is not the source.
    pub(super) differs_at: Option<u64>,
}

impl Round {
    pub(super) fn outcome(&self) -> Outcome {
        match (self.ended.hung, self.ended.code, self.differs_at) {
            (true, ..) => Outcome::Hung,
            (false, Some(0), None) => Outcome::Survived,
            (false, Some(0), Some(_)) => Outcome::Swallowed,
            (false, ..) => Outcome::Failed,
        }
    }
}

impl Stage<'_> {
    /// Runs the tool; with one of its requests struck, if so.
    pub(super) fn run(&self, strike: Option<&Position>) -> Result<Round, Error> {
        let folder = tempfile::tempdir().map_err(Error::unwritable(&std::env::temp_dir()))?;
        let source = self.disk(SOURCE)?;
        fill(&source, self.size.0).map_err(unreadable)?;
        let target = self.disk(TARGET)?;
        let struck = strike.map(|position| {
            let is_source = position.place.image.as_str() == SOURCE;
            let export = if is_source { &source } else { &target };
            export.store().install(&position.rule());
            export.clone()
        });
        let ended = {
            let mut served = Vec::new();
            for export in [&source, &target] {
                let path = folder.path().join(export.name().as_str());
                let hub = Hub::new(export.clone(), LIMITS);
                let mut listening = Listening::new(&hub);
                listening.clients(&Endpoint::Unix(path.clone()))?;
                let uri = format!("nbd+unix:///{}?socket={}", export.name(), path.display());
                served.push((hub, listening, uri));
            }
            let uris = [served[0].2.as_str(), served[1].2.as_str()];
            let ended = tool::run(self.command, uris, self.limit, self.interrupt)?;
            for (hub, listening, _) in served {
                drop(listening);
                hub.wait_for_end();
                if self.durable && ended.code == Some(0) {
                    hub.lose(&Loss::Cut(PowerCut::new(Lost::All)));
                }
            }
            ended
        };
        let mut firings = Vec::new();
        if let Some(export) = &struck {
            export.store().drain_ledger(&mut firings);
        }
        let told = firings.iter().take(3).map(|firing| {
            let errno = firing
                .errno
                .map_or(String::new(), |errno| format!(": {errno}"));
            format!(
                "{} of {} at {}{errno}",
                firing.kind, firing.range, firing.place.image
            )
        });
        Ok(Round {
            ended,
            fired: !firings.is_empty(),
            firings: told.collect(),
            differs_at: differs_at(&source, &target).map_err(unreadable)?,
        })
    }

    /// Makes a disk.
    fn disk(&self, name: &str) -> Result<Export, Error> {
        let name = ImageName::new(name);
        let made = Export::new(&name, self.size, true, false, &[]);
        made.map_err(|error| Error::Unusable {
            what: format!("disk {name}"),
            why: error.to_string(),
        })
    }
}

fn unreadable(error: blkproof_device::IoError) -> Error {
    Error::Unusable {
        what: "a disk in memory".to_owned(),
        why: error.to_string(),
    }
}

/// Fills a disk with data and with gaps, none of which is another's copy.
fn fill(export: &Export, size: u64) -> IoResult<()> {
    let mut device = plain(export)?;
    let mut position = 0;
    while position < size {
        let len = CHUNK.min(size - position);
        // Every third piece is a gap; the last one never is.
        if (position / CHUNK) % 3 != 1 || position + len == size {
            let bytes: Vec<u8> = (position..position + len).map(noise).collect();
            device.write_at(Offset(position), &bytes, Durability::Now)?;
        }
        position += len;
    }
    Ok(())
}

/// Returns the byte at a position: never zero, and different around each.
fn noise(position: u64) -> u8 {
    let mixed = (position / 8 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.to_le_bytes()[usize::try_from(position % 8).unwrap_or(0)] | 1
}

fn plain(export: &Export) -> IoResult<Box<dyn blkproof_device::Visible>> {
    let plain = export.store().plain(export.name());
    plain.map_err(|_| blkproof_spec::Errno::EIO.into())
}

/// Returns the first byte in which the two differ.
fn differs_at(source: &Export, target: &Export) -> IoResult<Option<u64>> {
    let (mut one, mut other) = (plain(source)?, plain(target)?);
    let (size, wanted) = (other.size().0, one.size().0);
    let mut position = 0;
    while position < wanted {
        let len = CHUNK.min(wanted - position);
        let mut buffers = [Vec::new(), Vec::new()];
        for (device, buffer) in [&mut one, &mut other].into_iter().zip(&mut buffers) {
            buffer.resize(usize::try_from(len).unwrap_or(0), 0);
            device.read_at(Offset(position), buffer)?;
        }
        let [left, right] = &buffers;
        if let Some(index) = (0..left.len()).find(|index| left[*index] != right[*index]) {
            return Ok(Some(position + index as u64));
        }
        position += len;
    }
    Ok((size < wanted).then_some(size))
}
