//! Programs of `blkdebug` rules below this driver and below QEMU's, on the same images: the same
//! request fails first, and in the same way.
//!
//! The comparison ends with the first failure, since what a driver does behind one is its own
//! business. Of the 48 events, the scripts below raise all that QEMU's driver can be brought to
//! raise by `qemu-io` and that this one raises too; [`NEVER`] says why the others are left out.
//! Where tables are copied or grow, the two look up and write counts in another order, so programs
//! there have only the events that this does not move.

use std::fs;
use std::path::Path;
use std::process::Command;

use blkproof_device::{BlockDevice, Durability, IoError, IoResult, MemStore, Pool, Store, ini};
use blkproof_qcow2::{EVENTS_RAISED, Qcow2};
use blkproof_spec::fault::{Event, InjectError, IoType, IoTypes, Rule};
use blkproof_spec::{ByteRange, Errno, FaultRule, ImageName, Layer, Length, Offset, Place};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tempfile::tempdir;

use crate::support::{UNMAP, have_qemu, load, succeed};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;

/// How many programs run under each script.
const PROGRAMS: usize = 40;

/// The events that are in no program, with the reason.
const NEVER: &[(Event, &str)] = &[
    (
        Event::ReftableLoad,
        "raised while QEMU opens an image; here the table is read by need",
    ),
    (
        Event::ReftableGrow,
        "raised by QEMU besides the events of the new table, not here",
    ),
    (
        Event::ReftableUpdate,
        "seen nowhere in QEMU; raised here where a failed growth is made up for",
    ),
    (Event::RefblockUpdate, "seen nowhere in QEMU"),
    (
        Event::VmstateLoad,
        "states of virtual machines are no business of qemu-io",
    ),
    (
        Event::VmstateSave,
        "states of virtual machines are no business of qemu-io",
    ),
    (
        Event::L1ShrinkFreeL2Clusters,
        "QEMU passes over what fails behind it",
    ),
    (
        Event::EmptyImagePrepare,
        "raised by a commit, which qemu-io does not make",
    ),
    (
        Event::CorWrite,
        "raised on the node that copies on read, which is not the one with rules",
    ),
    (
        Event::PwritevRmwHead,
        "raised where a device's blocks are larger than a request; those here take any byte",
    ),
    (Event::PwritevRmwAfterHead, "as its head"),
    (Event::PwritevRmwTail, "as its head"),
    (Event::PwritevRmwAfterTail, "as its head"),
    (
        Event::None,
        "fails the opening; the device's tests raise it on raw",
    ),
];

/// A request, or a command that says nothing where it succeeds.
#[derive(Clone, Copy, Debug)]
enum Do {
    Read(u64, u64),
    Write(u64, u64),
    Compress(u64, u64),
    Zero(u64, u64),
    Discard(u64, u64),
    Flush,
    Truncate(u64),
}

use Do::{Compress, Discard, Flush, Read, Truncate, Write, Zero};

/// What is done to an image, and how it is made.
struct Script {
    name: &'static str,
    options: &'static str,
    size: &'static str,
    /// It stands on a file full of data.
    backed: bool,
    /// This was written to it before, and a snapshot was taken.
    snapshot: bool,
    /// Both drivers make requests of the same kinds behind its events.
    by_kind: bool,
    deeds: &'static [Do],
    /// The events of its programs: those that both drivers raise in it, in the same order.
    events: &'static [Event],
}

