//! Our own library, as it is and with planted bugs.

use core::time::Duration;

use blkproof::format::generate::generate;
use blkproof::format::sweep::{Swept, sweep, sweep_losses};
use blkproof::format::{Judge, Library, MadeBy, Outcome, Property, Scenario, Supervised, text};
use blkproof::generate::Choices;
use blkproof::sweep::Strike;
use blkproof_engine::ImageInspector;
use blkproof_qcow2::Mistake;
use blkproof_spec::StepNumber;
use formats::{Bench, Campaign, Own, Plant, Planted, QemuImg, Subject, Totals, corpora, scenarios};

fn parse(lines: &str) -> Scenario {
    let text = format!("blkproof-format 1\n{lines}");
    text::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn run(library: &mut dyn Library, scenario: &Scenario) -> Outcome {
    let mut inspector = ImageInspector::new();
    let mut qemu = QemuImg::find();
    let mut judge = Judge::new(library).inspected_by(&mut inspector);
    if let Some(qemu) = &mut qemu {
        judge = judge.with_maker(qemu);
    }
    judge.run(scenario)
}

fn assert_holds(lines: &str) {
    let scenario = parse(lines);
    match run(&mut Own::default(), &scenario) {
        Outcome::Failed(failure) => panic!("{}", failure.render(&scenario)),
        Outcome::NotJudged(reason, _) => panic!("{reason}"),
        Outcome::Held(_) => {}
    }
}

fn assert_finds(plant: Plant, lines: &str, wanted: Property) {
    let scenario = parse(lines);
    let outcome = run(&mut Planted { plant }, &scenario);
    let shown = || format!("{plant:?} does not show: {outcome:?}");
    let failure = outcome.failure().unwrap_or_else(|| panic!("{}", shown()));
    let found: Vec<_> = failure
        .findings
        .iter()
        .map(|found| found.property)
        .collect();
    assert!(found.contains(&wanted), "{}", failure.render(&scenario));
    assert_holds(lines);
}

#[test]
fn every_kind_of_step_holds() {
    assert_holds(
        "image 1M cluster=4k cache=small
base 300k raw
look every-step
write 0 64k stamp
write 100 1000 stamp
write-zeroes 5000 20000
discard 32k 32k
flush
resize 2M
write 1900k 40k stamp
resize 512k
resize 1M
reopen
read 0 1M
kill
write 3k 1k fill=0x41
flush
power-cut lost=all
read 0 64k
",
    );
}

#[test]
fn a_client_that_tries_again_loses_nothing() {
    for fault in ["error", "torn keep=left", "applied-but-failed"] {
        for number in 1..6 {
            assert_holds(&format!(
                "image 1M cluster=4k
base 2M qcow2
fault image.file {fault} errno=EIO iotype=write when=nth({number})
write 2k 8k stamp retry
flush retry
write-zeroes 3k 6k retry
flush retry
reopen
"
            ));
        }
    }
}

#[test]
fn a_loss_in_the_midst_of_a_request_holds() {
    for at in 1..12 {
        for loss in ["kill", "power-cut lost=worst", "power-cut lost=all"] {
            let loss = loss.to_owned() + &format!(" at={at}");
            assert_holds(&format!(
                "image 1M cluster=4k
write 0 8k stamp
flush
{loss}
write 2k 64k stamp
flush
write 512 8k fill=0x11
"
            ));
        }
    }
}

#[test]
fn images_of_qemu_are_opened() {
    if QemuImg::find().is_none() {
        return eprintln!("skipped: there is no qemu-img");
    }
    for bits in [1, 2, 4, 8, 16, 32, 64] {
        assert_holds(&format!(
            "image 1M cluster=4k refcount-bits={bits} made-by=qemu-img
base 512k raw
write 500k 60k stamp
discard 504k 20k
kill
write 500k 1k stamp
"
        ));
    }
}

#[test]
fn planted_bugs_are_found() {
    let write = "image 1M cluster=4k
fault image.file error errno=EIO iotype=write when=nth(1)
write 0 4k stamp
write 0 4k stamp
flush retry
";
    // The requests before it write tables, which are written again at the end.
    let swallowed = "image 1M cluster=4k
fault image.file error errno=EIO iotype=write when=nth(4)
write 0 4k stamp
";
    let flush = "image 1M cluster=4k
write 0 4k stamp
fault image.file error errno=EIO iotype=flush when=nth(1)
flush
power-cut lost=all
";
    assert_finds(Plant::WriteErrorSwallowed, swallowed, Property::ReadsExact);
    assert_finds(Plant::StaysBroken, write, Property::ErrorsCaused);
    assert_finds(Plant::Panics, write, Property::NoCrash);
    assert_finds(Plant::FlushErrorSwallowed, flush, Property::SyncedSurvives);
    assert_finds(Plant::NeverSyncs, flush, Property::SyncedSurvives);
    let read = "image 1M cluster=4k
write 0 4k stamp
fault image.file error errno=EIO iotype=read when=nth(1)
read 0 4k
";
    assert_finds(Plant::ShortRead, read, Property::SuccessWhole);
    let for_ever = "image 1M cluster=4k
fault image.file error errno=EIO iotype=write when=from(1)
write 0 4k stamp
";
    assert_finds(Plant::NeverGivesUp, for_ever, Property::Ends);
    let zeroes = "image 1M cluster=4k\nwrite 0 4k stamp\nwrite-zeroes 100 4k\n";
    assert_finds(Plant::UnalignedZeroesLost, zeroes, Property::ReadsExact);
    let grow = "image 1M cluster=4k\nresize 2M\n";
    assert_finds(Plant::GrowsDirty, grow, Property::ReadsExact);
}

/// What a fault struck, and what it left, tell one bug from another with the same property.
#[test]
fn findings_say_what_was_struck_and_what_stands_there() {
    let seen = |plant, lines: &str| {
        let outcome = run(&mut Planted { plant }, &parse(lines));
        outcome.failure().expect("it fails").findings[0]
            .seen
            .clone()
    };
    let data = "image 1M cluster=4k
write 0 4k stamp
flush
fault image.file error errno=EIO iotype=write when=nth(1)
write 0 4k stamp
flush
";
    assert_eq!(
        seen(Plant::WriteErrorSwallowed, data),
        "wrong contents: an older write, after a failed write of data, \
         behind a failed write of data"
    );
    // A library that was closed, and whose file was found right, starts anew.
    let before = "image 1M cluster=4k
write 0 4k stamp
fault image.file error errno=EIO iotype=read when=nth(1)
read 0 4k
reopen
write 0 4k stamp
flush
power-cut lost=all
";
    assert_eq!(
        seen(Plant::NeverSyncs, before),
        "wrong contents: zeroes, after a power cut"
    );
}

/// A write that never returns, without asking its device for anything any more.
#[test]
fn a_library_that_hangs_has_failed_and_others_are_judged_behind_it() {
    let limit = Duration::from_millis(400);
    let mut supervised = Supervised::new(limit, |judge| {
        let mut library = Planted {
            plant: Plant::Hangs,
        };
        judge(Judge::new(&mut library));
    });
    let hangs = parse(
        "image 1M cluster=4k
fault image.file error errno=EIO iotype=write when=from(1)
flush
write 0 4k stamp
read 0 4k
",
    );
    let holds = parse("image 1M cluster=4k\nwrite 0 4k stamp\n");
    for _ in 0..2 {
        let outcome = supervised.run(&hangs);
        let failure = outcome.failure().expect("it hangs");
        assert_eq!(failure.identity().property, Property::Ends);
        assert_eq!(
            (failure.step, failure.step_kind),
            (Some(StepNumber(3)), "write")
        );
        let report = failure.render(&hangs);
        assert!(report.contains("no end within 0.4 s"), "{report}");
        assert!(matches!(supervised.run(&holds), Outcome::Held(_)));
    }
    // It would leave a thread behind each time: at some time it is enough.
    let outcomes = (0..8).map(|_| supervised.run(&hangs));
    let failed = outcomes.filter(|outcome| outcome.failure().is_some());
    assert_eq!(failed.count(), 6);
    assert!(matches!(supervised.run(&holds), Outcome::NotJudged(..)));
}

fn campaign(library: Box<dyn Library>, cases: u64, failures_max: usize) -> Totals {
    let mut bench = Bench::new(library);
    let campaign = Campaign {
        seed: 5,
        first: 0,
        cases,
        time: None,
        failures_max,
    };
    let others = bench.has_qemu();
    let able = Own::default().capabilities();
    let mut judge = bench.judge();
    let mut run = |scenario: &Scenario| judge.run(scenario);
    let totals = campaign.run(&mut run, &able, others, &mut |_, _| Ok(()));
    totals.expect("nothing is written")
}

#[test]
fn a_campaign_is_silent() {
    let totals = campaign(Box::new(Own::default()), 1500, 1);
    if let Some(found) = totals.found.values().next() {
        panic!("{}", found.failure.render(&found.scenario));
    }
    assert_eq!(totals.cases, 1500);
    assert_eq!(totals.not_judged.len(), 0, "{:?}", totals.not_judged);
    let reached = [totals.fired, totals.retries, totals.losses];
    assert!(reached.iter().all(|count| *count > 100), "{reached:?}");
}

#[test]
fn every_case_comes_out_the_same_twice() {
    let mut bench = Bench::new(Box::new(Own::default()));
    let mut judge = bench.judge();
    let able = judge.capabilities();
    for case in 0..100 {
        let scenario = generate(&mut Choices::new(8, case), &able, false);
        assert_eq!(judge.run(&scenario), judge.run(&scenario), "case {case}");
        let text = text::print(&scenario);
        assert_eq!(
            text::parse(text.as_bytes()).as_ref(),
            Ok(&scenario),
            "{text}"
        );
    }
}

#[test]
fn sweeps_of_the_corpus_hold() {
    let mut bench = Bench::new(Box::new(Own::default()));
    let mut judge = bench.judge();
    let all = scenarios(&corpora().join("format")).expect("the corpus can be read");
    assert!(all.len() >= 10);
    let qemu = QemuImg::find().is_some();
    for (path, scenario) in all {
        let scenario = Subject::Own.fitted(&scenario);
        if scenario.setup.made_by == MadeBy::QemuImg && !qemu {
            eprintln!("skipped: {} needs qemu-img", path.display());
            continue;
        }
        let mut each = |swept: Swept<'_>| {
            if let Some(failure) = swept.failure {
                let text = text::print(swept.scenario);
                panic!(
                    "{}\n{text}{}",
                    path.display(),
                    failure.render(swept.scenario)
                );
            }
            true
        };
        let faults = sweep(&scenario, &Strike::ALL, |one| judge.run(one), &mut each);
        assert!(faults.complete && faults.all() > 100, "{faults:?}");
        assert_eq!(faults.held, faults.all());
        let losses = sweep_losses(&scenario, true, |one| judge.run(one), &mut each);
        assert!(losses.complete && losses.operations > 10, "{losses:?}");
        assert_eq!(losses.held, losses.operations * 7);
    }
}

