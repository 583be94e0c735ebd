//! Dirty-bitmap commands.

use crate::bench::{both, on_disk, run};

#[test]
fn additions_are_refused_for_their_reasons() {
    let long = "x".repeat(1024);
    both(
        "1M",
        &format!(
            "bitmap add drive0 b granularity=64000 expect=refused(bad-granularity)
            bitmap add drive0 b granularity=256 expect=refused(bad-granularity)
            bitmap add drive0 b granularity=4G expect=refused(granularity-too-large)
            bitmap add drive0 \"\" expect=refused(empty-bitmap-name)
            bitmap add drive0 {long} expect=refused(bitmap-name-too-long)
            bitmap add nope b expect=refused(no-such-device)
            bitmap add drive0 b granularity=2G
            bitmap add drive0 b expect=refused(bitmap-exists)
            bitmap add drive0.node b expect=refused(bitmap-exists)
            check bitmap drive0 b granularity=2G count=0 recording=yes busy=no persistent=no"
        ),
    );
    on_disk(
        "1M",
        "raw",
        "bitmap add drive0 b persistent expect=refused(cannot-persist)",
    );
    on_disk(
        "1M",
        "qcow2",
        "bitmap add drive0 b persistent\ncheck bitmap drive0 b persistent=yes count=0",
    );
}

#[test]
fn the_default_granularity_is_the_cluster_size_within_bounds() {
    for (cluster, granularity) in [("512", "4k"), ("4k", "4k"), ("64k", "64k"), ("2M", "64k")] {
        on_disk(
            "4M",
            &format!("qcow2 cluster={cluster}"),
            &format!("bitmap add drive0 b\ncheck bitmap drive0 b granularity={granularity}"),
        );
    }
    on_disk(
        "4M",
        "raw",
        "bitmap add drive0 b\ncheck bitmap drive0 b granularity=64k",
    );
}

#[test]
fn commands_to_what_is_not_there_are_refused() {
    for command in ["remove", "clear", "enable", "disable"] {
        both(
            "1M",
            &format!(
                "bitmap {command} nope b expect=refused(no-such-node)
                bitmap {command} drive0 b expect=refused(no-such-bitmap)"
            ),
        );
    }
    both(
        "1M",
        "bitmap merge nope b from=b expect=refused(no-such-node)
        bitmap merge drive0 b from=c expect=refused(no-such-bitmap)
        bitmap add drive0 b
        bitmap merge drive0 b from=c expect=refused(no-such-bitmap)
        bitmap merge drive0 b from=nope:c expect=refused(no-such-node)",
    );
}

#[test]
fn a_disabled_bitmap_keeps_its_bits_and_records_nothing() {
    both(
        "1M",
        "bitmap add drive0 b disabled
        write drive0 0 64k stamp
        check bitmap drive0 b count=0 recording=no
        bitmap enable drive0 b
        bitmap enable drive0 b
        write drive0 0 64k stamp
        bitmap disable drive0 b
        write drive0 64k 64k stamp
        check bitmap drive0 b count=64k recording=no
        bitmap clear drive0 b
        check bitmap drive0 b count=0 recording=no
        bitmap remove drive0 b
        check no-bitmap drive0 b",
    );
}

#[test]
fn counts_are_not_clipped_to_the_disk() {
    both(
        "1049088",
        "bitmap add drive0 b
        write drive0 0 1049088 stamp
        check bitmap drive0 b count=1088k",
    );
}

#[test]
fn a_merge_rounds_outward_and_is_all_or_nothing() {
    run("blkproof 1
disk drive0 1M qcow2
disk drive1 1M raw
disk small 512k raw
bitmap add drive0 a granularity=4k
bitmap add drive1 b granularity=64k
bitmap add small c
bitmap add drive0 all disabled
write drive0 100k 1k stamp
write drive1 0 1k stamp
write small 0 64k stamp
bitmap merge drive0 all from=a,small:c expect=refused(bitmap-sizes-differ)
check bitmap drive0 all count=0
bitmap merge drive0 all from=a,drive1.node:b,all
check bitmap drive0 all count=128k recording=no
check bitmap drive0 a count=4k
check bitmap drive1 b count=64k
");
}

#[test]
fn a_bitmap_that_a_job_holds_is_busy() {
    let start = "bitmap add drive0 b
        bitmap add drive0 c
        write drive0 0 64k stamp
        backup drive0 incremental bitmap=b to=t job=j start
        write drive0 64k 64k stamp
        check bitmap drive0 b count=64k busy=yes recording=yes successor=64k";
    for command in ["remove", "clear", "enable", "disable"] {
        both(
            "1M",
            &format!(
                "{start}
                bitmap {command} drive0.node b expect=refused(bitmap-busy)
                bitmap {command} drive0 b expect=refused(no-such-bitmap)"
            ),
        );
    }
    both(
        "1M",
        &format!(
            "{start}
            bitmap merge drive0.node b from=c expect=refused(bitmap-busy)
            bitmap merge drive0.node c from=b expect=refused(bitmap-busy)
            backup drive0.node incremental bitmap=b to=u job=k expect=refused(bitmap-busy)
            finish j
            check bitmap drive0 b count=64k busy=no
            check bitmap drive0 c count=128k"
        ),
    );
}

#[test]
fn a_bitmap_added_by_the_devices_name_during_a_job_vanishes_with_the_filter() {
    both(
        "1M",
        "write drive0 0 1M stamp
        backup drive0 full to=t job=j start
        bitmap add drive0 lost
        bitmap add drive0 lost expect=refused(bitmap-exists)
        bitmap add drive0 stored persistent expect=refused(cannot-persist)
        bitmap add drive0.node kept
        bitmap clear drive0 kept expect=refused(no-such-bitmap)
        write drive0 0 64k stamp
        bitmap merge drive0.node kept from=drive0:lost
        bitmap disable drive0 lost
        check no-bitmap drive0 lost
        check bitmap drive0 kept count=64k
        finish j
        bitmap clear drive0 lost expect=refused(no-such-bitmap)
        bitmap add drive0 lost",
    );
}

#[test]
fn a_node_without_device_has_no_filter_to_trap_bitmaps() {
    on_disk(
        "1M",
        "qcow2 role=node",
        "bitmap add drive0 b
        backup drive0 incremental bitmap=b to=t job=j start
        bitmap clear drive0 b expect=refused(bitmap-busy)
        bitmap add drive0 kept
        finish j
        check bitmap drive0 kept count=0",
    );
}

#[test]
fn bitmaps_are_gone_after_a_restart() {
    both(
        "1M",
        "bitmap add drive0 b\nrestart\ncheck no-bitmap drive0 b\nread drive0 0 1M",
    );
}
