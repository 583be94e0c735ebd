//! Bitmaps that outlive the engine, and those that an engine left behind that was killed.

use blkproof::Subject;
use blkproof::spec::{ImageName, Length};
use blkproof_engine::Engine;
use blkproof_qcow2::inspect::{FoundBitmap, Limits, bitmaps, inspect};

use crate::bench::{Bench, on_disk, run};

fn found(bench: &Bench, image: &str) -> Vec<FoundBitmap> {
    let mut store = bench.store.subject_handle();
    let mut file = store.open(&ImageName::new(image)).unwrap();
    let report = inspect(&mut file, &Limits::default()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    bitmaps(&mut file, &Limits::default()).unwrap()
}

#[test]
fn a_persistent_bitmap_outlives_a_restart() {
    on_disk(
        "4M",
        "qcow2",
        "bitmap add drive0 b persistent
        bitmap add drive0 off persistent disabled granularity=4k
        bitmap add drive0 passing
        write drive0 1M 100k stamp
        bitmap merge drive0 off from=b
        restart
        check bitmap drive0 b count=128k recording=yes busy=no persistent=yes inconsistent=no
        check bitmap drive0 off count=128k granularity=4k recording=no persistent=yes
        check no-bitmap drive0 passing
        write drive0 0 512 stamp
        restart
        check bitmap drive0 b count=192k recording=yes
        check bitmap drive0 off count=128k recording=no
        bitmap enable drive0 off
        bitmap clear drive0 b
        resize drive0 5M
        write drive0 4M 64k stamp
        restart
        check bitmap drive0 b count=64k
        check bitmap drive0 off count=1152k recording=yes",
    );
}

#[test]
fn a_job_that_a_restart_cancels_gives_its_bitmap_back_before_it_is_stored() {
    on_disk(
        "4M",
        "qcow2",
        "bitmap add drive0 b persistent
        write drive0 0 2M stamp
        backup drive0 bitmap bitmap=b bitmap-mode=on-success to=t job=j start speed=64k
        write drive0 3M 64k stamp
        check bitmap drive0 b count=2M busy=yes persistent=yes successor=64k
        restart
        check bitmap drive0 b count=2162688 busy=no persistent=yes",
    );
}

#[test]
fn a_bitmap_that_a_job_synced_stays_persistent() {
    on_disk(
        "4M",
        "qcow2",
        "backup drive0 full to=full0
        bitmap add drive0 b persistent
        write drive0 0 2M stamp
        create inc0 qcow2 backing=full0
        backup drive0 incremental bitmap=b to=inc0 mode=existing
        check bitmap drive0 b count=0 persistent=yes
        write drive0 1M 64k stamp
        restart
        check bitmap drive0 b count=64k persistent=yes
        create inc1 qcow2 backing=inc0
        backup drive0 incremental bitmap=b to=inc1 mode=existing
        check inc1 == drive0",
    );
}

#[test]
fn what_a_kill_leaves_is_inconsistent_and_can_only_be_removed() {
    let mut bench = on_disk(
        "1M",
        "qcow2",
        "bitmap add drive0 b persistent
        bitmap add drive0 off persistent disabled
        write drive0 0 64k stamp
        restart",
    );
    bench.more("bitmap add drive0 late persistent");
    bench.kill();
    let flagged: Vec<_> = found(&bench, "drive0")
        .into_iter()
        .map(|bitmap| (bitmap.name, bitmap.in_use, bitmap.enabled))
        .collect();
    let expected = [
        ("b".to_owned(), true, true),
        ("off".to_owned(), true, false),
    ];
    assert_eq!(flagged, expected);
    bench.more(
        "check bitmap drive0 b count=0 recording=no busy=no persistent=yes inconsistent=yes
        check bitmap drive0 off count=0 recording=no inconsistent=yes
        check no-bitmap drive0 late
        bitmap clear drive0 b expect=refused(bitmap-inconsistent)
        bitmap enable drive0 b expect=refused(bitmap-inconsistent)
        bitmap disable drive0 b expect=refused(bitmap-inconsistent)
        bitmap add drive0 b expect=refused(bitmap-exists)
        bitmap add drive0 c persistent
        bitmap merge drive0 c from=b expect=refused(bitmap-inconsistent)
        bitmap merge drive0 b from=c expect=refused(bitmap-inconsistent)
        backup drive0 incremental bitmap=b to=t expect=refused(bitmap-inconsistent)
        resize drive0 2M expect=refused(bitmap-inconsistent)
        restart
        check bitmap drive0 b inconsistent=yes
        check bitmap drive0 c inconsistent=no
        bitmap remove drive0 b
        resize drive0 2M expect=refused(bitmap-inconsistent)
        transaction individual
          bitmap remove drive0 off
        end
        resize drive0 2M
        bitmap add drive0 b persistent
        restart
        check bitmap drive0 b count=0 recording=yes inconsistent=no",
    );
}

#[test]
fn a_bitmap_that_is_removed_leaves_the_file_at_once() {
    let mut bench = on_disk(
        "1M",
        "qcow2",
        "bitmap add drive0 a persistent
        bitmap add drive0 b persistent
        restart
        bitmap remove drive0 a
        transaction individual expect=refused(transaction-aborted)
          bitmap remove drive0 b
          abort
        end",
    );
    assert_eq!(found(&bench, "drive0"), []);
    bench.more("restart\ncheck no-bitmap drive0 a\ncheck bitmap drive0 b persistent=yes");
    bench.engine.close().unwrap();
    let left = found(&bench, "drive0");
    let names: Vec<_> = left.iter().map(|bitmap| bitmap.name.as_str()).collect();
    assert_eq!(names, ["b"]);
}

#[test]
fn what_a_file_cannot_hold_is_refused() {
    on_disk(
        "8T",
        "qcow2",
        "bitmap add drive0 b persistent granularity=512 expect=refused(bitmap-too-large)
        bitmap add drive0 b persistent granularity=1k expect=refused(bitmap-too-large)
        bitmap add drive0 b persistent granularity=2k
        bitmap add drive0 c persistent granularity=2G
        bitmap add drive0 b persistent granularity=512 expect=refused(bitmap-exists)
        write drive0 0 1 stamp
        write drive0 8796093021696 512 stamp
        restart
        check bitmap drive0 b count=4k granularity=2k
        check bitmap drive0 c count=4G
        resize drive0 32T
        restart
        check bitmap drive0 b inconsistent=yes
        check bitmap drive0 c count=24580G",
    );
}

#[test]
fn a_store_that_fails_leaves_the_flag() {
    let mut bench = on_disk(
        "1M",
        "qcow2",
        "bitmap add drive0 b persistent
        write drive0 0 64k stamp
        restart
        write drive0 64k 64k stamp
        flush drive0
        fault drive0.file error errno=EIO iotype=write",
    );
    bench.engine.close().unwrap();
    bench.store.lift_all();
    assert!(found(&bench, "drive0")[0].in_use);
    let mut engine = Engine::new();
    let store = bench.store.subject_handle();
    engine.open(store, bench.setup()).unwrap();
    let mut status = blkproof::spec::Status::default();
    engine.status(&mut status);
    assert!(status.bitmaps[0].inconsistent);
    assert_eq!(status.bitmaps[0].count, Length(0));
}

#[test]
fn a_restart_whose_bitmaps_wait_to_be_stored_is_refused_and_leaves_them_flagged() {
    let mut bench = run("blkproof 1
        disk drive0 1M qcow2
        disk drive1 1M qcow2
        bitmap add drive0 a persistent
        fault drive1.file break event=cluster_alloc tag=A
        bitmap add drive1 b persistent
        backup drive1 none to=t job=j start
        restart expect=refused(cannot-drain)
        check job j state=running
        check bitmap drive0 a recording=yes inconsistent=no
        check bitmap drive1 b recording=yes inconsistent=no");
    let left = found(&bench, "drive0");
    assert_eq!(left.len(), 1);
    assert!(left[0].in_use);
    bench.more(
        "resume A
        restart
        check bitmap drive0 a inconsistent=no
        check bitmap drive1 b inconsistent=no",
    );
}

#[test]
fn a_held_bitmap_is_stored_as_its_cancelled_job_gives_it_back() {
    for (mode, count) in [("on-success", "2162688"), ("always", "1114112")] {
        on_disk(
            "4M",
            "qcow2",
            &format!(
                "bitmap add drive0 b persistent
                write drive0 0 2M stamp
                backup drive0 bitmap bitmap=b bitmap-mode={mode} to=t job=j start speed=64k
                advance j 16
                tick 5s
                write drive0 3M 64k stamp
                restart
                check bitmap drive0 b count={count} busy=no persistent=yes"
            ),
        );
    }
}