const SCRIPTS: &[Script] = &[
    Script {
        name: "without a backing file",
        options: "cluster_size=64k",
        size: "4M",
        backed: false,
        snapshot: false,
        by_kind: true,
        deeds: &[
            Write(0, 512),
            Write(64 * K, 64 * K),
            Compress(128 * K, 64 * K),
            Read(128 * K, 64 * K),
            Flush,
            Read(0, 512),
            Discard(64 * K, 64 * K),
            Flush,
            Zero(0, 64 * K),
            Write(0, 64 * K),
            Read(0, 128 * K),
            Flush,
        ],
        events: &[
            Event::L1Update,
            Event::L2Update,
            Event::L2UpdateCompressed,
            Event::L2AllocWrite,
            Event::ReadAio,
            Event::ReadCompressed,
            Event::WriteAio,
            Event::WriteCompressed,
            Event::RefblockLoad,
            Event::RefblockUpdatePart,
            Event::RefblockAlloc,
            Event::ClusterAlloc,
            Event::ClusterAllocBytes,
            Event::ClusterFree,
            Event::ClusterAllocSpace,
            Event::FlushToOs,
            Event::FlushToDisk,
            Event::Pwritev,
            Event::PwritevZero,
            Event::PwritevDone,
        ],
    },
    Script {
        name: "on a backing file",
        options: "cluster_size=64k",
        size: "4M",
        backed: true,
        snapshot: false,
        by_kind: true,
        deeds: &[
            Read(64 * K, 512),
            Write(512, 512),
            Write(130 * K, 2 * K),
            Read(0, 64 * K),
            Flush,
            Write(512, 512),
            Read(3 * M, 64 * K),
        ],
        events: &[
            Event::L1Update,
            Event::L2Update,
            Event::L2AllocWrite,
            Event::ReadAio,
            Event::ReadBackingAio,
            Event::WriteAio,
            Event::CowRead,
            Event::CowWrite,
            Event::RefblockLoad,
            Event::RefblockUpdatePart,
            Event::RefblockAlloc,
            Event::ClusterAlloc,
            Event::FlushToOs,
            Event::FlushToDisk,
            Event::Pwritev,
            Event::PwritevDone,
        ],
    },
    Script {
        name: "that grows and shrinks",
        options: "cluster_size=512",
        size: "4M",
        backed: false,
        snapshot: false,
        by_kind: false,
        deeds: &[
            Write(0, 140 * K),
            Flush,
            Truncate(8 * M),
            Write(7 * M, 512),
            Read(100 * K, 512),
            Flush,
            Truncate(M),
            Flush,
            Read(0, 512),
        ],
        events: &[
            Event::L1GrowAllocTable,
            Event::L1GrowWriteTable,
            Event::L1GrowActivateTable,
            Event::L1ShrinkWriteTable,
            Event::ReadAio,
            Event::WriteAio,
            Event::RefblockAllocHookup,
            Event::RefblockAllocWrite,
            Event::FlushToOs,
            Event::FlushToDisk,
        ],
    },
    Script {
        name: "with a snapshot",
        options: "cluster_size=512",
        size: "4M",
        backed: false,
        snapshot: true,
        by_kind: false,
        deeds: &[
            Write(0, 512),
            Write(8 * K, 512),
            Flush,
            Read(0, 512),
            Read(40 * K, 512),
        ],
        events: &[
            Event::L2Load,
            Event::L2AllocCowRead,
            Event::ReadAio,
            Event::WriteAio,
            Event::FlushToOs,
            Event::FlushToDisk,
        ],
    },
    Script {
        name: "whose refcount table grows",
        options: "cluster_size=512,preallocation=metadata",
        size: "8010k",
        backed: false,
        snapshot: false,
        by_kind: false,
        deeds: &[
            Truncate(8200 * K),
            Write(8010 * K, 64 * K),
            Flush,
            Read(0, 512),
        ],
        events: &[
            Event::ReadAio,
            Event::RefblockAllocWriteBlocks,
            Event::RefblockAllocWriteTable,
            Event::RefblockAllocSwitchTable,
            Event::FlushToOs,
            Event::FlushToDisk,
        ],
    },
];

#[test]
fn every_event_is_in_the_programs_or_there_is_a_reason() {
    for event in Event::ALL {
        let compared = SCRIPTS.iter().any(|script| script.events.contains(event));
        let never = NEVER.iter().any(|(never, _)| never == event);
        assert!(compared != never, "{event}");
        let raised = EVENTS_RAISED.contains(event) || event.name().starts_with("pwritev");
        assert!(!compared || raised, "{event}");
    }
}

fn rule(script: &'static Script) -> impl Strategy<Value = Rule> {
    let event = || prop::sample::select(script.events);
    let by_kind = u32::from(script.by_kind);
    let iotypes = prop_oneof![
        4 => Just(IoTypes::ALL_BUT_BLOCK_STATUS),
        by_kind => prop::sample::select(&[IoType::Read, IoType::Write]).prop_map(IoTypes::only),
    ];
    let errno = prop::sample::select(&[Errno::EIO, Errno::ENOSPC]);
    let inject = (event(), 0..4_u32, iotypes, errno, any::<bool>()).prop_map(
        |(event, state, iotypes, errno, once)| {
            Rule::InjectError(InjectError {
                state,
                iotypes,
                errno: Some(errno),
                once,
                ..InjectError::new(event)
            })
        },
    );
    let set_state =
        (event(), 0..4_u32, 1..4_u32).prop_map(|(event, state, new_state)| Rule::SetState {
            event,
            state,
            new_state,
        });
    prop_oneof![inject, set_state]
}

/// Makes the image of a script, and the file below it.
fn make(script: &Script, folder: &Path) {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (image, base) = (text(&folder.join("image")), text(&folder.join("base")));
    let mut args = vec!["create", "-q", "-f", "qcow2", "-o", script.options];
    if script.backed {
        fs::write(&base, vec![7; 4 << 20]).unwrap();
        args.extend(["-b", &base, "-F", "raw"]);
    }
    args.extend([&*image, script.size]);
    succeed("qemu-img", &args);
    if script.snapshot {
        succeed("qemu-io", &["-f", "qcow2", "-c", "write 0 64k", &image]);
        succeed("qemu-img", &["snapshot", "-c", "s", &image]);
    }
}

/// The first failure: how many requests that say how they end ended well before it, and what the
/// error was, where the one that failed says so.
type Failure = Option<(usize, Option<String>)>;

