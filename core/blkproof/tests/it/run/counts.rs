//! What a run counts.

use blkproof::{Options, Outcome, Runner};

use super::{run, scenario};
use crate::engines::{Lie, copiers};

#[test]
fn rules_that_never_fire_are_told() {
    let scenario = scenario(
        "\
fault drive0.file error errno=EIO iotype=write range=0+512 name=never
fault drive0.file error errno=EIO iotype=write range=4k+512 when=nth(2) name=once
write drive0 1k 512 stamp
write drive0 4k 512 stamp
write drive0 4k 512 stamp expect=failed(EIO)
",
    );
    let outcome = run(&scenario, Lie::Nothing);
    let Outcome::Held(counts) = outcome else {
        panic!("{outcome:#?}");
    };
    assert_eq!((counts.steps, counts.rules, counts.fired), (5, 2, 1));
    assert_eq!(counts.matched, 2);
    let idle: Vec<_> = counts.idle_rules.iter().map(|rule| &rule.name).collect();
    assert_eq!(idle, [&Some("never".into())]);
    assert!(counts.bytes_compared > 0 && counts.demands > 0);
}

#[test]
fn traces_are_the_same_for_the_same_scenario_only() {
    let mut options = Options::default();
    options.trace = true;
    let mut runner = Runner::new(options);
    let mut trace = |steps: &str| {
        let outcome = runner.run(&scenario(steps), &mut copiers(Lie::Nothing), None);
        outcome.counts().trace.expect("a trace was asked for")
    };
    let one = trace("write drive0 0 512 stamp\nread drive0 0 1k\n");
    assert_eq!(one, trace("write drive0 0 512 stamp\nread drive0 0 1k\n"));
    assert_ne!(one, trace("write drive0 0 512 stamp\nread drive0 0 512\n"));
    assert_ne!(one, trace("write drive0 0 512 fill=1\nread drive0 0 1k\n"));
}

#[test]
fn a_runner_carries_nothing_from_one_scenario_to_the_next() {
    let good = scenario("write drive0 0 64k stamp\nbackup drive0 full to=full0\n");
    let bad = scenario("write drive0 0 64k stamp\nread drive0 0 64k\n");
    let mut runner = Runner::new(Options::default());
    let first = runner.run(&good, &mut copiers(Lie::Nothing), None);
    let failed = runner.run(&bad, &mut copiers(Lie::ReadsZeroes), None);
    assert!(matches!(failed, Outcome::Failed(_)), "{failed:#?}");
    assert_eq!(runner.run(&good, &mut copiers(Lie::Nothing), None), first);
    assert_eq!(
        runner.run(&bad, &mut copiers(Lie::ReadsZeroes), None),
        failed
    );
}

#[test]
fn silent_faults_make_a_run_count_for_nothing() {
    let scenario = scenario(
        "\
fault drive0.file phantom iotype=write
write drive0 0 512 stamp
read drive0 0 512
",
    );
    let outcome = run(&scenario, Lie::Nothing);
    assert!(matches!(outcome, Outcome::NotJudged(..)), "{outcome:#?}");
}

#[test]
fn prepared_steps_are_not_carried_out() {
    let scenario = scenario("write drive0 0 64k fill=0\nread drive0 0 64k\n");
    let mut options = Options::default();
    options.prepared = 1;
    let outcome = Runner::new(options).run(&scenario, &mut copiers(Lie::Nothing), None);
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:#?}");
    let wrong = super::scenario("write drive0 0 64k fill=1\nread drive0 0 64k\n");
    let outcome = Runner::new(options).run(&wrong, &mut copiers(Lie::Nothing), None);
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:#?}");
    };
    assert!(failure.breaks("guest-reads-writes"), "{failure:#?}");
}

#[test]
fn faults_that_strike_are_counted_by_what_they_ask_and_where() {
    let scenario = scenario(
        "\
fault drive0.file error errno=EIO iotype=write when=nth(2)
write drive0 0 512 stamp
write drive0 0 512 stamp expect=failed(EIO)
fault drive0.file phantom iotype=write when=nth(1)
write drive0 0 512 stamp
",
    );
    let mut runner = Runner::new(Options::default());
    runner.cover();
    let outcome = runner.run(&scenario, &mut copiers(Lie::Nothing), None);
    assert!(matches!(outcome, Outcome::NotJudged(..)), "{outcome:#?}");
    let coverage = runner.take_coverage().expect("it was counted");
    let struck: Vec<_> = coverage
        .struck()
        .map(|(_, of)| (of.disk, of.image))
        .collect();
    assert_eq!(struck, [(0, 0), (1, 0), (1, 0)]);
}
