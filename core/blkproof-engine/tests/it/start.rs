//! What a backup is refused for, and in which order.

use crate::bench::{both, on_disk, run};

#[test]
fn bitmap_arguments_are_checked_in_order() {
    let cases = [
        ("incremental", "bitmap-required"),
        ("bitmap", "bitmap-required"),
        (
            "incremental bitmap=no bitmap-mode=never",
            "bitmap-mode-not-on-success",
        ),
        ("full bitmap=no", "backup-bitmap-not-found"),
        ("full bitmap=b", "bitmap-mode-required"),
        ("none bitmap=b bitmap-mode=always", "bitmap-with-sync-none"),
        (
            "full bitmap=b bitmap-mode=never",
            "bitmap-mode-never-useless",
        ),
        ("full bitmap-mode=always", "bitmap-mode-without-bitmap"),
    ];
    for (arguments, why) in cases {
        both(
            "1M",
            &format!(
                "bitmap add drive0 b
                create t 1M qcow2
                backup drive0 {arguments} to=t mode=existing expect=refused({why})
                check no-jobs
                check bitmap drive0 b busy=no"
            ),
        );
    }
}

#[test]
fn source_and_target_are_checked_against_each_other() {
    both(
        "1M",
        "create small 512k qcow2
        create t 1M qcow2
        create plain 1M raw
        backup nope full to=t mode=existing expect=refused(no-such-device)
        backup drive0 full to=nope mode=existing expect=refused(image-missing)
        backup drive0 full to=nope mode=node expect=refused(image-missing)
        backup drive0 full to=t expect=refused(image-exists)
        backup drive0 full to=drive0 mode=existing expect=refused(image-in-use)
        backup drive0 full to=drive0 mode=node expect=refused(source-is-target)
        backup drive0 full to=small mode=existing expect=refused(sizes-differ)
        backup drive0 full to=plain mode=existing compress expect=refused(compression-unsupported)
        backup drive0 full to=t mode=existing min-cluster=100k expect=refused(bad-min-cluster)
        backup drive0 full to=t mode=existing job=1j expect=refused(invalid-job-id)
        backup drive0 full to=t mode=existing job=\"\" expect=refused(invalid-job-id)
        check no-jobs
        check no-events",
    );
}

#[test]
fn a_negative_speed_is_found_when_the_job_exists() {
    let mut bench = on_disk(
        "1M",
        "qcow2",
        "backup drive0 full to=t speed=-1 expect=refused(negative-speed)",
    );
    assert_eq!(bench.told_events(), ["created drive0", "null drive0"]);
    assert_eq!(bench.contents("t").len(), 1 << 20);
}

#[test]
fn a_target_that_was_made_for_a_refused_job_is_left() {
    both(
        "1M",
        "backup drive0 incremental bitmap=no to=t expect=refused(backup-bitmap-not-found)
        backup drive0 full to=t expect=refused(image-exists)
        backup drive0 full to=t mode=existing",
    );
}

#[test]
fn a_busy_device_is_refused_before_the_target_is_made() {
    both(
        "1M",
        "backup drive0 full to=t job=j start
        backup drive0 full to=u job=k expect=refused(node-busy)
        remove u expect=refused(image-missing)
        resize drive0 2M expect=refused(node-busy)
        resize drive0.node 2M expect=refused(permission-conflict)
        write drive0.node 0 512 stamp expect=refused(permission-conflict)
        discard drive0.node 0 512 expect=refused(permission-conflict)
        read drive0.node 0 512
        remove t expect=refused(image-in-use)
        backup drive0.node full to=t mode=existing job=k expect=refused(image-in-use)
        backup drive0.node full to=u job=j expect=refused(job-id-in-use)
        backup drive0.node full to=v expect=refused(invalid-job-id)",
    );
}

#[test]
fn a_target_node_is_addressed_by_its_name() {
    let mut bench = on_disk(
        "1M",
        "qcow2",
        "write drive0 0 1M fill=0x11
        create t 1M qcow2
        backup drive0 full to=t mode=node job=j start
        resize t 2M expect=refused(no-such-device)
        resize t.node 2M expect=refused(node-busy)
        backup t full to=u job=k expect=refused(node-busy)
        backup drive0.node full to=t mode=node job=k expect=refused(node-busy)
        advance j 100
        check no-jobs
        write t 0 512 stamp expect=refused(no-such-device)
        create u 1M qcow2
        backup drive0 none to=u mode=node job=l start
        bitmap add u b
        write drive0 0 64k fill=0x22
        check bitmap u b count=64k
        write u 64k 512 fill=0x33",
    );
    assert!(bench.bytes("u", 0, 512).iter().all(|byte| *byte == 0x11));
    assert!(
        bench
            .bytes("u", 64 << 10, 512)
            .iter()
            .all(|byte| *byte == 0x33)
    );
}

#[test]
fn a_node_without_device_needs_an_explicit_job_id() {
    on_disk(
        "1M",
        "qcow2 role=node",
        "backup drive0 full to=t expect=refused(invalid-job-id)
        backup drive0 full to=t mode=existing job=j",
    );
}

#[test]
fn what_is_open_for_writing_is_no_target_and_no_targets_backing_file() {
    run("blkproof 1
disk base 1M qcow2 role=image
disk drive0 1M qcow2 backing=base
disk drive1 1M qcow2
backup drive1 full to=base mode=existing expect=refused(image-in-use)
backup drive1 full to=drive0 mode=node expect=refused(image-in-use)
create over qcow2 backing=drive0
backup drive1 full to=over mode=existing expect=refused(image-in-use)
backup drive0 full to=over mode=existing expect=refused(image-in-use)
backup drive0 none to=over mode=existing start
remove over expect=refused(image-in-use)
job cancel drive0
remove base expect=refused(image-in-use)
remove over
");
}

#[test]
fn the_format_of_a_target_follows_the_source() {
    on_disk(
        "1M",
        "raw",
        "write drive0 0 64k stamp
        backup drive0 full to=t
        backup drive0 full to=u mode=existing expect=refused(image-missing)
        backup drive0 full to=u compress expect=refused(compression-unsupported)
        backup drive0 full to=v format=qcow2 compress
        backup drive0 none to=w expect=refused(unsupported)
        check t == drive0
        check v == drive0",
    );
}
