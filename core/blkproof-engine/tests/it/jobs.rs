//! Backup jobs: their states, verbs, errors and ends.

use crate::bench::{Bench, both, on_disk, run};

/// A disk with 3 MiB of data and a bitmap that has 3 MiB dirty.
const DATA: &str = "bitmap add drive0 b\nwrite drive0 0 3M stamp";

fn on_data(steps: &str) -> Bench {
    on_disk("4M", "qcow2", &format!("{DATA}\n{steps}"))
}

#[test]
fn a_job_goes_through_its_states() {
    let mut bench = on_data("backup drive0 full to=t\ncheck t == drive0\ncheck no-jobs");
    let events = bench.told_events();
    assert_eq!(
        events,
        [
            "created drive0",
            "running drive0",
            "waiting drive0",
            "pending drive0",
            "COMPLETED drive0",
            "concluded drive0",
            "null drive0",
        ]
    );
}

#[test]
fn an_error_is_told_before_the_end() {
    let mut bench = on_data(
        "fault t.file error errno=ENOSPC iotype=write when=from(6)
        backup drive0 bitmap bitmap=b bitmap-mode=on-success to=t expect=failed(ENOSPC)
        check bitmap drive0 b count=3M busy=no",
    );
    let events = bench.told_events();
    assert_eq!(
        events,
        [
            "created drive0",
            "running drive0",
            "ERROR drive0",
            "aborting drive0",
            "COMPLETED(ENOSPC) drive0",
            "concluded drive0",
            "null drive0",
        ]
    );
}

#[test]
fn policies_decide_by_errno_and_side() {
    // Policy, errno, and whether the job stops.
    let cases = [
        ("report", "ENOSPC", false),
        ("report", "EIO", false),
        ("enospc", "ENOSPC", true),
        ("enospc", "EIO", false),
        ("auto", "ENOSPC", true),
        ("auto", "EIO", false),
        ("stop", "ENOSPC", true),
        ("stop", "EIO", true),
    ];
    for (policy, errno, stops) in cases {
        let start = format!(
            "fault drive0.file inject-error event=read_aio iotype=read errno={errno} once
            backup drive0 incremental bitmap=b on-source-error={policy} on-target-error=ignore to=t"
        );
        if !stops {
            on_data(&format!(
                "{start} expect=failed({errno})
                check event drive0 error side=read action=report
                check event drive0 completed error={errno}"
            ));
            continue;
        }
        let io_status = if errno == "EIO" { "failed" } else { "nospace" };
        on_data(&format!(
            "{start} expect=pending
            check event drive0 error side=read action=stop
            check no-events
            check job drive0 state=paused io-status={io_status} len=3M offset=2M
            check bitmap drive0 b busy=yes
            job cancel drive0 expect=refused(job-paused)
            job pause drive0 expect=refused(already-paused)
            finish drive0 expect=pending
            job resume drive0
            job resume drive0 expect=refused(not-paused)
            check job drive0 state=running io-status=ok
            finish drive0
            check event drive0 completed len=3M offset=3M
            check t == drive0"
        ));
    }
}

#[test]
fn an_ignored_error_is_tried_again_at_once() {
    let mut bench = on_data(
        "fault t.file inject-error event=write_aio iotype=write errno=EIO once
        backup drive0 full on-target-error=ignore to=t
        check event drive0 error side=write action=ignore
        check event drive0 completed len=4M offset=4M
        check t == drive0",
    );
    assert!(!bench.told_events().contains(&"paused drive0".to_owned()));
}

#[test]
fn a_lasting_ignored_error_ends_the_step_pending() {
    let mut bench = Bench::new(
        "blkproof 1
disk drive0 1M raw
write drive0 0 64k stamp
fault drive0.file error errno=EIO iotype=read
backup drive0 full on-source-error=ignore to=t job=j start
advance j 100
check job j state=running offset=960k
lift-all
finish j
check t == drive0
",
    );
    bench.run_to_end();
}

#[test]
fn an_ignored_error_that_lasts_is_tried_again_so_often_a_step_and_no_oftener() {
    let mut bench = Bench::new(
        "blkproof 1
disk drive0 1M raw
write drive0 0 64k stamp
fault drive0.file error errno=EIO iotype=read
backup drive0 full on-source-error=ignore to=t job=j expect=pending
check job j state=running offset=960k
",
    );
    bench.run_to_end();
    let errors = bench.told_events();
    let errors = errors.iter().filter(|event| *event == "ERROR j").count();
    assert_eq!(errors, 256, "the step left it at that");
    let scenario = "\
finish j expect=pending
advance j 1048576
lift-all
finish j
check t == drive0";
    bench.more(scenario);
    let errors = bench.told_events();
    let errors = errors.iter().filter(|event| *event == "ERROR j").count();
    assert_eq!(errors, 512, "each step tries anew");
}

#[test]
fn two_errors_of_one_pass_pause_once_and_one_resume_is_enough() {
    on_data(
        "fault drive0.file inject-error event=read_aio iotype=read once
        fault drive0.file inject-error event=read_aio iotype=read once
        backup drive0 full on-source-error=stop to=t expect=pending
        check event drive0 error side=read action=stop
        check no-events
        job resume drive0
        finish drive0
        check t == drive0",
    );
}

