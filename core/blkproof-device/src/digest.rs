//! Digests of stores, found fast where they share most of their pages.
//!
//! A digest is a sum over all pages that there are, so the digest of one store follows from that of
//! another by those pages that only one of both has. Which these are is seen without looking into
//! any page that both share.

use std::collections::{BTreeMap, BTreeSet};

use blkproof_spec::ImageName;

use crate::block_device::BlockDevice as _;
use crate::fault_store::MemStore;
use crate::layer::chance;
use crate::mem_disk::MemDisk;
use crate::pool::Page;

/// Finds digests of stores that have much in common with one that it follows.
#[derive(Default, Debug)]
pub struct Digests {
    sums: [u64; 2],
    disks: BTreeMap<ImageName, MemDisk>,
}

impl Digests {
    /// Has others compared with `store` from now on, as it is now.
    pub fn follow(&mut self, store: &MemStore) {
        let disks = disks_of(store);
        self.sums = self.of_disks(&disks);
        self.disks = disks;
    }

    /// Returns a digest of what all devices hold, their names and their sizes: equal for stores
    /// whose devices were given the same pages, and different for others but by chance of one in
    /// 2^128. What is pending counts as held.
    #[must_use]
    pub fn of(&self, store: &MemStore) -> [u64; 2] {
        self.of_disks(&disks_of(store))
    }

    fn of_disks(&self, disks: &BTreeMap<ImageName, MemDisk>) -> [u64; 2] {
        let mut sums = self.sums;
        let names: BTreeSet<&ImageName> = self.disks.keys().chain(disks.keys()).collect();
        for name in names {
            let seed = chance::mix_text(0, name.as_str());
            let (old, new) = (self.disks.get(name), disks.get(name));
            let sized = |disk: &MemDisk| mixed(seed, disk.size().0);
            change(&mut sums, old.map(sized), new.map(sized));
            MemDisk::each_difference(old, new, |number, old, new| {
                let seed = chance::mix(seed, number);
                let digest = |page| page_digest(seed, page);
                change(&mut sums, old.map(digest), new.map(digest));
            });
        }
        sums
    }
}

impl MemStore {
    /// Returns a digest of what all devices hold, their names and their sizes, as
    /// [`Digests::of`] does, which is faster for many stores.
    #[must_use]
    pub fn digest(&self) -> [u64; 2] {
        Digests::default().of(self)
    }
}

fn disks_of(store: &MemStore) -> BTreeMap<ImageName, MemDisk> {
    let mut disks = BTreeMap::new();
    store.each_device(|name, device| {
        disks.insert(name.clone(), device.lock().cached().0.snapshot());
    });
    disks
}

/// Has `new` count instead of `old`.
fn change(sums: &mut [u64; 2], old: Option<[u64; 2]>, new: Option<[u64; 2]>) {
    let [one, other] = sums;
    if let Some([first, second]) = old {
        *one = one.wrapping_sub(first);
        *other = other.wrapping_sub(second);
    }
    if let Some([first, second]) = new {
        *one = one.wrapping_add(first);
        *other = other.wrapping_add(second);
    }
}

fn mixed(seed: u64, word: u64) -> [u64; 2] {
    [chance::mix(seed, word), chance::mix(!seed, word)]
}

fn page_digest(seed: u64, page: &Page) -> [u64; 2] {
    let [mut one, mut other] = mixed(seed, 0);
    let (words, _) = page.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        one = (one ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
        other = (other.rotate_left(23) ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    [chance::mix(one, 1), chance::mix(other, 2)]
}
