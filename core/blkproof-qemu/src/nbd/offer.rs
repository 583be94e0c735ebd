//! What a server offers to a client that connects.

use super::bitmap::CONTEXT_PREFIX;
use super::wire::{info, transmission as flag};

/// What is offered to a client that connects: one export, under its name and as the default.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The name of the export.
    pub name: String,
    /// What the export is, for people.
    pub description: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// The names of its dirty bitmaps.
    pub bitmaps: Vec<String>,
    /// Why this client does not get the export, if so.
    pub refused: Option<String>,
}

/// The name of the context that every export has.
pub(crate) const ALLOCATION: &str = "base:allocation";

impl Offer {
    /// Tells whether the export goes by this name; the empty one is that of the default export.
    pub(crate) fn is_named(&self, name: &[u8]) -> bool {
        name.is_empty() || name == self.name.as_bytes()
    }

    /// Returns the flags of the export.
    pub(crate) fn flags(&self, structured: bool) -> u16 {
        let mut flags = flag::HAS_FLAGS | flag::SEND_FLUSH | flag::SEND_FUA | flag::SEND_CACHE;
        flags |= flag::CAN_MULTI_CONN;
        flags |= if self.read_only {
            flag::READ_ONLY
        } else {
            flag::SEND_TRIM | flag::SEND_WRITE_ZEROES | flag::SEND_FAST_ZERO | flag::SEND_RESIZE
        };
        if structured {
            flags |= flag::SEND_DF;
        }
        flags
    }

    /// Returns the contexts of the export with their numbers.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = (u32, String)> + '_ {
        let bitmaps = self.bitmaps.iter();
        let bitmaps = bitmaps.map(|name| format!("{CONTEXT_PREFIX}{name}"));
        (0..).zip(core::iter::once(ALLOCATION.to_owned()).chain(bitmaps))
    }

    /// Returns the payload of an answer about a kind of information that a client may ask for.
    pub(crate) fn information(&self, kind: u16) -> Option<Vec<u8>> {
        let mut payload = kind.to_be_bytes().to_vec();
        match kind {
            info::NAME => payload.extend(self.name.as_bytes()),
            info::DESCRIPTION => payload.extend(self.description.as_bytes()),
            info::BLOCK_SIZE => {
                for size in [1, 4096, super::MAX_PAYLOAD] {
                    payload.extend(size.to_be_bytes());
                }
            }
            _ => return None,
        }
        Some(payload)
    }
}
