//! Digests of stores: equal where devices hold the same, however it came there.

use blkproof_device::{BlockDevice, Digests, Durability, MemStore, Pool, Store};
use blkproof_spec::{ByteRange, ImageName, Length, Offset};
use proptest::prelude::*;

const SIZE: u64 = 1 << 20;

fn image(name: &str) -> ImageName {
    ImageName::new(name)
}

/// A store with one disk.
fn store(name: &str, size: u64) -> MemStore {
    let mut store = MemStore::new(&Pool::new());
    drop(store.create(&image(name), Length(size)).unwrap());
    store
}

fn write(store: &MemStore, name: &str, offset: u64, byte: u8) {
    let mut disk = store.clone().open(&image(name)).unwrap();
    disk.write_at(Offset(offset), &[byte; 512], Durability::Later)
        .unwrap();
}

#[test]
fn a_digest_tells_apart_names_sizes_contents_and_places() {
    let written = |name, size, offset, byte| {
        let store = store(name, size);
        write(&store, name, offset, byte);
        store.digest()
    };
    let digests = [
        MemStore::new(&Pool::new()).digest(),
        store("a", SIZE).digest(),
        store("b", SIZE).digest(),
        store("a", SIZE + 512).digest(),
        written("a", SIZE, 0, 1),
        written("a", SIZE, 0, 2),
        written("a", SIZE, 512, 1),
        written("a", SIZE, 4096, 1),
        written("a", SIZE, 1 << 18, 1),
        written("b", SIZE, 0, 1),
    ];
    for (index, digest) in digests.iter().enumerate() {
        assert!(!digests[..index].contains(digest), "{index}");
    }
    assert_eq!(
        written("a", SIZE, 0, 1),
        digests[4],
        "and is always the same"
    );
}

#[test]
fn a_digest_does_not_tell_in_which_order_it_was_written() {
    let digest = |writes: &[(u64, u8)]| {
        let mut store = store("a", SIZE);
        drop(store.create(&image("b"), Length(512)).unwrap());
        for (offset, byte) in writes {
            write(&store, "a", *offset, *byte);
        }
        store.digest()
    };
    let (one, other, again) = ((0, 1), (1 << 19, 2), (0, 3));
    assert_eq!(digest(&[one, other]), digest(&[other, again, one]));
}

#[test]
fn two_disks_do_not_make_up_for_one_another() {
    let mut two = store("a", SIZE);
    drop(two.create(&image("b"), Length(SIZE)).unwrap());
    let swapped = two.fork();
    for (store, names) in [(&two, ["a", "b"]), (&swapped, ["b", "a"])] {
        write(store, names[0], 0, 1);
        write(store, names[1], 0, 2);
    }
    assert_ne!(two.digest(), swapped.digest());
}

#[derive(Clone, Debug)]
enum Op {
    Write(u64, u8),
    Zero(u64, u64),
    Resize(u64),
    Remove,
    /// What comes next is compared with what there is now.
    Follow,
    /// The store goes on as a copy of itself.
    Fork,
}

fn op() -> impl Strategy<Value = Op> {
    let sector = 0..SIZE / 512;
    prop_oneof![
        4 => (sector.clone(), 0..3_u8).prop_map(|(at, byte)| Op::Write(at * 512, byte)),
        2 => (sector.clone(), 1..2048_u64).prop_map(|(at, len)| Op::Zero(at * 512, len * 512)),
        1 => sector.prop_map(|at| Op::Resize(at * 512)),
        1 => Just(Op::Remove),
        2 => Just(Op::Follow),
        1 => Just(Op::Fork),
    ]
}

fn apply(store: &mut MemStore, name: &str, op: &Op) {
    let name = image(name);
    let mut disk = match store.open(&name) {
        Ok(disk) => disk,
        Err(_) => store.create(&name, Length(SIZE)).unwrap(),
    };
    match op {
        Op::Write(at, byte) => disk.write_at(Offset(*at), &[*byte; 512], Durability::Later),
        Op::Zero(at, len) => disk.write_zeroes(ByteRange::new(*at, *len), true),
        Op::Resize(size) => disk.set_size(Length(*size)),
        Op::Remove | Op::Follow | Op::Fork => Ok(()),
    }
    .unwrap();
    drop(disk);
    if matches!(op, Op::Remove) {
        store.remove(&name).unwrap();
    }
}

proptest! {
    /// What follows from another store is what comes of looking at everything.
    #[test]
    fn digests_follow_from_those_of_other_stores(
        ops in prop::collection::vec((prop::bool::ANY, op()), 1..40),
    ) {
        let mut store = MemStore::new(&Pool::new());
        let mut digests = Digests::default();
        for (first, op) in ops {
            apply(&mut store, if first { "a" } else { "b" }, &op);
            match op {
                Op::Follow => digests.follow(&store),
                Op::Fork => store = store.fork(),
                _ => {}
            }
            prop_assert_eq!(digests.of(&store), store.digest());
        }
    }
}
