//! What a store of memory disks promises.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blkproof_device::{BlockDevice, Durability, MemStore, Overrun, Pool, Store, StoreError};
use blkproof_spec::fault::{Effect, Extended, IoType, IoTypes, Rule, When};
use blkproof_spec::{Errno, FaultRule, ImageName, Layer, Length, Offset, Place};

fn byte_at(store: &MemStore, name: &str, offset: u64) -> u8 {
    let mut buf = [0];
    let mut device = store.plain(&ImageName::new(name)).unwrap();
    device.read_at(Offset(offset), &mut buf).unwrap();
    buf[0]
}

#[test]
fn handles_of_one_name_share_the_device() {
    let store = MemStore::new(&Pool::new());
    let mut subject = store.subject_handle();
    let name = ImageName::new("a");
    let mut first = subject.create(&name, Length(1 << 20)).unwrap();
    let second = subject.open(&name).unwrap();
    first.write_at(Offset(5), &[7], Durability::Later).unwrap();
    first.set_size(Length(1000)).unwrap();
    assert_eq!(byte_at(&store, "a", 5), 7);
    assert_eq!(second.size(), Length(1000));
}

#[test]
fn names_are_listed_in_order_and_taken_once() {
    let mut store = MemStore::new(&Pool::new());
    let (a, b) = (ImageName::new("a"), ImageName::new("b"));
    store.create(&b, Length(1)).unwrap();
    store.create(&a, Length(1)).unwrap();
    assert_eq!(store.list(), [a.clone(), b.clone()]);
    let taken = store.create(&a, Length(2)).err();
    assert_eq!(taken, Some(StoreError::Exists(a.clone())));
    store.remove(&a).unwrap();
    assert_eq!(store.open(&a).err(), Some(StoreError::Missing(a.clone())));
    assert_eq!(store.remove(&a), Err(StoreError::Missing(a)));
    assert_eq!(store.list(), [b]);
}

#[test]
fn an_open_handle_survives_removal_and_does_not_see_the_successor() {
    let mut store = MemStore::new(&Pool::new());
    let name = ImageName::new("a");
    let mut old = store.create(&name, Length(4096)).unwrap();
    old.write_at(Offset(0), &[1], Durability::Later).unwrap();
    store.remove(&name).unwrap();
    store.create(&name, Length(4096)).unwrap();
    let mut buf = [9];
    old.read_at(Offset(0), &mut buf).unwrap();
    assert_eq!((buf[0], byte_at(&store, "a", 0)), (1, 0));
}

#[test]
fn a_fork_and_its_origin_do_not_see_each_other() {
    let mut store = MemStore::new(&Pool::new());
    let name = ImageName::new("a");
    let mut device = store.create(&name, Length(4096)).unwrap();
    device
        .write_at(Offset(0), &[1, 1], Durability::Later)
        .unwrap();
    let mut fork = store.fork();
    device.write_at(Offset(0), &[2], Durability::Later).unwrap();
    let mut forked = fork.open(&name).unwrap();
    forked.write_at(Offset(1), &[3], Durability::Later).unwrap();
    assert_eq!((byte_at(&store, "a", 0), byte_at(&store, "a", 1)), (2, 1));
    assert_eq!((byte_at(&fork, "a", 0), byte_at(&fork, "a", 1)), (1, 3));
}

#[test]
fn whoever_asks_for_more_work_than_is_allowed_is_unwound() {
    let store = MemStore::new(&Pool::new());
    let name = ImageName::new("a");
    let mut handle = store.subject_handle();
    let mut device = handle.create(&name, Length(1 << 20)).unwrap();
    // A request is one, and each KiB of its data one more; openings and queries count too.
    store.allow(8, 0);
    device
        .write_at(Offset(0), &[1; 2048], Durability::Later)
        .unwrap();
    device.flush().unwrap();
    let mut again = handle.open(&name).unwrap();
    again
        .block_status(blkproof_spec::ByteRange::new(0, 512))
        .unwrap();
    again.set_size(Length(4096)).unwrap();
    again.read_at(Offset(0), &mut [0; 1023]).unwrap();
    let unwound = catch_unwind(AssertUnwindSafe(|| again.flush()));
    assert!(unwound.unwrap_err().is::<Overrun>());
    let unwound = catch_unwind(AssertUnwindSafe(|| handle.remove(&name)));
    assert!(unwound.unwrap_err().is::<Overrun>());
    // The device is as it was, and works again once there is something left.
    assert_eq!(byte_at(&store, "a", 2047), 1);
    store.allow(u64::MAX, 0);
    again.flush().unwrap();
}

#[test]
fn each_fault_allows_as_much_work_again_as_often_as_was_said() {
    let store = MemStore::new(&Pool::new());
    let name = ImageName::new("a");
    let mut handle = store.subject_handle();
    let mut device = handle.create(&name, Length(1 << 20)).unwrap();
    store.install(&flush_fails(&name));
    // Three requests at once, and again from each of two faults on: one more request after these.
    store.allow(3, 2);
    let asked = |requests: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(requests)).is_ok();
    let read = |device: &mut dyn BlockDevice| device.read_at(Offset(0), &mut [0; 8]).unwrap();
    for _ in 0..2 {
        assert!(asked(&mut || {
            read(&mut *device);
            read(&mut *device);
            assert!(device.flush().is_err());
        }));
    }
    assert!(asked(&mut || {
        read(&mut *device);
        read(&mut *device);
        assert!(device.flush().is_err());
    }));
    let unwound = catch_unwind(AssertUnwindSafe(|| read(&mut *device))).unwrap_err();
    let overrun = unwound.downcast_ref::<Overrun>().unwrap();
    assert_eq!(overrun.allowed, 3);
}

/// A rule by which every flush of an image fails.
fn flush_fails(image: &ImageName) -> FaultRule {
    FaultRule {
        name: None,
        place: Place {
            image: image.clone(),
            layer: Layer::File,
        },
        rule: Rule::Extended(Extended {
            iotypes: IoTypes::only(IoType::Flush),
            range: None,
            when: When::Always,
            effect: Effect::Error(Errno::EIO),
        }),
    }
}
