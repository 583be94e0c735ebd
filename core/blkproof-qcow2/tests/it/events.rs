//! The events an image raises on its file, against the orders observed in QEMU.

use std::collections::BTreeSet;

use blkproof_device::{BlockDevice, MemDisk};
use blkproof_qcow2::{CreateOptions, EVENTS_RAISED, Qcow2};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Length, Offset};

use crate::probe::{Failure, Probe};
use crate::support::{UNMAP, disk, noise, options, read, write};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;

/// An image with its file, and the events that it raised.
struct Watched {
    image: Qcow2<Probe>,
    probe: Probe,
}

impl Watched {
    fn new(backing: Option<MemDisk>, options: &CreateOptions) -> Self {
        let probe = Probe::new();
        let mut image = Qcow2::create(probe.clone(), options, &UNMAP).unwrap();
        image.set_backing(backing.map(|disk| Box::new(disk) as Box<dyn BlockDevice>));
        Self { image, probe }
    }

    fn expect(&self, what: &str, names: &[&str]) {
        let raised: Vec<_> = self.probe.take_events();
        let raised: Vec<_> = raised.iter().map(|event| event.name()).collect();
        assert_eq!(raised, names, "{what}");
    }

    fn reopen(&mut self, backing: Option<MemDisk>) {
        self.image = Qcow2::open(self.probe.clone(), &UNMAP).unwrap();
        self.image
            .set_backing(backing.map(|disk| Box::new(disk) as Box<dyn BlockDevice>));
        self.probe.take_events();
    }
}

fn backing(size: u64) -> MemDisk {
    let mut backing = disk();
    write(&mut backing, 0, &noise(1, usize::try_from(size).unwrap()));
    backing
}

const CLUSTER: [&str; 3] = ["cluster_alloc", "refblock_alloc", "refblock_load"];
const TABLE: [&str; 7] = [
    "cluster_alloc",
    "refblock_alloc",
    "refblock_load",
    "refblock_update_part",
    "l2_alloc_write",
    "l2_update",
    "l1_update",
];

#[test]
fn without_backing() {
    let mut watched = Watched::new(None, &options(4 * M, 64 * K));
    watched.expect("create and open", &[]);
    watched.image.flush().unwrap();
    watched.expect("flush with nothing written", &["flush_to_os"]);

    write(&mut watched.image, 0, &[1; 512]);
    let first = [&TABLE[..], &CLUSTER, &["cluster_alloc_space", "write_aio"]].concat();
    watched.expect("first write", &first);
    write(&mut watched.image, 512, &[1; 512]);
    watched.expect("write in place", &["write_aio"]);
    write(&mut watched.image, 64 * K, &noise(1, 128 << 10));
    watched.expect("whole clusters", &[&CLUSTER[..], &["write_aio"]].concat());

    watched.image.flush().unwrap();
    let flush = [
        "flush_to_os",
        "refblock_update_part",
        "l2_update",
        "flush_to_disk",
    ];
    watched.expect("flush", &flush);
    watched.image.flush().unwrap();
    watched.expect("flush again", &["flush_to_os"]);

    watched.reopen(None);
    read(&mut watched.image, 0, 200 << 10);
    watched.expect("read", &["l2_load", "read_aio"]);
    read(&mut watched.image, 300 * K, 512);
    watched.expect("read of a hole", &[]);
    watched.image.discard(ByteRange::new(0, 64 * K)).unwrap();
    watched.expect("discard", &["cluster_free", "refblock_load"]);
    watched.image.flush().unwrap();
    let flush = [
        "flush_to_os",
        "l2_update",
        "refblock_update_part",
        "flush_to_disk",
    ];
    watched.expect("flush after a discard", &flush);
    watched
        .image
        .write_zeroes(ByteRange::new(0, 64 * K), false)
        .unwrap();
    watched.expect("zeroes over zeroes", &[]);
}

#[test]
fn with_backing() {
    let mut watched = Watched::new(Some(backing(M)), &options(4 * M, 64 * K));
    read(&mut watched.image, 0, 512);
    watched.expect("read", &["read_backing_aio"]);
    read(&mut watched.image, 2 * M, 512);
    watched.expect("read behind the end of the backing file", &[]);
    write(&mut watched.image, 512, &[1; 512]);
    let cow = ["cow_read", "read_backing_aio"];
    let write_part = [
        &TABLE[..],
        &CLUSTER,
        &cow,
        &cow,
        &["write_aio", "cow_write"],
    ]
    .concat();
    watched.expect("write", &write_part);
    write(&mut watched.image, 2 * M, &[1; 512]);
    let behind = [&CLUSTER[..], &["cluster_alloc_space", "write_aio"]].concat();
    watched.expect("write behind the end of the backing file", &behind);
}

#[test]
fn compressed() {
    let mut watched = Watched::new(None, &options(4 * M, 64 * K));
    watched
        .image
        .write_compressed(Offset(0), &[7; 64 << 10])
        .unwrap();
    let packed = ["l2_update_compressed", "write_compressed"];
    let first = [&TABLE[..], &["cluster_alloc_bytes"], &CLUSTER, &packed].concat();
    watched.expect("compressed write", &first);
    watched
        .image
        .write_compressed(Offset(64 * K), &[8; 64 << 10])
        .unwrap();
    watched.expect("another", &[&["cluster_alloc_bytes"], &packed[..]].concat());
    read(&mut watched.image, 0, 512);
    watched.expect("read", &["read_compressed"]);
}

#[test]
fn the_list_of_events_is_true() {
    let mut raised = BTreeSet::new();
    let mut take = |watched: &Watched| raised.extend(watched.probe.take_events());

    let mut watched = Watched::new(Some(backing(M)), &options(40 * M, 512));
    write(&mut watched.image, 100, &noise(1, 9 << 20));
    watched
        .image
        .write_compressed(Offset(20 * M), &[7; 512])
        .unwrap();
    read(&mut watched.image, 20 * M, 512);
    read(&mut watched.image, 0, 512);
    write(&mut watched.image, 30 * M, &[1; 5]);
    watched.image.set_size(Length(200 * M)).unwrap();
    watched.image.set_size(Length(M)).unwrap();
    watched.image.flush().unwrap();
    take(&watched);
    watched.reopen(None);
    read(&mut watched.image, 0, 512);
    watched.image.discard(ByteRange::new(0, 64 * K)).unwrap();
    watched.image.flush().unwrap();
    take(&watched);

    // Unsharing a table: what a snapshot, or a run of zero tables, shares.
    let mut watched = Watched::new(Some(backing(M)), &options(40 * M, 512));
    watched
        .image
        .write_zeroes(ByteRange::new(0, M), true)
        .unwrap();
    write(&mut watched.image, 0, &[1; 5]);
    take(&watched);

    // An entry of the refcount table that has to be written once more.
    for at in 0..200 {
        let mut watched = Watched::new(None, &options(40 * M, 512));
        watched.probe.arm(at, Failure::Nothing, false);
        if watched
            .image
            .write_at(
                Offset(0),
                &noise(1, 200 << 10),
                blkproof_device::Durability::Later,
            )
            .is_ok()
        {
            break;
        }
        watched.image.flush().unwrap();
        take(&watched);
    }

    let listed: BTreeSet<Event> = EVENTS_RAISED.iter().copied().collect();
    let missing: Vec<_> = listed.difference(&raised).collect();
    let surplus: Vec<_> = raised.difference(&listed).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "{missing:?} {surplus:?}"
    );
}
