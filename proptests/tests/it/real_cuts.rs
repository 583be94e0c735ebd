//! What cuts of the power leave, looked at by QEMU's own tools.
//!
//! Of each scenario a sample of the states is written to files. `qemu-img check` has to find no
//! corruption in any image, `qemu-img convert` and `qemu-io` read what our inspector reads, which
//! is what the model allows, and `qemu-img info` calls those bitmaps in use that the file does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use blkproof::device::{Folder, MemStore, Store as _};
use blkproof::spec::step::Action;
use blkproof::spec::{Format, ImageName, Scenario};
use blkproof::sweep::power::{Swept, sweep};
use blkproof::{Inspector as _, Options, Runner, corpus};
use blkproof_engine::{Engine, ImageInspector};
use blkproof_qcow2::inspect::{FoundBitmap, Limits, bitmaps};

use crate::qemu;

/// Of so many states of the seed one is looked at.
const EVERY: u64 = 300;

/// What was looked at.
#[derive(Default, Debug)]
struct Looked {
    states: u64,
    images: u64,
    leaks: u64,
    /// The sectors that `qemu-io` read, and those of them that hold anything.
    sectors: u64,
    written: u64,
    bitmaps_in_use: u64,
    bitmaps_consistent: u64,
}

fn corpora(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpora")
        .join(folder)
}

fn load(path: &Path) -> Scenario {
    corpus::load(path).expect("the corpus is in order").scenario
}

/// Sweeps a scenario; hands every state of which `choose` says so to QEMU.
fn sweep_with(scenario: &Scenario, looked: &mut Looked, choose: impl Fn(u64) -> bool) {
    let mut runner = Runner::new(Options::default());
    let mut states = 0;
    let each = |swept: &Swept<'_>| {
        assert!(swept.failure.is_none(), "{:?}", swept.failure);
        if choose(states) {
            looked.states += 1;
            look(scenario, swept, looked);
        }
        states += 1;
        true
    };
    let mut inspector = ImageInspector::new();
    let tally = sweep(&mut runner, scenario, 2, Engine::new, &mut inspector, each);
    let tally = tally.expect("the images are made");
    assert!(tally.complete && tally.states() == states, "{tally:?}");
}

/// Has QEMU look at all images of a state.
fn look(scenario: &Scenario, swept: &Swept<'_>, looked: &mut Looked) {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let (folder, store) = (temporary.path(), swept.remains());
    for name in store.list() {
        let path = Folder::new(folder)
            .path_of(&name)
            .expect("a name of a file");
        let mut device = store.snapshot(&name).expect("it is there");
        std::fs::write(path, crate::write_logs::read(&mut device)).expect("a file");
    }
    for name in store.list() {
        let raw = scenario
            .setup
            .disks
            .iter()
            .any(|disk| disk.name == name && disk.geometry.format == Format::Raw);
        let opened = ImageInspector::new().open(&store, &name, Format::Qcow2);
        match opened {
            _ if raw => {}
            Ok(_) => check(folder, &store, &name, looked),
            // One that was just being made need not be there whole; nobody opens it again.
            Err(error) => assert!(
                is_made_at(&swept.scenario()),
                "{name} at {:?}: {error:?}",
                swept.cut
            ),
        }
    }
}

/// Tells whether the last step, in whose midst the cut came, makes images.
fn is_made_at(scenario: &Scenario) -> bool {
    let last = scenario.steps.last().map(|step| &step.action);
    matches!(
        last,
        Some(Action::Create(_) | Action::Backup { .. } | Action::Transaction { .. })
    )
}

/// Has QEMU check an image, read it and tell of its bitmaps.
fn check(folder: &Path, store: &MemStore, name: &ImageName, looked: &mut Looked) {
    looked.images += 1;
    let file = name.as_str();
    let checked = qemu::run(folder, "qemu-img", &["check", "-q", "-f", "qcow2", file]);
    // 3 is leaks alone.
    assert!(
        matches!(checked.status.code(), Some(0 | 3)),
        "{name}: {checked:?}"
    );
    looked.leaks += u64::from(checked.status.code() == Some(3));
    let convert = ["convert", "-f", "qcow2", "-O", "raw", file, "raw-bytes"];
    qemu::succeed(folder, "qemu-img", &convert);
    compare(&folder.join("raw-bytes"), store, name);
    read_sectors(folder, store, name, looked);
    let mut device = store.snapshot(name).expect("it is there");
    let found = bitmaps(&mut device, &Limits::default()).expect("an image");
    let info = qemu::run(
        folder,
        "qemu-img",
        &["info", "--output=json", "-f", "qcow2", file],
    );
    let info = serde_json::from_slice(&info.stdout).expect("QEMU prints JSON");
    judge_bitmaps(&found, &info);
    for bitmap in &found {
        if bitmap.in_use {
            looked.bitmaps_in_use += 1;
        } else {
            looked.bitmaps_consistent += 1;
        }
    }
}

