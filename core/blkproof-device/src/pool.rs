//! Memory that outlives scenarios.
//!
//! Memory that is given back to the allocator goes back to the kernel, and fetching it anew costs
//! more than the scenario that needs it. A worker therefore keeps one pool for all its scenarios;
//! it is shared with nobody else, so that its lock is never waited for.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_spec::Length;

use crate::mem_disk::Extent;

/// The size of a page in bytes.
pub const PAGE: u64 = 4096;

/// The size of a page as an index into memory.
pub(crate) const PAGE_BYTES: usize = 4096;

/// How many pages a pool keeps at most where nothing is said: 8 MiB, which most scenarios get along
/// with. What a large one took beyond that goes back, so that a campaign does not hold it for good.
const KEPT_PAGES: usize = 2048;

/// How many extents a pool keeps at most: as many as the pages it keeps can need when they lie
/// scattered over small disks.
const KEPT_EXTENTS: usize = 2048;

/// The largest buffer that a pool keeps.
const KEPT_SCRATCH: usize = 1 << 20;

/// The bytes of a page.
pub(crate) type Page = [u8; PAGE_BYTES];

/// A stock of pages for memory disks. Clones share the stock.
#[derive(Clone)]
pub struct Pool(Arc<Mutex<Stock>>);

/// What lies in a pool. Everything here is owned by nobody else.
pub(crate) struct Stock {
    pages: Vec<Arc<Page>>,
    pages_max: usize,
    extents: Vec<Arc<Extent>>,
    /// Where what does not lie in one piece is put together for who has to see it so.
    scratch: Vec<u8>,
}

impl Default for Pool {
    fn default() -> Self {
        Self::with_pages(KEPT_PAGES)
    }
}

impl Pool {
    /// Makes an empty pool, which keeps some megabytes of what is given back to it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty pool that keeps so many bytes of what is given back to it, for a disk that
    /// goes through a lot of memory again and again.
    #[must_use]
    pub fn keeping(bytes: Length) -> Self {
        Self::with_pages(usize::try_from(bytes.0 / PAGE).unwrap_or(usize::MAX))
    }

    fn with_pages(pages_max: usize) -> Self {
        Self(Arc::new(Mutex::new(Stock {
            pages: Vec::new(),
            pages_max,
            extents: Vec::new(),
            scratch: Vec::new(),
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Stock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the buffer in which bytes are put together; whoever comes meanwhile gets another one.
    pub(crate) fn take_scratch(&self) -> Vec<u8> {
        core::mem::take(&mut self.lock().scratch)
    }

    /// Takes it back.
    pub(crate) fn keep_scratch(&self, scratch: Vec<u8>) {
        if scratch.len() <= KEPT_SCRATCH {
            self.lock().scratch = scratch;
        }
    }

    pub(crate) fn supply(&self) -> Supply<'_> {
        Supply {
            pool: self,
            stock: None,
        }
    }
}

/// Access to a pool for one request, most of which need nothing from it: the pool is locked when
/// the first thing is asked for.
pub(crate) struct Supply<'a> {
    pool: &'a Pool,
    stock: Option<MutexGuard<'a, Stock>>,
}

impl Supply<'_> {
    pub(crate) fn stock(&mut self) -> &mut Stock {
        self.stock.get_or_insert_with(|| self.pool.lock())
    }
}

impl Stock {
    /// Takes a page that holds anything.
    pub(crate) fn page(&mut self) -> Arc<Page> {
        self.pages
            .pop()
            .unwrap_or_else(|| Arc::new([0; PAGE_BYTES]))
    }

    /// Takes an extent without pages.
    pub(crate) fn extent(&mut self) -> Arc<Extent> {
        self.extents.pop().unwrap_or_default()
    }

    /// Takes back a page, unless somebody else still holds it.
    pub(crate) fn keep_page(&mut self, page: Arc<Page>) {
        if self.pages.len() < self.pages_max && Arc::strong_count(&page) == 1 {
            self.pages.push(page);
        }
    }

    /// Takes back an extent and its pages, unless somebody else still holds it.
    pub(crate) fn keep_extent(&mut self, mut extent: Arc<Extent>) {
        let Some(unshared) = Arc::get_mut(&mut extent) else {
            return;
        };
        while let Some(page) = unshared.pop() {
            self.keep_page(page);
        }
        if self.extents.len() < KEPT_EXTENTS {
            self.extents.push(extent);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stock = self.lock();
        f.debug_struct("Pool")
            .field("pages", &stock.pages.len())
            .field("extents", &stock.extents.len())
            .finish()
    }
}
