//! The page table of a memory disk.
//!
//! Pages are grouped in extents of 64, and the extents that hold any page stand in one ordered
//! list. What is not there reads as zeroes, so that zeroes of any length cost nothing. A copy of a
//! table shares its extents, a copied extent its pages; both are split when they are written.

use core::ops::Range;
use std::sync::Arc;

use super::copy;
use crate::pool::{Page, Stock, Supply};

/// How many pages an extent has.
pub(crate) const EXTENT_PAGES: u64 = 64;

const SLOTS: usize = 64;

/// A group of neighbouring pages.
#[derive(Clone)]
pub(crate) struct Extent {
    /// One bit per page that is there.
    present: u64,
    /// The pages that are there and hold anything but zeroes.
    pages: [Option<Arc<Page>>; SLOTS],
}

impl Default for Extent {
    fn default() -> Self {
        Self {
            present: 0,
            pages: [const { None }; SLOTS],
        }
    }
}

impl Extent {
    /// Returns the page at `index` within the extent; without one there are zeroes.
    pub(crate) fn page(&self, index: usize) -> Option<&Page> {
        self.pages[index].as_deref()
    }

    /// Returns the page at `index` for somebody who may keep it.
    pub(crate) fn shared(&self, index: usize) -> Option<&Arc<Page>> {
        self.pages[index].as_ref()
    }

    /// Tells whether no page is there.
    fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// Takes one of the pages out.
    pub(crate) fn pop(&mut self) -> Option<Arc<Page>> {
        while self.present != 0 {
            let index = self.present.trailing_zeros();
            self.present &= self.present - 1;
            if let Some(page) = self.pages[index as usize].take() {
                return Some(page);
            }
        }
        None
    }

    /// Has the page at `index` be there with nothing but zeroes, and tells whether it is new.
    pub(crate) fn put_zeroes(&mut self, index: usize, supply: &mut Supply<'_>) -> bool {
        if let Some(page) = self.pages[index].take() {
            supply.stock().keep_page(page);
        }
        self.put(index)
    }

    /// Takes over a page from elsewhere at `index`, and tells whether one is new
    /// there.
    pub(crate) fn put_page(
        &mut self,
        index: usize,
        page: &Arc<Page>,
        supply: &mut Supply<'_>,
    ) -> bool {
        if let Some(old) = self.pages[index].replace(Arc::clone(page)) {
            supply.stock().keep_page(old);
        }
        self.put(index)
    }

    /// Returns the page before the one at `index`, if it is in this extent.
    fn before(&self, index: usize) -> Option<&Arc<Page>> {
        self.pages[index.checked_sub(1)?].as_ref()
    }

    /// Tells whether `bytes` are a whole page like the one before that at `index`.
    pub(crate) fn goes_on(&self, index: usize, bytes: &[u8]) -> bool {
        self.before(index).is_some_and(|page| page[..] == *bytes)
    }

    /// Has the page before the one at `index`, if it is there, stand at `index` too, and tells
    /// whether a page is new there.
    pub(crate) fn repeat(&mut self, index: usize, supply: &mut Supply<'_>) -> bool {
        match self.before(index).cloned() {
            Some(page) => self.put_page(index, &page, supply),
            None => false,
        }
    }

    /// Has the page at `index` be there, and tells whether it is new.
    fn put(&mut self, index: usize) -> bool {
        let fresh = self.present & 1 << index == 0;
        self.present |= 1 << index;
        fresh
    }

    /// Returns the length of the run of pages from `index` on that are alike there or not there,
    /// and whether they are there.
    fn run(&self, index: u64) -> (u64, bool) {
        let rest = self.present >> index;
        let there = rest & 1 != 0;
        let len = if there {
            rest.trailing_ones()
        } else {
            rest.trailing_zeros()
        };
        (u64::from(len).min(EXTENT_PAGES - index), there)
    }

