//! The shrinker as a machine: what it hands out, whatever it is told.

use std::path::{Path, PathBuf};

use blkproof::shrink::Shrink;
use blkproof::spec::step::{Action, Step};
use blkproof::spec::{Scenario, StepNumber};
use blkproof::{Failure, Moment, corpus, text};

fn parse(steps: &str) -> Scenario {
    let text = format!("blkproof 1\n{steps}");
    match text::parse(text.as_bytes()) {
        Ok(scenario) => scenario,
        Err(errors) => panic!("{}", errors.render("scenario", text.as_bytes())),
    }
}

/// Shrinks as long as `fails` says so; everything handed out can be written down and read back.
fn shrink(mut machine: Shrink, fails: impl Fn(&Scenario) -> bool) -> Scenario {
    let mut seen = vec![machine.best().clone()];
    while let Some(candidate) = machine.candidate() {
        let candidate = candidate.clone();
        assert_eq!(machine.candidate(), Some(&candidate));
        assert!(!seen.contains(&candidate), "handed out twice");
        let printed = text::print(&candidate);
        assert_eq!(
            text::parse(printed.as_bytes()).as_ref(),
            Ok(&candidate),
            "{printed}"
        );
        machine.report(fails(&candidate));
        seen.push(candidate);
    }
    assert_eq!(machine.tried() + 1, seen.len() as u64);
    machine.best().clone()
}

fn corpora() -> Vec<(PathBuf, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpora");
    let files = corpus::files(&folder).expect("the corpora are there");
    let loaded = files.into_iter().map(|file| {
        let document = corpus::load(&file).expect("the corpora are in order");
        (file, document.scenario)
    });
    loaded.collect()
}

fn failure(moment: Moment, scenario: &Scenario) -> Failure {
    Failure {
        step_kind: moment.step_kind(scenario),
        moment,
        findings: Vec::new(),
        replies: Vec::new(),
        firings: Vec::new(),
        counts: blkproof::Counts::default(),
    }
}

/// Tells whether a step of this kind is left.
fn has(scenario: &Scenario, keyword: &str) -> bool {
    let is_kind = |step: &Step| text::keyword(&step.action) == keyword;
    scenario.steps.iter().any(is_kind)
}

#[test]
fn what_always_fails_becomes_nothing() {
    for (file, scenario) in corpora() {
        let small = shrink(Shrink::new(scenario), |_| true);
        assert!(small.steps.is_empty(), "{}: {small:?}", file.display());
        assert!(small.setup.disks.is_empty(), "{}", file.display());
    }
}

#[test]
fn what_never_fails_again_stays() {
    for (file, scenario) in corpora() {
        let best = shrink(Shrink::new(scenario.clone()), |_| false);
        assert_eq!(best, scenario, "{}", file.display());
    }
}

#[test]
fn whatever_is_told_of_the_failure_nothing_breaks() {
    for (_, scenario) in corpora() {
        let steps = scenario.steps.len();
        for number in [0, 1, steps / 2, steps, steps + 7] {
            let number = StepNumber(u32::try_from(number).unwrap());
            let failure = failure(Moment::Step(number), &scenario);
            let machine = Shrink::new(scenario.clone()).led_by(&failure).at_most(60);
            let mut turn = machine.tried();
            let mut machine = machine;
            while machine.candidate().is_some() {
                turn += 1;
                match turn % 3 {
                    0 => machine.report_failure(&failure),
                    1 => machine.report(true),
                    _ => machine.report(false),
                }
            }
            assert!(machine.tried() <= 60);
        }
    }
}

#[test]
fn the_bound_holds() {
    let (_, scenario) = corpora().remove(0);
    let mut machine = Shrink::new(scenario).at_most(3);
    for _ in 0..3 {
        assert!(machine.candidate().is_some());
        machine.report(false);
    }
    assert_eq!(machine.candidate(), None);
    machine.report(true);
    assert_eq!(machine.tried(), 3);
}

#[test]
fn without_reports_it_is_an_iterator() {
    let scenario = parse("disk drive0 1M qcow2\nwrite drive0 0 64k stamp\nflush drive0\n");
    let mut machine = Shrink::new(scenario.clone());
    let candidates = core::iter::from_fn(|| {
        machine.report(false);
        machine.candidate().cloned()
    });
    let candidates: Vec<_> = candidates.collect();
    assert!(candidates.len() > 3, "{candidates:?}");
    assert!(candidates.iter().all(|candidate| *candidate != scenario));
}