/// Compares the bytes that QEMU read with what the inspector reads.
fn compare(path: &Path, store: &MemStore, name: &ImageName) {
    let seen = std::fs::read(path).expect("QEMU wrote it");
    let mut image = ImageInspector::new()
        .open(store, name, Format::Qcow2)
        .expect("it was opened before");
    assert_eq!(seen.len() as u64, image.size().0, "{name}");
    let mut buf = Vec::new();
    for (piece, start) in seen.chunks(1 << 20).zip((0..).step_by(1 << 20)) {
        buf.resize(piece.len(), 0);
        image.read(start, &mut buf).expect("memory does not fail");
        assert!(
            buf == piece,
            "{name}: QEMU reads something else near {start:#x}"
        );
    }
}

/// Has `qemu-io` read some sectors of an image: the first and the last, and of those that hold
/// anything the first, the last and some between. Opening it any way but read-only would repair it.
fn read_sectors(folder: &Path, store: &MemStore, name: &ImageName, looked: &mut Looked) {
    let mut image = ImageInspector::new()
        .open(store, name, Format::Qcow2)
        .expect("it was opened before");
    let mut sector = |start: u64| {
        let mut bytes = vec![0; 512];
        image.read(start, &mut bytes).expect("memory does not fail");
        bytes
    };
    let bytes = std::fs::read(folder.join("raw-bytes")).expect("QEMU wrote it");
    let sectors = bytes.chunks(512).zip(0_u64..);
    let holding = sectors.filter(|(bytes, _)| bytes.iter().any(|byte| *byte != 0));
    let holding: Vec<u64> = holding.map(|(_, number)| number * 512).collect();
    let every = holding.len().div_ceil(6).max(1);
    let mut chosen: BTreeSet<u64> = holding.iter().step_by(every).copied().collect();
    chosen.extend(holding.last());
    looked.written += chosen.len() as u64;
    chosen.extend([0, (bytes.len() as u64).saturating_sub(512)]);
    looked.sectors += chosen.len() as u64;
    let commands: Vec<String> = chosen
        .iter()
        .map(|at| format!("read -v {at} 512"))
        .collect();
    let commands = commands.iter().flat_map(|command| ["-c", command.as_str()]);
    let args = ["-r", "-f", "qcow2", name.as_str()];
    let args: Vec<&str> = args.into_iter().chain(commands).collect();
    let said = qemu::run(folder, "qemu-io", &args);
    assert!(said.status.success(), "{name}: {said:?}");
    let said = String::from_utf8(said.stdout).expect("QEMU prints text");
    // A line says where, holds sixteen bytes, and then shows them as letters.
    let lines = said.lines().filter_map(|line| line.split_once(":  "));
    let mut lines = lines.map(|(at, bytes)| (u64::from_str_radix(at, 16), bytes));
    for at in chosen {
        let expected = sector(at);
        for (expected, start) in expected.chunks(16).zip((at..).step_by(16)) {
            let (told, bytes) = lines.next().expect("QEMU prints what it read");
            let bytes = bytes.split_whitespace().take(16);
            let bytes: Vec<u8> = bytes
                .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"))
                .collect();
            assert_eq!((told, &bytes[..]), (Ok(start), expected), "{name}");
        }
    }
}

/// Compares the bitmaps that QEMU tells of with those that were found.
fn judge_bitmaps(found: &[FoundBitmap], info: &serde_json::Value) {
    let told = &info["format-specific"]["data"]["bitmaps"];
    let told = told.as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(told.len(), found.len(), "{info}");
    for (told, found) in told.iter().zip(found) {
        assert_eq!(told["name"], found.name);
        assert_eq!(told["granularity"], found.granularity.0);
        let flags = told["flags"].as_array().expect("a list");
        let has = |flag: &str| flags.iter().any(|told| told == flag);
        assert_eq!(has("in-use"), found.in_use, "{info}");
        assert_eq!(has("auto"), found.enabled, "{info}");
    }
}

#[test]
fn qemu_finds_nothing_wrong_with_what_cuts_leave_of_the_seed() {
    let test = "qemu_finds_nothing_wrong_with_what_cuts_leave_of_the_seed";
    if !qemu::is_here(test) {
        return;
    }
    let files = corpus::files(&corpora("seed")).expect("the seed corpus is in the repository");
    let mut looked = Looked::default();
    for (path, number) in files.iter().zip(0..) {
        let scenario = load(path);
        sweep_with(&scenario, &mut looked, |state| {
            (state + 23 * number) % EVERY == 0
        });
    }
    assert!(looked.states >= 10 && looked.images >= 20, "{looked:?}");
    assert!(
        looked.written >= 20 && looked.sectors > looked.written,
        "{looked:?}"
    );
}

#[test]
fn qemu_calls_bitmaps_what_they_are_wherever_power_is_lost() {
    if !qemu::is_here("qemu_calls_bitmaps_what_they_are_wherever_power_is_lost") {
        return;
    }
    let mut looked = Looked::default();
    for name in ["p01-persistence", "p05-cuts-around-a-restart"] {
        let scenario = load(&corpora("golden").join(format!("{name}.blk")));
        sweep_with(&scenario, &mut looked, |state| state % 4 == 0);
    }
    assert!(looked.bitmaps_in_use >= 10, "{looked:?}");
    assert!(looked.bitmaps_consistent >= 10, "{looked:?}");
}