    /// Returns the page at `index` for writing, and whether it is new. A page that has to be made,
    /// or split off from a shared one, holds what it held, or zeroes, except in `overwritten`,
    /// which the caller overwrites.
    pub(crate) fn page_mut(
        &mut self,
        index: usize,
        overwritten: Range<usize>,
        supply: &mut Supply<'_>,
    ) -> (&mut Page, bool) {
        let fresh = self.put(index);
        let slot = &mut self.pages[index];
        // Only the count is looked at here: `Arc::get_mut` locks the page for a moment, and once is
        // enough.
        let replaced = match slot {
            Some(page) if Arc::strong_count(page) == 1 => None,
            _ => Some(slot.replace(supply.stock().page())),
        };
        let page = slot.as_mut().and_then(Arc::get_mut);
        let page = page.expect("the page is there, and nobody else's");
        if let Some(old) = &replaced {
            take_over(page, old.as_deref(), overwritten);
        }
        (page, fresh)
    }

    /// Gives up the pages of `mask` and returns how many there were.
    fn drop_pages(&mut self, mask: u64, stock: &mut Stock) -> u64 {
        let mut gone = self.present & mask;
        let count = u64::from(gone.count_ones());
        self.present &= !mask;
        while gone != 0 {
            let index = gone.trailing_zeros() as usize;
            gone &= gone - 1;
            if let Some(page) = self.pages[index].take() {
                stock.keep_page(page);
            }
        }
        count
    }
}

/// Makes a page hold what another one holds, or zeroes, except in `overwritten`.
fn take_over(page: &mut Page, old: Option<&Page>, overwritten: Range<usize>) {
    let (head, tail) = (..overwritten.start, overwritten.end..);
    match old {
        Some(old) => {
            copy(&mut page[head], &old[head]);
            copy(&mut page[tail.clone()], &old[tail]);
        }
        None => {
            page[head].fill(0);
            page[tail].fill(0);
        }
    }
}

/// The extents of a disk that hold any page, in order.
#[derive(Clone, Default)]
pub(crate) struct Table {
    keys: Vec<u64>,
    extents: Vec<Arc<Extent>>,
    /// Where the last look-up ended: requests tend to come in runs.
    hint: usize,
    /// How many pages are there.
    pages: u64,
}

impl Table {
    /// Returns how many pages are there.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Counts pages that were just made in an extent.
    pub(crate) fn note_fresh_pages(&mut self, count: u64) {
        self.pages += count;
    }

    /// Finds the extent `key`, or the place where it would stand.
    fn find(&mut self, key: u64) -> Result<usize, usize> {
        if self.keys.get(self.hint) == Some(&key) {
            return Ok(self.hint);
        }
        let found = self.keys.binary_search(&key);
        if let Ok(place) = found {
            self.hint = place;
        }
        found
    }

    /// Returns the extent `key`.
    pub(crate) fn extent(&mut self, key: u64) -> Option<&Extent> {
        let place = self.find(key).ok()?;
        Some(&self.extents[place])
    }

    /// Returns the extent `key` for writing, made or split off where it has to be.
    pub(crate) fn extent_mut(&mut self, key: u64, supply: &mut Supply<'_>) -> &mut Extent {
        let place = self.find(key).unwrap_or_else(|place| {
            self.keys.insert(place, key);
            self.extents.insert(place, supply.stock().extent());
            self.hint = place;
            place
        });
        Arc::make_mut(&mut self.extents[place])
    }

