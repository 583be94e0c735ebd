//! Guest writes that interleave with jobs.

use crate::bench::{both, on_disk};

#[test]
fn a_guest_write_saves_the_old_data_first() {
    both(
        "4M",
        "write drive0 0 4M stamp
        backup drive0 full to=t job=j start
        write drive0 100k 1k stamp
        check job j offset=64k
        write-zeroes drive0 1M 64k
        check job j offset=128k
        discard drive0 2M 64k
        check job j offset=192k
        write drive0 100k 1k stamp
        check job j offset=192k
        finish j
        check event j completed len=4M offset=4M
        check t == drive0@j",
    );
}

#[test]
fn every_interleaving_of_a_write_and_a_job_keeps_the_point_in_time() {
    for job_units in 0..16 {
        for request_units in 0..8 {
            on_disk(
                "512k",
                if request_units % 2 == 0 {
                    "raw"
                } else {
                    "qcow2"
                },
                &format!(
                    "bitmap add drive0 b
                    write drive0 0 128k stamp
                    write drive0 256k 64k stamp
                    backup drive0 incremental bitmap=b to=t job=j format=qcow2 start
                    advance j {job_units}
                    start r write drive0 32k 256k stamp
                    advance-request r {request_units}
                    advance j 3 expect=any
                    start s write-zeroes drive0 120k 200k
                    advance-request s {request_units}
                    read drive0 0 512k
                    settle s
                    settle r
                    finish j expect=any
                    check event j completed len=192k offset=192k
                    check bitmap drive0 b count=320k busy=no
                    check no-jobs"
                ),
            );
        }
    }
}

#[test]
fn a_write_waits_for_the_chunk_that_has_its_cluster_in_flight() {
    both(
        "1M",
        "write drive0 0 1M stamp
        backup drive0 full to=t job=j start
        advance j 2
        check job j offset=0
        write drive0 512k 64k stamp
        check job j offset=1M
        finish j
        check t == drive0@j",
    );
}

#[test]
fn clean_clusters_are_not_copied_by_an_increment() {
    both(
        "1M",
        "backup drive0 full to=base format=qcow2
        bitmap add drive0 b
        write drive0 0 64k stamp
        create t qcow2 backing=base
        backup drive0 incremental bitmap=b to=t mode=existing job=j start
        write drive0 512k 64k stamp
        check job j len=64k offset=0
        finish j
        check t == drive0@j",
    );
}

#[test]
fn a_copy_that_fails_fails_the_write_and_leaves_the_source_as_it_was() {
    both(
        "1M",
        "write drive0 0 1M stamp
        bitmap add drive0 b
        backup drive0 full to=t format=qcow2 job=j start
        fault t.file error errno=ENOSPC iotype=write name=full
        write drive0 64k 64k stamp expect=failed(ENOSPC)
        check bitmap drive0 b count=0
        check job j state=running io-status=ok offset=0
        check no-events
        lift full
        read drive0 0 1M
        write drive0 64k 64k stamp
        check bitmap drive0 b count=64k
        finish j
        check t == drive0@j",
    );
    both(
        "1M",
        "write drive0 0 1M stamp
        bitmap add drive0 b
        backup drive0 full to=t job=j start
        fault drive0.file error errno=EIO iotype=read when=nth(1)
        write drive0 64k 64k stamp expect=failed(EIO)
        check bitmap drive0 b count=0
        finish j
        check t == drive0@j",
    );
}

#[test]
fn a_filters_own_bitmap_records_what_the_filter_refused() {
    both(
        "1M",
        "write drive0 0 1M stamp
        backup drive0 full to=t format=qcow2 job=j start
        bitmap add drive0 f
        bitmap add drive0.node sum
        fault t.file error errno=EIO iotype=write when=from(1) name=broken
        write drive0 64k 64k stamp expect=failed(EIO)
        bitmap merge drive0.node sum from=drive0:f
        check bitmap drive0 sum count=64k",
    );
}

#[test]
fn filters_nest() {
    both(
        "1M",
        "write drive0 0 1M stamp
        backup drive0 full to=t job=outer start
        write drive0 0 64k stamp
        backup drive0.node full to=u job=inner start
        write drive0 0 128k stamp
        check job outer offset=128k
        check job inner offset=128k
        finish outer
        check t == drive0@outer
        write drive0 256k 64k stamp
        check job inner offset=192k
        finish inner
        check u == drive0@inner
        check no-jobs",
    );
}

#[test]
fn a_suspended_chunk_holds_up_writes_to_its_clusters_alone() {
    on_disk(
        "4M",
        "raw",
        "write drive0 0 4M stamp
        fault drive0.file break event=read_aio tag=A
        backup drive0 full to=t job=j start
        advance j 6
        wait-for A
        write drive0 3584k 64k stamp
        write drive0 64k 64k stamp expect=pending
        finish j expect=pending
        job cancel j expect=refused(cannot-drain)
        check job j state=running
        resume A
        finish j
        check t == drive0@j
        check no-jobs",
    );
}

#[test]
fn a_suspended_copy_before_write_keeps_the_job_from_ending() {
    on_disk(
        "1M",
        "raw",
        "bitmap add drive0 b
        write drive0 0 1M stamp
        fault t.file break event=write_aio tag=A
        backup drive0 incremental bitmap=b to=t job=j start
        write drive0 0 64k stamp expect=pending
        advance j 100
        check job j state=running len=1M offset=960k
        resume A
        check job j offset=1M
        finish j
        check t == drive0@j
        check bitmap drive0 b count=64k",
    );
}

#[test]
fn a_job_is_paused_when_its_suspended_chunk_is_through() {
    on_disk(
        "1M",
        "raw",
        "write drive0 0 1M stamp
        fault drive0.file break event=read_aio tag=A
        backup drive0 full to=t job=j start
        advance j 4
        job pause j
        check job j state=running
        resume A
        advance j 4
        check job j state=paused offset=1M
        job resume j
        finish j",
    );
}

#[test]
fn an_odd_tail_is_saved_whole() {
    both(
        "1049088",
        "write drive0 0 1049088 stamp
        bitmap add drive0 b
        backup drive0 full to=t job=j start
        write drive0 1M 512 stamp
        check job j len=1088k offset=64k
        check bitmap drive0 b count=64k
        finish j
        check t == drive0@j",
    );
}
