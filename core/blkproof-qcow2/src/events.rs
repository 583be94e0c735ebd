//! Which of `blkdebug`'s events this driver raises.
//!
//! They are raised on the file, before the request that they announce, as QEMU's driver raises
//! them. Where the orders differ from QEMU's: clusters are counted down after the entries that
//! pointed to them are written, so that a flush after a discard raises `l2_update` first and
//! `refblock_update_part` last.
//!
//! | when | events |
//! | --- | --- |
//! | reading a slice of an L2 table | `l2_load` |
//! | a new L2 table | those of a cluster, `refblock_update_part`, `l2_alloc_write`, `l2_update`, `l1_update` |
//! | a copy of a shared L2 table | `cluster_free`, `refblock_load`, then as a new one, with `l2_alloc_cow_read` |
//! | a new cluster | `cluster_alloc`, `refblock_alloc`, `refblock_load` |
//! | data for a part of it | `cluster_alloc_space`, `write_aio`; or `cow_read` and a read's, `write_aio`, `cow_write` |
//! | data for the whole, or for a cluster that is there | `write_aio` |
//! | compressed data | `cluster_alloc_bytes`, perhaps those of a cluster, `l2_update_compressed`, `write_compressed` |
//! | reading | `read_aio`, `read_compressed` or `read_backing_aio`; nothing for zeroes |
//! | giving up clusters | `cluster_free`, `refblock_load` |
//! | a new refcount block | `refblock_alloc_write`, `refblock_alloc_hookup` |
//! | a larger refcount table | `refblock_alloc_write_blocks`, `refblock_alloc_write_table`, `refblock_alloc_switch_table` |
//! | a larger L1 table | `l1_grow_alloc_table`, `l1_grow_write_table`, `l1_grow_activate_table` |
//! | shrinking | `l1_shrink_write_table`, `l1_shrink_free_l2_clusters` |
//! | a flush | `flush_to_os`, what is dirty (`reftable_update`, `refblock_update_part`, `l2_update`, `l1_update`), `flush_to_disk` if anything was asked to change since the last complete flush |

use blkproof_spec::fault::Event;

/// The events that the driver raises, in the order of QEMU's schema.
///
/// The others never fire at a qcow2 image of this driver, except for `none` and the `pwritev`
/// family, which the fault layer itself raises.
pub const EVENTS_RAISED: &[Event] = &[
    Event::L1Update,
    Event::L1GrowAllocTable,
    Event::L1GrowWriteTable,
    Event::L1GrowActivateTable,
    Event::L2Load,
    Event::L2Update,
    Event::L2UpdateCompressed,
    Event::L2AllocCowRead,
    Event::L2AllocWrite,
    Event::ReadAio,
    Event::ReadBackingAio,
    Event::ReadCompressed,
    Event::WriteAio,
    Event::WriteCompressed,
    Event::CowRead,
    Event::CowWrite,
    Event::ReftableUpdate,
    Event::RefblockLoad,
    Event::RefblockUpdatePart,
    Event::RefblockAlloc,
    Event::RefblockAllocHookup,
    Event::RefblockAllocWrite,
    Event::RefblockAllocWriteBlocks,
    Event::RefblockAllocWriteTable,
    Event::RefblockAllocSwitchTable,
    Event::ClusterAlloc,
    Event::ClusterAllocBytes,
    Event::ClusterFree,
    Event::FlushToOs,
    Event::FlushToDisk,
    Event::L1ShrinkWriteTable,
    Event::L1ShrinkFreeL2Clusters,
    Event::ClusterAllocSpace,
];
