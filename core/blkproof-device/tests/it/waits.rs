//! Requests that wait: for a breakpoint, for time.

use blkproof_device::{IoError, IoResult, Store, Wait};
use blkproof_spec::fault::{Effect, Event, Rule, When};
use blkproof_spec::{Errno, Millis, RuleName, Tag};

use crate::effects::{Bench, name};

fn tag(text: &str) -> Tag {
    Tag::new(text)
}

fn held(text: &str) -> IoResult<()> {
    Err(IoError::Wait(Wait::Tag(tag(text))))
}

fn until(time: u64) -> IoResult<()> {
    Err(IoError::Wait(Wait::Until(Millis(time))))
}

fn stop(bench: &Bench, event: Event, text: &str) {
    let tag = tag(text);
    bench.install(Rule::Break { event, tag });
}

#[test]
fn a_breakpoint_holds_one_request_until_it_is_resumed() {
    let mut bench = Bench::new();
    stop(&bench, Event::ReadAio, "A");
    bench.device.event(Event::WriteAio).unwrap();
    assert_eq!(bench.device.event(Event::ReadAio), held("A"));
    assert!(bench.store.is_suspended(&tag("A")));
    assert!(!bench.store.is_over(&Wait::Tag(tag("A"))));
    bench.device.event(Event::ReadAio).unwrap();
    assert!(bench.store.resume(&tag("A")));
    assert!(bench.store.is_over(&Wait::Tag(tag("A"))));
    assert!(!bench.store.resume(&tag("A")));
    let count = &bench.store.rule_counts()[0];
    assert_eq!((count.fired, count.live), (1, false));
}

#[test]
fn a_request_can_run_into_several_breakpoints_at_once() {
    let mut bench = Bench::new();
    stop(&bench, Event::ReadAio, "A");
    stop(&bench, Event::ReadAio, "B");
    assert_eq!(bench.device.event(Event::ReadAio), held("A"));
    assert!(bench.store.is_suspended(&tag("B")));
    assert!(bench.store.resume(&tag("A")));
    assert!(!bench.store.is_over(&Wait::Tag(tag("A"))));
    assert!(bench.store.resume(&tag("B")));
    assert!(bench.store.is_over(&Wait::Tag(tag("A"))));
}

#[test]
fn a_write_is_held_before_and_after_it_happens() {
    let mut bench = Bench::new();
    for (event, seen) in [(Event::Pwritev, 0), (Event::PwritevDone, 1)] {
        stop(&bench, event, "A");
        assert_eq!(bench.write(seen * 512, 512, 7), held("A"));
        let mut device = bench.store.plain(&name()).unwrap();
        let mut byte = [0];
        device
            .read_at(blkproof_spec::Offset(seen * 512), &mut byte)
            .unwrap();
        assert_eq!(u64::from(byte[0]), seen * 7);
        assert_eq!(bench.write(seen * 512, 512, 7), held("A"), "too early");
        bench.write(4096, 512, 1).unwrap();
        bench.store.resume(&tag("A"));
        bench.write(seen * 512, 512, 7).unwrap();
        assert_eq!(bench.read(seen * 512, 1).unwrap(), [7]);
    }
}

#[test]
fn a_finished_write_that_is_resumed_is_done_again() {
    let mut bench = Bench::new();
    stop(&bench, Event::PwritevDone, "A");
    assert_eq!(bench.write(0, 512, 1), held("A"));
    bench.write(0, 256, 2).unwrap();
    bench.store.resume(&tag("A"));
    bench.write(0, 512, 1).unwrap();
    assert_eq!(
        bench.read(0, 1).unwrap(),
        [1],
        "its caller may have given up what it wrote"
    );
    bench.write(0, 512, 3).unwrap();
    assert_eq!(bench.read(0, 1).unwrap(), [3]);
}

