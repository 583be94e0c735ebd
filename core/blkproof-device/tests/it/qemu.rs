//! The same rule programs on QEMU's `blkdebug`, through `qemu-io`, and here: every request must end
//! the same way.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use blkproof_device::{MemStore, Pool, Store, ini};
use blkproof_spec::fault::{Event, IoType, Rule};
use blkproof_spec::{ByteRange, Errno, ImageName, Length, Tag};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::program;
use crate::raw::Raw;

const PROGRAMS: usize = 80;
const SIZE: u64 = 1 << 20;

/// What a program does: requests, and at most one request in flight around some of them.
#[derive(Clone, Debug)]
pub(crate) struct Deeds {
    first: Vec<(IoType, ByteRange)>,
    stopped: Option<Stop>,
    last: Vec<(IoType, ByteRange)>,
}

impl Deeds {
    /// Returns deeds that are nothing but requests.
    pub(crate) fn plain(requests: Vec<(IoType, ByteRange)>) -> Self {
        Self {
            first: requests,
            stopped: None,
            last: Vec::new(),
        }
    }
}

/// A request that is suspended while others are made.
#[derive(Clone, Debug)]
struct Stop {
    event: Event,
    kind: IoType,
    meanwhile: Vec<(IoType, ByteRange)>,
}

/// Where the suspended request goes: away from the others, since QEMU makes overlapping ones wait.
const ASIDE: ByteRange = ByteRange {
    start: SIZE / 2,
    len: 1024,
};

fn deeds() -> impl Strategy<Value = Deeds> {
    let requests = || prop::collection::vec(program::request(), 0..10);
    let points = [
        (Event::ReadAio, IoType::Read),
        (Event::WriteAio, IoType::Write),
        (Event::Pwritev, IoType::Write),
        (Event::PwritevDone, IoType::Write),
    ];
    // A request meanwhile would run into the breakpoint's event only if that were still armed.
    let stop = (prop::sample::select(points.to_vec()), requests()).prop_map(
        |((event, kind), meanwhile)| Stop {
            event,
            kind,
            meanwhile,
        },
    );
    (requests(), prop::option::of(stop), requests()).prop_map(|(first, stopped, last)| Deeds {
        first,
        stopped,
        last,
    })
}

/// How the requests of a program ended, in the order in which they ended. What `flush` answers is
/// not printed by `qemu-io`; that anything failed shows in its exit code.
#[derive(PartialEq, Debug)]
pub(crate) struct Outcome {
    ends: Vec<Result<(), String>>,
    failed: bool,
}

impl Outcome {
    fn add(&mut self, kind: IoType, result: Result<(), Errno>, in_flight: bool) {
        // Requests in flight have been accepted when their command ends.
        self.failed |= result.is_err() && !in_flight;
        if kind != IoType::Flush {
            self.ends
                .push(result.map_err(|errno| errno.text().unwrap().to_string()));
        }
    }
}

/// Returns how the requests end here.
pub(crate) fn here(rules: &[Rule], deeds: &Deeds) -> Outcome {
    let mut store = MemStore::new(&Pool::new());
    for rule in rules {
        store.install(&program::at_file(rule.clone()));
    }
    let mut raw = Raw::new(store.create(&ImageName::new("d"), Length(SIZE)).unwrap());
    let mut outcome = Outcome {
        ends: Vec::new(),
        failed: false,
    };
    for (kind, range) in &deeds.first {
        outcome.add(*kind, raw.request(*kind, *range), false);
    }
    if let Some(stop) = &deeds.stopped {
        let tag = Tag::new("A");
        store.install(&program::at_file(Rule::Break {
            event: stop.event,
            tag: tag.clone(),
        }));
        let Err((told, stopped)) = raw.start(stop.kind, ASIDE) else {
            panic!("nothing was suspended");
        };
        assert!(told == tag && store.is_suspended(&tag));
        for (kind, range) in &stop.meanwhile {
            outcome.add(*kind, raw.request(*kind, *range), false);
        }
        assert!(store.resume(&tag));
        outcome.add(stop.kind, raw.resume(&stopped), true);
    }
    for (kind, range) in &deeds.last {
        outcome.add(*kind, raw.request(*kind, *range), false);
    }
    outcome
}

