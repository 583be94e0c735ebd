//! Persistent bitmaps on real files: QEMU reads, bit by bit, what the engine stored, and the engine
//! goes on where QEMU left off.

use std::path::Path;

use blkproof::device::FolderStore;
use blkproof::generate::{Profile, case};
use blkproof::spec::{ImageName, Scenario};
use blkproof::{Options, Outcome, Runner, corpus};
use blkproof_engine::Engine;
use blkproof_qcow2::inspect::{FoundBitmap, Limits, bitmaps, inspect};
use sha2::{Digest as _, Sha256};

use crate::qemu;

/// Runs a scenario in a folder; tells whether it came to its end, which a fault may keep it from.
fn run(scenario: &Scenario, folder: &Path, options: Options) -> bool {
    let store = FolderStore::in_folder(folder);
    let outcome = Runner::new(options).run_on(&store, scenario, &mut Engine::new(), None);
    assert!(!matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    matches!(outcome, Outcome::Held(_))
}

/// Returns the digest of a bitmap's bits, and its size in words rounded up, as QEMU makes it.
fn digest(bitmap: &FoundBitmap, size: u64) -> String {
    let words = size.div_ceil(bitmap.granularity.0).div_ceil(64);
    let mut bytes = vec![0_u8; usize::try_from(words * 8).expect("a small disk")];
    for bit in bitmap.runs.iter().flat_map(|run| run.0..run.1) {
        let byte = usize::try_from(bit / 8).expect("a small disk");
        bytes[byte] |= 1 << (bit % 8);
    }
    let digest = Sha256::digest(&bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Has QEMU confirm the bitmaps of an image; returns how many there are that are not flagged.
fn confirm(folder: &Path, image: &str) -> usize {
    let mut store = FolderStore::in_folder(folder).subject_handle();
    let mut file = store.open(&ImageName::new(image)).expect("it is there");
    let report = inspect(&mut file, &Limits::default()).expect("an image");
    assert!(report.is_sound(), "{:?}", report.problems);
    let found = bitmaps(&mut file, &Limits::default()).expect("an image");
    let check = qemu::run(folder, "qemu-img", &["check", "-f", "qcow2", image]);
    // 3 is leaks alone, which a fault may leave.
    assert!(matches!(check.status.code(), Some(0 | 3)), "{check:?}");
    let stored: Vec<_> = found.iter().filter(|bitmap| !bitmap.in_use).collect();
    let names: Vec<_> = stored.iter().map(|bitmap| bitmap.name.as_str()).collect();
    let digests = qemu::digests(folder, image, &names);
    let own: Vec<_> = stored
        .iter()
        .map(|bitmap| digest(bitmap, report.size.0))
        .collect();
    assert_eq!(digests, own, "{names:?}");
    stored.len()
}

#[test]
fn qemu_sees_the_bitmaps_that_scenarios_leave() {
    if !qemu::is_here("qemu_sees_the_bitmaps_that_scenarios_leave") {
        return;
    }
    let text = "raw = 0\nfault = 0\nstrike = 0\noutlive = 30\nkinds = 100\n";
    let profile = Profile::parse("outlive", text).expect("the profile is right");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/golden");
    let golden = ["p01-persistence", "p02-persistence-and-jobs"].map(|name| {
        let file = golden.join(format!("{name}.blk"));
        corpus::load(&file)
            .expect("the corpus is in order")
            .scenario
    });
    let made_up = (0..40).map(|number| case(9, number, &profile));
    let mut confirmed = 0;
    for scenario in golden.into_iter().chain(made_up) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if !run(&scenario, folder.path(), Options::default()) {
            continue;
        }
        for disk in &scenario.setup.disks {
            confirmed += confirm(folder.path(), disk.name.as_str());
        }
    }
    assert!(confirmed >= 20, "only {confirmed} bitmaps were left");
}

/// The first steps of the scenario are QEMU's: they are shown to the model, not to the engine.
#[test]
fn the_engine_goes_on_where_qemu_left_bitmaps() {
    if !qemu::is_here("the_engine_goes_on_where_qemu_left_bitmaps") {
        return;
    }
    let text = "blkproof 1
disk drive0 4M qcow2
bitmap add drive0 b persistent
bitmap add drive0 fine persistent granularity=4k
write drive0 0 512 fill=0x41
write drive0 1M 100k fill=0xd5
check bitmap drive0 b count=192k recording=yes persistent=yes inconsistent=no
check bitmap drive0 fine count=104k granularity=4k
backup drive0 full to=full0
bitmap clear drive0 b
write drive0 2M 64k stamp
restart
check bitmap drive0 b count=64k
create inc0 qcow2 backing=full0
backup drive0 incremental bitmap=b to=inc0 mode=existing
check inc0 == drive0
write drive0 3M 64k stamp
restart
check bitmap drive0 b count=64k
check bitmap drive0 fine count=232k
bitmap remove drive0 b
";
    let scenario = blkproof::text::parse(text.as_bytes()).expect("the text is right");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tool = |tool, args: &[&str]| qemu::succeed(folder.path(), tool, args);
    tool("qemu-img", &["create", "-q", "-f", "qcow2", "drive0", "4M"]);
    tool("qemu-img", &["bitmap", "--add", "drive0", "b"]);
    tool(
        "qemu-img",
        &["bitmap", "--add", "-g", "4096", "drive0", "fine"],
    );
    let writes = ["write -P 0x41 0 512", "write -P 0xd5 1M 100k"];
    tool(
        "qemu-io",
        &["-f", "qcow2", "-c", writes[0], "-c", writes[1], "drive0"],
    );
    assert_eq!(confirm(folder.path(), "drive0"), 2);
    let mut options = Options::default();
    options.prepared = 4;
    assert!(run(&scenario, folder.path(), options));
    assert_eq!(confirm(folder.path(), "drive0"), 1);
    tool("qemu-img", &["bitmap", "--remove", "drive0", "fine"]);
    assert_eq!(confirm(folder.path(), "drive0"), 0);
}