#[test]
fn a_failed_write_tells_its_fault_again_with_its_error() {
    let mut bench = Bench::new();
    bench.extended(When::Nth(1), Effect::Error(Errno::EIO));
    stop(&bench, Event::PwritevDone, "A");
    assert_eq!(bench.write(0, 512, 1), held("A"));
    let mut first = Vec::new();
    bench.store.drain_ledger(&mut first);
    assert_eq!(first.len(), 1);
    bench.store.resume(&tag("A"));
    bench.write(512, 512, 1).unwrap();
    let mut again = Vec::new();
    bench.store.drain_ledger(&mut again);
    assert_eq!(again, [], "nobody was told the error");
    assert_eq!(
        bench.write(0, 512, 1),
        Err(IoError::Failed(Errno::EIO)),
        "it failed when it was held"
    );
    bench.store.drain_ledger(&mut again);
    assert_eq!(again, first);
    bench.write(0, 512, 1).unwrap();
}

#[test]
fn what_is_forgotten_begins_anew() {
    let mut bench = Bench::new();
    bench.extended(When::Nth(1), Effect::Error(Errno::EIO));
    stop(&bench, Event::PwritevDone, "A");
    assert_eq!(bench.write(0, 512, 1), held("A"));
    bench.store.forget_waits();
    assert!(!bench.store.is_suspended(&tag("A")));
    bench.write(0, 512, 1).unwrap();
    assert_eq!(bench.read(0, 1).unwrap(), [1]);
}

#[test]
fn lifting_a_used_up_breakpoint_resumes_its_request() {
    let mut bench = Bench::new();
    stop(&bench, Event::ReadAio, "A");
    assert_eq!(bench.device.event(Event::ReadAio), held("A"));
    assert!(bench.store.lift(&RuleName::new("r")));
    assert!(bench.store.is_over(&Wait::Tag(tag("A"))));
    stop(&bench, Event::ReadAio, "B");
    assert_eq!(bench.device.event(Event::ReadAio), held("B"));
    bench.store.lift_all();
    assert!(!bench.store.is_suspended(&tag("B")));
}

#[test]
fn a_breakpoint_on_the_opening_suspends_nothing() {
    let mut bench = Bench::new();
    stop(&bench, Event::None, "A");
    bench.store.open(&name()).unwrap();
    assert!(!bench.store.is_suspended(&tag("A")));
    assert!(!bench.store.rule_counts()[0].live);
}

#[test]
fn a_delayed_request_passes_when_its_time_has_come() {
    let mut bench = Bench::new();
    bench.store.tick(Millis(5));
    bench.extended(When::Always, Effect::Delay(Millis(10)));
    bench.extended(When::Nth(3), Effect::Error(Errno::EIO));
    assert_eq!(bench.write(0, 512, 1), until(15));
    bench.store.tick(Millis(9));
    assert_eq!(bench.write(0, 512, 1), until(15));
    assert_eq!(bench.write(512, 512, 1), until(24));
    assert!(!bench.store.is_over(&Wait::Until(Millis(15))));
    bench.store.tick(Millis(1));
    assert!(bench.store.is_over(&Wait::Until(Millis(15))));
    assert_eq!(bench.store.now(), Millis(15));
    bench.write(0, 512, 1).unwrap();
    assert_eq!(
        bench.write(0, 512, 1),
        until(25),
        "the next such request is delayed anew"
    );
    assert_eq!(
        bench.store.rule_counts()[1].matched,
        3,
        "retries do not count"
    );
}

#[test]
fn lifting_a_delay_ends_it() {
    let mut bench = Bench::new();
    bench.extended(When::Always, Effect::Delay(Millis(10)));
    assert_eq!(bench.write(0, 512, 1), until(10));
    bench.store.lift(&RuleName::new("r"));
    assert!(bench.store.is_over(&Wait::Until(Millis(10))));
    bench.write(0, 512, 1).unwrap();
    assert_eq!(bench.read(0, 1).unwrap(), [1]);
}
