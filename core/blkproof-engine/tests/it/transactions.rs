//! Transactions.

use crate::bench::{Bench, run};

const TWO: &str = "blkproof 1
disk d0 1M qcow2
disk d1 1M qcow2
bitmap add d0 b
bitmap add d1 b
write d0 0 512k stamp
write d1 0 512k stamp
";

const GROUP: &str = "transaction grouped
  backup d0 incremental bitmap=b to=t0 job=j0
  backup d1 incremental bitmap=b to=t1 job=j1
end
";

fn on_two(steps: &str) -> Bench {
    run(&format!("{TWO}{steps}"))
}

#[test]
fn what_was_prepared_is_taken_back_in_reverse() {
    on_two(
        "bitmap add d0 c disabled
transaction individual expect=refused(transaction-aborted)
  bitmap add d0 new
  bitmap clear d0 b
  bitmap merge d0 b from=d1:b
  bitmap disable d0 b
  bitmap enable d0 c
  bitmap remove d0 c
  abort
end
check no-bitmap d0 new
check bitmap d0 b count=512k recording=yes
check bitmap d0 c count=0 recording=no busy=no
",
    );
}

#[test]
fn later_actions_see_earlier_ones() {
    let mut bench = on_two(
        "transaction individual
  bitmap add d0 new
  bitmap clear d0 b
  backup d0 incremental bitmap=b to=t0 job=j0
end
finish j0
check event j0 completed len=0 offset=0
check bitmap d0 new count=0
transaction individual expect=refused(bitmap-exists)
  bitmap remove d0 new
  bitmap add d0 new
end
transaction individual expect=refused(bitmap-busy)
  bitmap remove d0 new
  bitmap clear d0 new
end
transaction individual
  bitmap remove d0 new
end
check no-bitmap d0 new
",
    );
    bench.told_events();
}

#[test]
fn a_bitmap_action_behind_its_backup_is_refused() {
    on_two(
        "transaction individual expect=refused(no-such-bitmap)
  backup d0 incremental bitmap=b to=t0 job=j0
  bitmap clear d0 b
end
transaction individual expect=refused(bitmap-busy)
  backup d0 incremental bitmap=b to=t1 job=j0
  bitmap clear d0.node b
end
check bitmap d0 b count=512k busy=no recording=yes
check no-jobs
",
    );
}

#[test]
fn a_job_that_is_rolled_back_tells_of_its_states_alone() {
    let mut bench = on_two(
        "transaction individual expect=refused(backup-bitmap-not-found)
  backup d0 bitmap bitmap=b bitmap-mode=always to=t0 job=j0 dismiss=manual
  backup d1 incremental bitmap=no to=t1 job=j1
end
check bitmap d0 b count=512k busy=no
check no-jobs
",
    );
    let events = bench.told_events();
    assert_eq!(
        events,
        ["created j0", "aborting j0", "concluded j0", "null j0"]
    );
}

#[test]
fn grouped_takes_backups_alone() {
    on_two(
        "transaction grouped expect=refused(grouped-unsupported)
  backup d0 full to=t0 job=j0
  bitmap clear d0 b
end
check no-jobs
transaction grouped
end
transaction individual expect=refused(node-busy)
  backup d0 full to=t0 job=j0
  backup d0 full to=t1 job=j1
end
transaction individual expect=refused(job-id-in-use)
  backup d0 full to=t1 job=j0
  backup d1 full to=t2 job=j0
end
transaction individual
  backup d0.node full to=u0 job=j0
  backup d0.node full to=u1 job=j1
end
finish j0
finish j1
check u0 == d0
check u1 == d0
",
    );
}

#[test]
fn a_group_ends_as_one() {
    let mut bench = on_two(&format!(
        "{GROUP}finish j0 expect=pending
check job j0 state=waiting
write d0 768k 64k stamp
check bitmap d0 b count=512k busy=yes successor=64k
finish j1
check bitmap d0 b count=64k busy=no
check bitmap d1 b count=0 busy=no
check t0 == d0@j0
check t1 == d1@j1
"
    ));
    assert_eq!(
        bench.told_events(),
        [
            "created j0",
            "created j1",
            "running j1",
            "running j0",
            "waiting j0",
            "waiting j1",
            "pending j1",
            "pending j0",
            "COMPLETED j1",
            "concluded j1",
            "null j1",
            "COMPLETED j0",
            "concluded j0",
            "null j0",
        ]
    );
}