/// Nothing is ever struck there: a sweep must see that it is over.
#[test]
fn a_sweep_of_what_is_not_judged_ends() {
    let mut bench = Bench::new(Box::new(Own::default()));
    let mut judge = bench.judge();
    let scenario = parse("image 1M cluster=2M\nwrite 0 4k stamp\n");
    let mut each = |_: Swept<'_>| true;
    let faults = sweep(&scenario, &Strike::ALL, |one| judge.run(one), &mut each);
    assert_eq!((faults.all(), faults.complete), (0, true));
    let losses = sweep_losses(&scenario, true, |one| judge.run(one), &mut each);
    assert_eq!((losses.operations, losses.complete), (0, true));
}

fn assert_caught(name: &str, library: Box<dyn Library>) {
    let totals = campaign(library, 4000, 1);
    let found = totals.found.values().next();
    let found = found.unwrap_or_else(|| panic!("{name} is not caught"));
    let steps = found.scenario.steps.len();
    let shown = found.failure.render(&found.scenario);
    assert!(steps <= 6, "{name} takes {steps} steps:\n{shown}");
}

#[test]
fn made_up_scenarios_catch_planted_bugs_and_shrink_them() {
    for plant in Plant::ALL {
        assert_caught(&format!("{plant:?}"), Box::new(Planted { plant }));
    }
}

#[test]
fn made_up_scenarios_catch_mistakes_of_the_format() {
    for mistake in [
        Mistake::CountsComeLate,
        Mistake::FreedAtOnce,
        Mistake::TableWithData,
        Mistake::FlushBeforeTables,
        Mistake::GrowthExposes,
    ] {
        let mistake = Some(mistake);
        assert_caught(&format!("{mistake:?}"), Box::new(Own { mistake }));
    }
}

#[test]
fn qemu_has_nothing_to_say_of_what_a_campaign_leaves() {
    let Some(qemu) = QemuImg::find() else {
        return eprintln!("skipped: there is no qemu-img");
    };
    let mut bench = Bench::new(Box::new(Own::default()));
    let mut judge = bench.judge();
    let able = judge.capabilities();
    for case in 0..40 {
        let scenario = generate(&mut Choices::new(9, case), &able, false);
        let outcome = judge.run(&scenario);
        assert!(matches!(outcome, Outcome::Held(_)));
        let file = judge.file().expect("there is an image");
        let said = qemu.check(&file).expect("qemu-img runs");
        assert!(said.is_empty(), "case {case}: {said:?}");
    }
}