    /// Shows every page that is not one and the same in both tables, with its number, in order:
    /// what stands there in this one, and what in the other.
    pub(crate) fn each_difference(
        &self,
        other: &Self,
        mut see: impl FnMut(u64, Option<&Page>, Option<&Page>),
    ) {
        let same_page = |(one, other): (&Arc<Page>, &Arc<Page>)| Arc::ptr_eq(one, other);
        let mut mine = self.keys.iter().zip(&self.extents).peekable();
        let mut others = other.keys.iter().zip(&other.extents).peekable();
        loop {
            let next = [mine.peek(), others.peek()].into_iter().flatten();
            let Some(key) = next.map(|(key, _)| **key).min() else {
                return;
            };
            let mine = mine.next_if(|(next, _)| **next == key);
            let other = others.next_if(|(next, _)| **next == key);
            let [mine, other] = [mine, other].map(|found| found.map(|(_, extent)| extent));
            if mine
                .zip(other)
                .is_some_and(|(one, other)| Arc::ptr_eq(one, other))
            {
                continue;
            }
            for index in 0..SLOTS {
                let [mine, other] = [mine, other].map(|has| has.and_then(|has| has.shared(index)));
                let none = mine.is_none() && other.is_none();
                if !none && !mine.zip(other).is_some_and(same_page) {
                    let number = key * EXTENT_PAGES + index as u64;
                    see(number, mine.map(|page| &**page), other.map(|page| &**page));
                }
            }
        }
    }

    /// Returns the length in pages of the run from `page` on, at most `limit`, that is alike there
    /// or not there, and whether it is there.
    pub(crate) fn run(&mut self, page: u64, limit: u64) -> (u64, bool) {
        let (mut key, mut index) = (page / EXTENT_PAGES, page % EXTENT_PAGES);
        let (mut place, there) = match self.find(key) {
            Ok(place) => (place, self.extents[place].run(index).1),
            Err(place) => (place, false),
        };
        let mut len = 0;
        while len < limit {
            match self.keys.get(place) {
                Some(&next) if next == key => {
                    let (run, kind) = self.extents[place].run(index);
                    if kind != there {
                        break;
                    }
                    len += run;
                    if index + run < EXTENT_PAGES {
                        break;
                    }
                    (key, index, place) = (key + 1, 0, place + 1);
                }
                _ if there => break,
                Some(&next) => {
                    len += (next - key) * EXTENT_PAGES - index;
                    (key, index) = (next, 0);
                }
                None => len = limit,
            }
        }
        (len.min(limit), there)
    }

    /// Gives up all pages from `start` up to `end`.
    pub(crate) fn drop_pages(&mut self, start: u64, end: u64, stock: &mut Stock) {
        if start >= end {
            return;
        }
        let first = self.keys.partition_point(|key| *key < start / EXTENT_PAGES);
        let behind = self.keys.partition_point(|key| *key * EXTENT_PAGES < end);
        let mut emptied = false;
        for place in first..behind {
            let base = self.keys[place] * EXTENT_PAGES;
            let mask = mask(start.max(base) - base, end.min(base + EXTENT_PAGES) - base);
            let extent = &mut self.extents[place];
            if extent.present & mask == 0 {
                continue;
            }
            let extent = Arc::make_mut(extent);
            self.pages -= extent.drop_pages(mask, stock);
            emptied |= extent.is_empty();
        }
        if emptied {
            self.remove_empty(first, behind, stock);
        }
    }

    /// Takes the extents without pages among those from `first` up to `behind` out of the list.
    fn remove_empty(&mut self, first: usize, behind: usize, stock: &mut Stock) {
        let mut kept = first;
        for place in first..behind {
            if !self.extents[place].is_empty() {
                self.extents.swap(kept, place);
                self.keys[kept] = self.keys[place];
                kept += 1;
            }
        }
        self.keys.drain(kept..behind);
        for extent in self.extents.drain(kept..behind) {
            stock.keep_extent(extent);
        }
    }

    /// Gives everything up.
    pub(crate) fn clear(&mut self, stock: &mut Stock) {
        self.keys.clear();
        self.pages = 0;
        for extent in self.extents.drain(..) {
            stock.keep_extent(extent);
        }
    }

    /// Returns how many extents there are.
    pub(crate) fn extents(&self) -> usize {
        self.extents.len()
    }
}

/// Returns the bits from `start` up to `end`, which is at most 64.
fn mask(start: u64, end: u64) -> u64 {
    let below = |bits: u64| {
        if bits >= 64 {
            u64::MAX
        } else {
            (1 << bits) - 1
        }
    };
    below(end) & !below(start)
}
