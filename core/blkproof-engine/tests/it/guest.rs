//! Guest requests.

use crate::bench::{both, on_disk};

#[test]
fn requests_beyond_the_end_fail_and_dirty_nothing() {
    both(
        "1M",
        "bitmap add drive0 b
        write drive0 1M 512 stamp expect=failed(EIO)
        write drive0 1048064 1024 stamp expect=failed(EIO)
        write-zeroes drive0 1M 64k expect=failed(EIO)
        discard drive0 960k 128k expect=failed(EIO)
        read drive0 1M 1 expect=failed(EIO)
        write drive0 0 2147483137 fill=0x01 expect=failed(EIO)
        check bitmap drive0 b count=0",
    );
}

#[test]
fn requests_of_no_bytes_succeed_up_to_the_end() {
    both(
        "1M",
        "bitmap add drive0 b
        write drive0 1M 0 stamp
        write drive0 64k 0 stamp
        discard drive0 64k 0
        read drive0 1M 0
        write drive0 1048577 0 stamp expect=failed(EIO)
        check bitmap drive0 b count=0",
    );
}

#[test]
fn a_write_dirties_what_it_touches_whatever_its_size() {
    both(
        "1M",
        "bitmap add drive0 b granularity=4k
        write drive0 100k 1k stamp
        write drive0 4095 2 fill=0x01
        write-zeroes drive0 512k 4k unmap
        check bitmap drive0 b count=16k",
    );
}

#[test]
fn a_discard_zeroes_whole_clusters_and_dirties_all_of_its_range() {
    for format in ["qcow2", "raw"] {
        let mut bench = on_disk(
            "1M",
            format,
            "write drive0 0 1M fill=0x11
            bitmap add drive0 b granularity=32k
            discard drive0 32k 128k
            check bitmap drive0 b count=128k",
        );
        assert!(
            bench
                .bytes("drive0", 0, 64 << 10)
                .iter()
                .all(|byte| *byte == 0x11)
        );
        assert!(
            bench
                .bytes("drive0", 64 << 10, 64 << 10)
                .iter()
                .all(|byte| *byte == 0)
        );
        assert!(
            bench
                .bytes("drive0", 128 << 10, 64 << 10)
                .iter()
                .all(|byte| *byte == 0x11)
        );
    }
}

#[test]
fn the_last_cluster_counts_as_whole_even_if_it_is_short() {
    for format in ["qcow2", "raw"] {
        let mut bench = on_disk(
            "1049088",
            format,
            "write drive0 960k 66048 fill=0x11\ndiscard drive0 1M 512",
        );
        assert!(
            bench
                .bytes("drive0", 1 << 20, 512)
                .iter()
                .all(|byte| *byte == 0)
        );
        assert!(
            bench
                .bytes("drive0", 960 << 10, 64 << 10)
                .iter()
                .all(|byte| *byte == 0x11)
        );
    }
}

#[test]
fn an_ignored_discard_changes_and_dirties_nothing() {
    let mut bench = on_disk(
        "1M",
        "qcow2 discard=ignore",
        "write drive0 0 64k fill=0x11
        bitmap add drive0 b
        discard drive0 0 64k
        check bitmap drive0 b count=0",
    );
    assert!(
        bench
            .bytes("drive0", 0, 512)
            .iter()
            .all(|byte| *byte == 0x11)
    );
}

#[test]
fn a_write_that_fails_dirties_all_the_same() {
    both(
        "1M",
        "bitmap add drive0 b
        fault drive0.file error errno=EIO iotype=write when=from(1)
        write drive0 64k 64k stamp expect=failed(EIO)
        check bitmap drive0 b count=64k",
    );
}

#[test]
fn compressed_writes_take_whole_clusters() {
    let mut bench = on_disk(
        "1049088",
        "qcow2",
        "bitmap add drive0 b
        write drive0 64k 64k fill=0x22 compressed
        write drive0 1M 512 fill=0x23 compressed
        write drive0 128k 32k fill=0x22 compressed expect=failed(EINVAL)
        write drive0 160k 64k fill=0x22 compressed expect=failed(EINVAL)
        check bitmap drive0 b count=128k",
    );
    assert!(
        bench
            .bytes("drive0", 64 << 10, 64 << 10)
            .iter()
            .all(|byte| *byte == 0x22)
    );
    on_disk(
        "1M",
        "raw",
        "write drive0 0 64k stamp compressed expect=failed(ENOTSUP)",
    );
}