#[test]
fn a_target_that_cannot_be_flushed_is_no_success() {
    on_data(
        "fault t.file error errno=EIO iotype=flush
        backup drive0 incremental bitmap=b to=t format=raw expect=failed(EIO)
        check event drive0 error side=write action=report
        check event drive0 completed len=3M offset=3M error=EIO
        check bitmap drive0 b count=3M busy=no",
    );
    on_data(
        "fault t.file error errno=EIO iotype=flush when=nth(1)
        backup drive0 incremental bitmap=b on-target-error=stop to=t format=raw expect=pending
        job resume drive0
        finish drive0
        check t == drive0",
    );
}

#[test]
fn a_paused_job_does_nothing_but_guard_its_point_in_time() {
    let mut bench = on_data(
        "backup drive0 incremental bitmap=b to=t start
        advance drive0 1
        job pause drive0
        check job drive0 state=paused len=3M offset=1M
        advance drive0 100
        finish drive0 expect=pending
        check job drive0 state=paused offset=1M
        write drive0 1M 64k fill=0x01
        check job drive0 state=paused offset=1088k
        job set-speed drive0 1000
        job set-speed drive0 -1 expect=refused(negative-speed)
        job complete drive0 expect=refused(wrong-job-state)
        job finalize drive0 expect=refused(wrong-job-state)
        job dismiss drive0 expect=refused(wrong-job-state)
        job cancel drive0 expect=refused(job-paused)
        job cancel drive0 force
        check event drive0 cancelled len=3M offset=1088k
        check bitmap drive0 b count=3M busy=no
        job pause drive0 expect=refused(no-such-job)",
    );
    let events = bench.told_events();
    let end: Vec<_> = events.iter().rev().take(4).rev().collect();
    assert_eq!(
        end,
        [
            "running drive0",
            "aborting drive0",
            "concluded drive0",
            "null drive0"
        ]
    );
}

#[test]
fn a_job_that_is_cancelled_at_work_gives_its_bitmap_back() {
    let mut bench = on_data(
        "backup drive0 incremental bitmap=b to=t job=j start
        advance j 1
        write drive0 3M 64k stamp
        job cancel j
        check event j cancelled len=3M offset=1M
        check bitmap drive0 b count=3136k busy=no",
    );
    let states = bench.told_events();
    assert_eq!(
        states,
        [
            "created j",
            "running j",
            "aborting j",
            "concluded j",
            "null j"
        ]
    );
}

#[test]
fn a_job_that_an_error_stopped_copies_the_rest_when_it_is_cancelled() {
    let fault = "fault drive0.file inject-error event=read_aio iotype=read";
    let steps = "backup drive0 incremental bitmap=b to=t job=j on-source-error=stop expect=pending
        check event j error side=read action=stop
        job cancel j force";
    on_data(&format!(
        "{fault} once
        {steps}
        check event j cancelled len=3M offset=3M
        check bitmap drive0 b count=3M
        check no-jobs"
    ));
    on_data(&format!(
        "{fault}
        {steps}
        check event j cancelled len=3M offset=0
        check bitmap drive0 b count=3M
        check no-events"
    ));
}

#[test]
fn a_job_waits_to_be_finalized_and_dismissed_by_hand() {
    let mut bench = on_data(
        "backup drive0 incremental bitmap=b to=t job=j finalize=manual dismiss=manual expect=pending
        check event j pending
        check job j state=pending len=3M offset=3M
        write drive0 0 64k stamp
        check bitmap drive0 b count=3M busy=yes successor=64k
        job pause j expect=refused(wrong-job-state)
        job set-speed j 1 expect=refused(wrong-job-state)
        job resume j expect=refused(not-paused)
        job finalize j
        check event j completed len=3M offset=3M
        check job j state=concluded error=none
        check bitmap drive0 b count=64k busy=no
        finish j
        job finalize j expect=refused(wrong-job-state)
        job cancel j force expect=refused(wrong-job-state)
        backup drive0 full to=u job=j expect=refused(job-id-in-use)
        job dismiss j
        check no-jobs
        job dismiss j expect=refused(no-such-job)
        finish j expect=refused(no-such-job)
        advance j 1 expect=refused(no-such-job)",
    );
    assert_eq!(
        bench.told_events().last().map(String::as_str),
        Some("null j")
    );
}

#[test]
fn the_end_of_a_kept_job_is_told_again() {
    on_data(
        "fault t.file error errno=EIO iotype=write when=from(6)
        backup drive0 full to=t job=j dismiss=manual expect=failed(EIO)
        finish j expect=failed(EIO)
        check job j state=concluded error=EIO
        job dismiss j
        backup drive0 none to=u job=k dismiss=manual start
        finish k expect=pending
        job cancel k
        finish k expect=failed(ECANCELED)",
    );
}