#[test]
fn one_failure_cancels_a_sibling_that_still_runs() {
    let mut bench = on_two(&format!(
        "fault d1.file error errno=EIO iotype=read when=nth(1)
{GROUP}finish j1 expect=failed(EIO)
check bitmap d0 b count=512k busy=no
check bitmap d1 b count=512k busy=no
check no-jobs
"
    ));
    assert_eq!(
        bench.told_events()[4..],
        [
            "ERROR j1",
            "aborting j1",
            "aborting j0",
            "COMPLETED(EIO) j1",
            "concluded j1",
            "null j1",
            "CANCELLED j0",
            "concluded j0",
            "null j0",
        ]
    );
}

#[test]
fn the_failing_one_may_be_first_in_the_list() {
    let mut bench = on_two(&format!(
        "fault d0.file error errno=EIO iotype=read when=nth(1)
{GROUP}finish j0 expect=failed(EIO)
"
    ));
    assert_eq!(
        bench.told_events()[4..],
        [
            "ERROR j0",
            "aborting j0",
            "aborting j1",
            "CANCELLED j1",
            "concluded j1",
            "null j1",
            "COMPLETED(EIO) j0",
            "concluded j0",
            "null j0",
        ]
    );
}

#[test]
fn a_sibling_that_waits_aborts_when_it_is_its_turn() {
    let mut bench = on_two(&format!(
        "fault d1.file error errno=EIO iotype=read when=nth(1)
bitmap clear d0 b
{GROUP}finish j0 expect=pending
finish j1 expect=failed(EIO)
check event j0 cancelled len=0 offset=0
check bitmap d0 b count=0 busy=no
"
    ));
    let events = bench.told_events();
    assert_eq!(
        events[5..],
        [
            "ERROR j1",
            "aborting j1",
            "COMPLETED(EIO) j1",
            "concluded j1",
            "null j1",
            "aborting j0",
            "concluded j0",
            "null j0",
        ]
    );
}

#[test]
fn cancelling_one_member_cancels_all_even_when_pending() {
    on_two(
        "transaction grouped
  backup d0 incremental bitmap=b to=t0 job=j0 finalize=manual
  backup d1 incremental bitmap=b to=t1 job=j1
end
finish j0 expect=pending
finish j1 expect=pending
check event j0 pending
check no-events
check job j1 state=pending
job cancel j1
check event j1 cancelled len=512k offset=512k
check event j0 cancelled len=512k offset=512k
check bitmap d0 b count=512k busy=no
check bitmap d1 b count=512k busy=no
",
    );
}

#[test]
fn finalizing_one_member_finalizes_all() {
    on_two(
        "transaction grouped
  backup d0 incremental bitmap=b to=t0 job=j0 finalize=manual
  backup d1 incremental bitmap=b to=t1 job=j1
end
finish j1 expect=pending
finish j0 expect=pending
job finalize j1
check event j0 pending
check event j0 completed
check event j1 completed
check bitmap d0 b count=0
",
    );
}

#[test]
fn a_group_waits_for_a_member_that_an_error_stopped() {
    on_two(
        "fault d1.file error errno=EIO iotype=read when=nth(1)
transaction grouped
  backup d0 incremental bitmap=b to=t0 job=j0
  backup d1 incremental bitmap=b to=t1 job=j1 on-source-error=stop
end
finish j0 expect=pending
finish j1 expect=pending
check job j1 state=paused
job resume j1
finish j1
check event j1 error side=read action=stop
check event j0 completed
check event j1 completed
",
    );
}

#[test]
fn individual_jobs_do_not_touch_each_other() {
    on_two(
        "fault d1.file error errno=EIO iotype=read when=nth(1)
transaction individual
  backup d0 incremental bitmap=b to=t0 job=j0
  backup d1 incremental bitmap=b to=t1 job=j1
end
finish j1 expect=failed(EIO)
finish j0
check t0 == d0
check bitmap d0 b count=0
check bitmap d1 b count=512k
",
    );
}

#[test]
fn a_transaction_drains_all_disks() {
    run(&format!(
        "{TWO}fault d1.file break event=write_aio tag=A
start r write d0 0 64k stamp
start s write d1 0 64k stamp
transaction individual expect=refused(cannot-drain)
  bitmap clear d0 b
end
check bitmap d0 b count=512k
resume A
transaction individual
  bitmap clear d0 b
  bitmap clear d1 b
end
check bitmap d0 b count=0
check bitmap d1 b count=0
settle r
settle s
check bitmap d0 b count=0
"
    ));
}