#[test]
fn reads_return_what_was_written() {
    let bench = on_disk(
        "1M",
        "qcow2",
        "write drive0 512 512 fill=0x33\nread drive0 0 1536",
    );
    assert_eq!(bench.read.len(), 1536);
    assert!(bench.read[512..1024].iter().all(|byte| *byte == 0x33));
    assert!(bench.read[1024..].iter().all(|byte| *byte == 0));
}

#[test]
fn unknown_disks_are_refused() {
    both(
        "1M",
        "write nope 0 512 stamp expect=refused(no-such-device)
        read nope.node 0 512 expect=refused(no-such-device)
        resize nope 2M expect=refused(no-such-device)",
    );
}

#[test]
fn requests_in_flight_are_settled_under_their_names() {
    both(
        "1M",
        "bitmap add drive0 b
        start r1 write drive0 0 64k stamp
        start r1 write drive0 0 64k stamp expect=refused(bad-request)
        check bitmap drive0 b count=0
        advance-request r1 1
        check bitmap drive0 b count=0
        advance-request r1 1
        check bitmap drive0 b count=64k
        start r2 write drive0 1M 512 stamp
        settle r2 expect=failed(EIO)
        settle r1
        settle r1 expect=refused(bad-request)",
    );
}

#[test]
fn a_suspended_request_goes_on_when_it_is_resumed() {
    let mut bench = on_disk(
        "1M",
        "raw",
        "bitmap add drive0 b
        fault drive0.file break event=write_aio tag=A
        write drive0 0 64k fill=0x44 expect=pending
        wait-for A
        bitmap clear drive0 b expect=refused(cannot-drain)
        resize drive0 2M expect=refused(cannot-drain)
        check bitmap drive0 b count=0
        resume A
        check bitmap drive0 b count=64k
        wait-for A expect=refused(no-such-tag)
        resize drive0 2M",
    );
    assert!(
        bench
            .bytes("drive0", 0, 512)
            .iter()
            .all(|byte| *byte == 0x44)
    );
    assert!(!bench.is_suspended("A"));
}

#[test]
fn a_delayed_request_takes_virtual_time() {
    both(
        "1M",
        "bitmap add drive0 b
        fault drive0.file delay for=20ms iotype=write when=nth(1)
        start r1 write drive0 0 512 stamp
        settle r1 expect=pending
        tick 19ms
        settle r1 expect=pending
        tick 1ms
        settle r1
        check bitmap drive0 b count=64k",
    );
}

#[test]
fn a_flush_reaches_the_disk_only_after_a_write() {
    both(
        "1M",
        "fault drive0.file break event=flush_to_disk tag=A
        flush drive0
        write drive0 0 512 stamp
        start f flush drive0
        settle f expect=pending
        wait-for A
        resume A
        settle f
        flush drive0",
    );
}

#[test]
fn a_resize_is_refused_for_its_reasons_and_keeps_bitmaps_in_step() {
    both(
        "4M",
        "bitmap add drive0 b
        resize drive0 1000 expect=refused(size-unaligned)
        resize drive0 9223372036854775807 expect=refused(size-too-large)
        write drive0 64k 64k stamp
        write drive0 1M 512 stamp
        resize drive0 1049088
        check bitmap drive0 b count=128k
        resize drive0 1M
        check bitmap drive0 b count=64k
        write drive0 1M 512 stamp expect=failed(EIO)
        resize drive0 2M
        check bitmap drive0 b count=1088k
        resize drive0 8M
        check bitmap drive0 b count=3136k",
    );
}

#[test]
fn a_resize_looks_devices_up_among_devices_alone() {
    on_disk(
        "1M",
        "qcow2 role=node",
        "resize drive0 2M expect=refused(no-such-device)\nresize drive0.node 2M",
    );
}

#[test]
fn a_disk_grows_over_its_longer_backing_file_as_zeroes() {
    let mut bench = crate::bench::run(
        "blkproof 1
disk base 2M qcow2 role=image
contents base 0 2M fill=0x11
disk drive0 1M qcow2 backing=base
resize drive0 2M
",
    );
    assert!(
        bench
            .bytes("drive0", 0, 1 << 20)
            .iter()
            .all(|byte| *byte == 0x11)
    );
    assert!(
        bench
            .bytes("drive0", 1 << 20, 1 << 20)
            .iter()
            .all(|byte| *byte == 0)
    );
}