#[test]
fn bitmap_modes_decide_what_becomes_of_the_bitmap() {
    // Mode, and what the bitmap counts after success and after a cancel with 1 MiB copied, 64 KiB
    // written meanwhile in both cases.
    for (mode, success, cancelled) in [
        ("on-success", "64k", "3136k"),
        ("never", "3136k", "3136k"),
        ("always", "64k", "2112k"),
    ] {
        let start = format!("backup drive0 bitmap bitmap=b bitmap-mode={mode} to=t job=j start");
        on_data(&format!(
            "{start}
            write drive0 3M 64k stamp
            finish j
            check bitmap drive0 b count={success} busy=no recording=yes"
        ));
        on_data(&format!(
            "{start}
            advance j 1
            write drive0 3M 64k stamp
            job cancel j
            check bitmap drive0 b count={cancelled} busy=no recording=yes"
        ));
    }
}

#[test]
fn what_did_not_reach_the_target_durably_counts_as_not_copied() {
    for (sync, count) in [("bitmap", "3M"), ("full", "4M")] {
        on_data(&format!(
            "fault t.file error errno=EIO iotype=flush
            backup drive0 {sync} bitmap=b bitmap-mode=always to=t format=raw expect=failed(EIO)
            check event drive0 error side=write action=report
            check event drive0 completed len={len} offset={len} error=EIO
            check bitmap drive0 b count={count} busy=no",
            len = if sync == "full" { "4M" } else { "3M" },
        ));
    }
}

#[test]
fn the_speed_limit_lives_on_virtual_time() {
    on_data(
        "backup drive0 full to=t job=j speed=1M start
        advance j 100
        check job j state=running offset=1M
        tick 500ms
        advance j 100
        check job j offset=1M
        tick 501ms
        advance j 100
        check job j offset=2M
        job set-speed j 0
        advance j 100
        check no-jobs
        check t == drive0",
    );
    // Finishing lets as much time pass as is needed.
    on_data("backup drive0 full to=t speed=1\ncheck t == drive0");
}

#[test]
fn top_copies_what_the_top_image_has_allocated() {
    run("blkproof 1
disk base 4M qcow2 role=image
contents base 0 4M fill=0x11
disk drive0 4M qcow2 backing=base
write drive0 1M 64k fill=0x22
write-zeroes drive0 2M 64k
backup drive0 top to=t job=j start
write drive0 3M 64k fill=0x33
finish j
check event j completed len=128k offset=128k
check t == drive0@j
backup drive0 full to=u
check event drive0 completed len=4M offset=4M
check u == drive0
");
}

#[test]
fn top_of_a_disk_without_backing_file_is_full() {
    on_data(
        "backup drive0 top to=t
        check event drive0 completed len=4M offset=4M
        create u 4M qcow2
        backup drive0 top to=u mode=node
        check event drive0 completed len=3M offset=3M
        check u == drive0",
    );
}

#[test]
fn none_copies_only_what_is_overwritten_and_reads_as_the_point_in_time() {
    both(
        "4M",
        "write drive0 0 4M stamp
        backup drive0 none to=t format=qcow2 job=j start
        advance j 10
        finish j expect=pending
        write drive0 100k 64k stamp
        check job j len=4M offset=128k
        check t == drive0@j
        write drive0 100k 64k stamp
        check job j len=4M offset=128k
        check t == drive0@j
        job cancel j",
    );
}

#[test]
fn a_huge_disk_costs_what_it_holds() {
    on_disk(
        "16T",
        "qcow2",
        "write drive0 8T 1M stamp
        backup drive0 full to=t job=j start
        write drive0 9T 64k stamp
        advance j 64
        check no-jobs
        check event j completed len=16T offset=16T",
    );
}

#[test]
fn compressed_backups_read_the_same() {
    on_data(
        "write drive0 64k 64k fill=0x77
        backup drive0 full to=t compress
        check event drive0 completed len=4M offset=4M
        check t == drive0
        backup drive0 full to=u format=qcow2 compress min-cluster=256k
        check u == drive0",
    );
}

#[test]
fn data_that_is_zero_becomes_zero_clusters_in_the_target_of_a_drive_backup() {
    let bench = on_disk(
        "1M",
        "qcow2",
        "write drive0 0 64k fill=0x00
        backup drive0 full to=t
        create u 1M qcow2
        backup drive0 full to=u mode=node",
    );
    let size = |name: &str| {
        let name = blkproof::spec::ImageName::new(name);
        bench.store.plain(&name).unwrap().size().0
    };
    assert!(
        size("t") + (64 << 10) <= size("u"),
        "{} {}",
        size("t"),
        size("u")
    );
}

#[test]
fn a_restart_cancels_jobs_and_takes_up_the_same_contents() {
    let mut bench = on_data(
        "backup drive0 full to=t job=j start
        advance j 3
        backup drive0.node full to=u job=k dismiss=manual
        restart
        check no-jobs
        check event k completed
        check event j cancelled
        read drive0 0 4M
        backup drive0 full to=v
        check v == drive0",
    );
    let events = bench.told_events();
    assert!(events.contains(&"null j".to_owned()) && events.contains(&"null k".to_owned()));
}