#[test]
fn the_users_of_what_goes_go_too_and_the_rest_is_mended() {
    let scenario = parse(
        "\
disk drive0 1M qcow2
disk drive1 1M qcow2
bitmap add drive0 b0
bitmap add drive0 b1
bitmap add drive1 c0
backup drive0 full to=full0
create inc0 qcow2 backing=full0
backup drive0 incremental bitmap=b0 to=inc0 mode=existing
create inc1 qcow2 backing=inc0
bitmap merge drive0 b1 from=b0,drive1:c0
backup drive1 full to=full1 job=j start
advance j 3
finish j
start r write drive0 0 512 stamp
settle r
backup drive0 incremental bitmap=b1 to=inc1 mode=existing
",
    );
    let last = |scenario: &Scenario| {
        let last = scenario.steps.last().map(|step| &step.action);
        let merges = has(scenario, "bitmap merge");
        merges && matches!(last, Some(Action::Backup { backup, .. }) if backup.bitmap.is_some())
    };
    let small = shrink(Shrink::new(scenario), last);
    assert_eq!(
        text::print(&small),
        "\
blkproof 1
disk drive0 512 qcow2
bitmap add drive0 b0
bitmap add drive0 b1
bitmap merge drive0 b1 from=b0
backup drive0 incremental bitmap=b1 to=inc1
"
    );
}

#[test]
fn an_image_stands_on_what_the_removed_one_stood_on() {
    let scenario = parse(
        "\
disk drive0 1M qcow2
backup drive0 full to=full0
create inc0 qcow2 backing=full0
create inc1 qcow2 backing=inc0
",
    );
    let on = |scenario: &Scenario, name: Option<&str>| {
        scenario.steps.iter().any(|step| match &step.action {
            Action::Create(create) => {
                let backing = create.backing.as_ref().map(|image| image.as_str());
                create.image.as_str() == "inc1" && backing == name
            }
            _ => false,
        })
    };
    let small = shrink(Shrink::new(scenario.clone()), |scenario| {
        on(scenario, Some("full0"))
    });
    assert!(!has(&small, "disk") && on(&small, Some("full0")));
    let alone = shrink(Shrink::new(scenario), |scenario| {
        text::print(scenario).contains("create inc1 ")
    });
    assert_eq!(text::print(&alone), "blkproof 1\ncreate inc1 1M qcow2\n");
}

#[test]
fn values_become_simple() {
    let scenario = parse(
        "\
disk drive0 66M raw discard=ignore
disk drive1 1M qcow2 cluster=4k
bitmap add drive0 b0 granularity=32k disabled
fault drive0.file error errno=ENOSPC iotype=write range=1M+512 when=nth(7)
write drive0 65M 129k fill=0x41 fua
tick 700ms
",
    );
    let kinds = ["bitmap add", "fault", "write", "tick"];
    let small = shrink(Shrink::new(scenario), |scenario| {
        let names: Vec<_> = scenario
            .setup
            .disks
            .iter()
            .map(|disk| disk.name.as_str())
            .collect();
        names == ["drive0"] && kinds.iter().all(|kind| has(scenario, kind))
    });
    assert_eq!(
        text::print(&small),
        "\
blkproof 1
disk drive0 512 qcow2
bitmap add drive0 b0
fault drive0.file error errno=EIO iotype=write
write drive0 0 512 stamp
tick 1ms
"
    );
}

#[test]
fn a_value_that_matters_is_found_to_the_sector() {
    let scenario = parse("disk drive0 64M qcow2\nwrite drive0 33M 1M stamp\n");
    let reaches = |scenario: &Scenario| match scenario.steps.first().map(|step| &step.action) {
        Some(Action::Guest { op, .. }) => op.range().end() > 5000 * 512,
        _ => false,
    };
    let small = shrink(Shrink::new(scenario), reaches);
    let Action::Guest { op, .. } = &small.steps[0].action else {
        panic!("a write is left");
    };
    assert!(op.range().end() < 2 * 5001 * 512, "{op:?}");
}

#[test]
fn transactions_lose_actions_and_become_plain_steps() {
    let scenario = parse(
        "\
disk drive0 1M qcow2
transaction individual
  bitmap add drive0 b0
  backup drive0 full to=full0
  abort
end
",
    );
    let small = shrink(Shrink::new(scenario), |scenario| {
        let text = text::print(scenario);
        text.contains("bitmap add drive0 b0")
    });
    assert_eq!(
        text::print(&small),
        "blkproof 1\ndisk drive0 512 qcow2\nbitmap add drive0 b0\n"
    );
}

#[test]
fn jobs_and_requests_are_carried_out_at_once() {
    let scenario = parse(
        "\
disk drive0 1M qcow2
backup drive0 full to=full0 job=j start
advance j 3
start r write drive0 0 512 stamp
advance-request r 1
finish j
settle r
",
    );
    let small = shrink(Shrink::new(scenario), |scenario| {
        let text = text::print(scenario);
        text.contains("full to=full0") && text.contains("write drive0 ")
    });
    assert_eq!(
        text::print(&small),
        "blkproof 1\ndisk drive0 512 qcow2\nbackup drive0 full to=full0\nwrite drive0 0 512 stamp\n"
    );
}