fn command(kind: IoType, range: ByteRange) -> String {
    let ByteRange { start, len } = range;
    match kind {
        IoType::Read => format!("read {start} {len}"),
        IoType::Write => format!("write {start} {len}"),
        IoType::WriteZeroes => format!("write -z {start} {len}"),
        IoType::Discard => format!("discard {start} {len}"),
        IoType::Flush => "flush".to_string(),
        IoType::BlockStatus => format!("alloc {start} {len}"),
    }
}

fn commands(deeds: &Deeds) -> Vec<String> {
    let plain = |requests: &[(IoType, ByteRange)]| {
        let requests = requests.iter();
        requests
            .map(|(kind, range)| command(*kind, *range))
            .collect::<Vec<_>>()
    };
    let mut commands = plain(&deeds.first);
    if let Some(stop) = &deeds.stopped {
        commands.push(format!("break {} A", stop.event));
        commands.push(format!("aio_{}", command(stop.kind, ASIDE)));
        commands.push("wait_break A".to_string());
        commands.extend(plain(&stop.meanwhile));
        commands.push("resume A".to_string());
        commands.push("aio_flush".to_string());
    }
    commands.extend(plain(&deeds.last));
    commands
}

/// Returns how the requests end in QEMU under the rules of a configuration file, or what it says
/// where it refuses the file.
pub(crate) fn there(folder: &Path, config: &[u8], deeds: &Deeds) -> Result<Outcome, String> {
    let mut node = String::from("driver=raw,discard=unmap,file.driver=blkdebug,file.discard=unmap");
    write!(node, ",file.image.driver=file,file.image.discard=unmap").unwrap();
    write!(node, ",file.image.filename={}", folder.join("d").display()).unwrap();
    let rules = folder.join("rules.ini");
    std::fs::write(&rules, config).unwrap();
    write!(node, ",file.config={}", rules.display()).unwrap();
    std::fs::write(folder.join("d"), vec![1; usize::try_from(SIZE).unwrap()]).unwrap();
    // By default every write is followed by a flush of its own.
    let mut qemu_io = Command::new("timeout");
    qemu_io.args(["20", "qemu-io", "-t", "writeback", "--image-opts", &node]);
    for command in commands(deeds) {
        qemu_io.args(["-c", &command]);
    }
    let output = qemu_io.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !errors.is_empty() {
        return Err(errors.into_owned());
    }
    let ended = |line: &str| {
        let done = ["read ", "wrote ", "discard "]
            .iter()
            .any(|start| line.starts_with(start));
        match line.split_once(" failed: ") {
            Some((_, error)) => Some(Err(error.to_string())),
            None => (done || line.contains("allocated at offset")).then_some(Ok(())),
        }
    };
    Ok(Outcome {
        ends: text.lines().filter_map(ended).collect(),
        failed: output.status.code() != Some(0),
    })
}

/// Tells whether a tool is there. Where it is required, its absence is a failure.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    let required = std::env::var_os("BLKPROOF_REQUIRE_QEMU").is_some_and(|value| value == "1");
    assert!(there || !required, "{tool} is required and not there");
    if !there {
        println!("skipped: {tool} is not there");
    }
    there
}

#[test]
fn qemu_agrees() {
    if !has("qemu-io") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[124; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let programs = (prop::collection::vec(program::rule(), 1..10), deeds());
    let (mut ends, mut errors) = (0, 0);
    for number in 0..PROGRAMS {
        let (rules, deeds) = programs.new_tree(&mut runner).unwrap().current();
        let config = ini::print(&rules).unwrap();
        let there = there(folder.path(), config.as_bytes(), &deeds).unwrap();
        let here = here(&rules, &deeds);
        assert_eq!(
            here,
            there,
            "program {number}: {rules:#?}\n{:#?}",
            commands(&deeds)
        );
        ends += here.ends.len();
        errors += here.ends.iter().filter(|end| end.is_err()).count();
    }
    assert!(
        errors > 50 && errors < ends / 2,
        "{errors} of {ends} requests failed"
    );
}