fn here(script: &Script, rules: &[Rule], folder: &Path) -> Failure {
    let mut store = MemStore::new(&Pool::new());
    let name = ImageName::new("image");
    let mut file = load(&folder.join("image"));
    let size = file.size();
    let mut device = store.create(&name, size).unwrap();
    let mut bytes = vec![0; usize::try_from(size.0).unwrap()];
    file.read_at(Offset(0), &mut bytes).unwrap();
    device
        .write_at(Offset(0), &bytes, Durability::Later)
        .unwrap();
    for rule in rules {
        store.install(&FaultRule {
            name: None,
            place: Place {
                image: name.clone(),
                layer: Layer::File,
            },
            rule: rule.clone(),
        });
    }
    let mut image = Qcow2::open(store.open(&name).unwrap(), &UNMAP).unwrap();
    if script.backed {
        image.set_backing(Some(Box::new(load(&folder.join("base")))));
    }
    let mut told = 0;
    for deed in script.deeds {
        let silent = matches!(deed, Flush | Truncate(_));
        match carry_out(&mut image, *deed) {
            Ok(()) => told += usize::from(!silent),
            Err(IoError::Failed(errno)) => {
                let error = errno.text().unwrap().to_owned();
                return Some((told, (!silent).then_some(error)));
            }
            Err(other) => panic!("{other}"),
        }
    }
    None
}

fn carry_out(image: &mut dyn BlockDevice, deed: Do) -> IoResult<()> {
    let data = |len: u64| vec![0xcd; usize::try_from(len).unwrap()];
    match deed {
        Read(start, len) => image.read_at(Offset(start), &mut data(len)),
        Write(start, len) => image.write_at(Offset(start), &data(len), Durability::Later),
        Compress(start, len) => image.write_compressed(Offset(start), &data(len)),
        Zero(start, len) => image.write_zeroes(ByteRange::new(start, len), false),
        Discard(start, len) => image.discard(ByteRange::new(start, len)),
        Flush => image.flush(),
        Truncate(size) => image.set_size(Length(size)),
    }
}

fn command(deed: Do) -> String {
    match deed {
        Read(start, len) => format!("read {start} {len}"),
        Write(start, len) => format!("write {start} {len}"),
        Compress(start, len) => format!("write -c {start} {len}"),
        Zero(start, len) => format!("write -z {start} {len}"),
        Discard(start, len) => format!("discard {start} {len}"),
        Flush => "flush".to_owned(),
        Truncate(size) => format!("truncate {size}"),
    }
}

/// How the requests of a script end in QEMU, and whether anything failed at all.
fn there(script: &Script, rules: &[Rule], folder: &Path) -> (Vec<Result<(), String>>, bool) {
    let (image, config) = (folder.join("copy"), folder.join("rules.ini"));
    fs::copy(folder.join("image"), &image).unwrap();
    fs::write(&config, ini::print(rules).unwrap()).unwrap();
    let node = format!(
        "driver=qcow2,discard=unmap,file.driver=blkdebug,file.discard=unmap,file.config={},\
         file.image.driver=file,file.image.discard=unmap,file.image.filename={}",
        config.display(),
        image.display()
    );
    let mut qemu_io = Command::new("timeout");
    qemu_io.args(["30", "qemu-io", "-t", "writeback", "--image-opts", &node]);
    for deed in script.deeds {
        qemu_io.args(["-c", &command(*deed)]);
    }
    let output = qemu_io.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let ended = |line: &str| {
        let mut starts = ["read ", "wrote ", "discard "].iter();
        match line.split_once(" failed: ") {
            Some((_, error)) => Some(Err(error.to_owned())),
            None => starts
                .any(|start| line.starts_with(start))
                .then_some(Ok(())),
        }
    };
    let ends = text.lines().filter_map(ended).collect();
    (ends, output.status.code() != Some(0))
}

/// Tells whether QEMU's requests end as ours do, up to the first failure.
fn agree(failure: &Failure, (ends, failed): &(Vec<Result<(), String>>, bool)) -> bool {
    let well = |count: usize| ends.len() >= count && ends[..count].iter().all(Result::is_ok);
    match failure {
        None => !failed && well(ends.len()),
        Some((before, None)) => *failed && well(*before),
        Some((before, Some(error))) => {
            well(*before) && ends.get(*before) == Some(&Err(error.clone()))
        }
    }
}

#[test]
fn the_same_request_fails_first_in_qemu() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[48; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut wrong = Vec::new();
    for script in SCRIPTS {
        make(script, folder.path());
        let programs = prop::collection::vec(rule(script), 1..6);
        let mut failures = 0;
        for _ in 0..PROGRAMS {
            let rules = programs.new_tree(&mut runner).unwrap().current();
            let here = here(script, &rules, folder.path());
            let there = there(script, &rules, folder.path());
            failures += usize::from(here.is_some());
            if !agree(&here, &there) {
                let rules = ini::print(&rules).unwrap();
                wrong.push(format!("{}:\n{rules}\n{here:?}\n{there:?}", script.name));
            }
        }
        assert!(
            failures > PROGRAMS / 6 && failures < PROGRAMS,
            "{}: {failures} of {PROGRAMS} programs had something fail",
            script.name
        );
    }
    assert!(
        wrong.is_empty(),
        "{} programs:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}
