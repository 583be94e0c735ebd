//! Making, rebasing and removing images.

use crate::bench::{on_disk, run};

#[test]
fn images_are_made_of_any_shape_and_never_over_another() {
    on_disk(
        "1M",
        "qcow2",
        "create t 1M qcow2
        create t 1M qcow2 expect=refused(image-exists)
        create drive0 1M qcow2 expect=refused(image-exists)
        create u qcow2 backing=nope expect=refused(image-missing)
        create u 1M qcow2 cluster=100k expect=refused(bad-cluster)
        create u 1M qcow2 cluster=4M expect=refused(bad-cluster)
        create u 1000 qcow2 expect=refused(size-unaligned)
        create u 16T qcow2 cluster=512 expect=refused(size-too-large)
        create u qcow2 expect=refused
        create u raw backing=t expect=refused(unsupported)
        create u 2M qcow2 backing=t
        create v qcow2 backing=drive0
        remove v
        remove v expect=refused(image-missing)
        remove drive0 expect=refused(image-in-use)",
    );
}

#[test]
fn an_image_that_could_not_be_made_is_not_there() {
    on_disk(
        "1M",
        "qcow2",
        "fault t.file error errno=ENOSPC iotype=write when=nth(2)
        create t 1M qcow2 expect=failed(ENOSPC)
        create t 1M qcow2
        backup drive0 full to=t mode=existing",
    );
}

#[test]
fn a_rebase_changes_what_shows_through() {
    let mut bench = run("blkproof 1
disk a 1M qcow2 role=image
contents a 0 1M fill=0x11
disk b 1M raw role=image
contents b 0 1M fill=0x22
disk drive0 1M qcow2
create t qcow2 backing=a
rebase nope backing=a expect=refused(image-missing)
rebase t backing=nope expect=refused(image-missing)
rebase drive0 backing=a expect=refused(image-in-use)
rebase b no-backing expect=refused(unsupported)
");
    assert_eq!(bench.bytes("t", 0, 1), [0x11]);
    bench.more("rebase t backing=b");
    assert_eq!(bench.bytes("t", 0, 1), [0x22]);
    bench.more("rebase t no-backing");
    assert_eq!(bench.bytes("t", 0, 1), [0]);
}

#[test]
fn a_loop_of_backing_files_is_an_error() {
    on_disk(
        "1M",
        "qcow2",
        "create a 1M qcow2
        create b qcow2 backing=a
        rebase a backing=b
        backup drive0 full to=a mode=existing expect=refused(image-unreadable)",
    );
}

#[test]
fn a_damaged_target_is_refused() {
    on_disk(
        "1M",
        "qcow2",
        "create t 1M qcow2
        fault t.file error errno=EIO iotype=read when=nth(1)
        backup drive0 full to=t mode=existing expect=refused(image-unreadable)
        check no-jobs
        backup drive0 full to=t mode=existing",
    );
}

#[test]
fn images_of_unknown_format_are_looked_at() {
    let mut first = on_disk(
        "1M",
        "qcow2",
        "write drive0 0 64k stamp\nbackup drive0 full to=t",
    );
    // Another engine on the same store was never told what `t` is.
    first.reopen();
    first.more(
        "create inc qcow2 backing=t\nbackup drive0 full to=inc mode=existing\ncheck inc == drive0",
    );
}
