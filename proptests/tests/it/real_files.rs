//! The seed corpus on real files, confirmed by QEMU's own tools.
//!
//! Each scenario runs in a temporary folder; afterwards `qemu-img check` looks at every image, and
//! `qemu-img compare` repeats every comparison the scenario makes. A second round takes disks that
//! `qemu-img` and `qemu-io` made as its starting point.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use blkproof::device::FolderStore;
use blkproof::spec::step::{Action, Check, GuestOp, Reference};
use blkproof::spec::{Content, Format, Scenario};
use blkproof::{Options, Outcome, Runner, Subject};
use blkproof_engine::Engine;

use crate::qemu;

#[test]
fn qemu_confirms_what_the_seed_writes() {
    if !qemu::is_here("qemu_confirms_what_the_seed_writes") {
        return;
    }
    for (path, scenario) in seed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        run(&path, &scenario, folder.path(), Options::default());
        confirm(&path, &scenario, folder.path());
    }
}

#[test]
fn the_seed_holds_on_disks_that_qemu_made() {
    if !qemu::is_here("the_seed_holds_on_disks_that_qemu_made") {
        return;
    }
    for (path, scenario) in seed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for disk in &scenario.setup.disks {
            assert_eq!(disk.geometry.format, Format::Qcow2);
            let (name, size) = (disk.name.as_str(), disk.geometry.size.to_string());
            qemu::succeed(
                folder.path(),
                "qemu-img",
                &["create", "-f", "qcow2", name, &size],
            );
            for (range, byte) in &disk.contents {
                let command = format!("write -P {byte:#x} {} {}", range.start, range.len);
                let args = ["-f", "qcow2", "-c", &command, name];
                qemu::succeed(folder.path(), "qemu-io", &args);
            }
        }
        run(&path, &scenario, folder.path(), Options::default());
        confirm(&path, &scenario, folder.path());
    }
}

/// The first writes of a scenario are QEMU's: they are shown to the model, not to the engine.
#[test]
fn steps_that_qemu_io_carried_out_are_taken_as_done() {
    if !qemu::is_here("steps_that_qemu_io_carried_out_are_taken_as_done") {
        return;
    }
    let text = "blkproof 1\ndisk drive0 4M qcow2\n\
        write drive0 0 512 fill=0x41\nwrite drive0 1M 32k fill=0xd5\n\
        write-zeroes drive0 1M 4k\nread drive0 0 2M\nbackup drive0 full to=full0\n\
        check full0 == drive0\n";
    let scenario = blkproof::text::parse(text.as_bytes()).expect("the text is right");
    let folder = tempfile::tempdir().expect("a temporary folder");
    qemu::succeed(
        folder.path(),
        "qemu-img",
        &["create", "-f", "qcow2", "drive0", "4M"],
    );
    let mut prepared = 0;
    for step in &scenario.steps {
        let command = match &step.action {
            Action::Guest {
                op:
                    GuestOp::Write {
                        range,
                        content: Content::Fill(byte),
                        ..
                    },
                ..
            } => {
                format!("write -P {byte:#x} {} {}", range.start, range.len)
            }
            Action::Guest {
                op: GuestOp::WriteZeroes { range, .. },
                ..
            } => {
                format!("write -z {} {}", range.start, range.len)
            }
            _ => break,
        };
        qemu::succeed(
            folder.path(),
            "qemu-io",
            &["-f", "qcow2", "-c", &command, "drive0"],
        );
        prepared += 1;
    }
    assert_eq!(prepared, 3);
    let mut options = Options::default();
    options.prepared = prepared;
    run(Path::new("text"), &scenario, folder.path(), options);
    confirm(Path::new("text"), &scenario, folder.path());
}

fn seed() -> Vec<(PathBuf, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/seed");
    let entries = fs::read_dir(&folder).expect("the seed corpus is in the repository");
    let paths: BTreeSet<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let found: Vec<_> = paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "blk"))
        .map(|path| {
            let text = fs::read(&path).expect("a scenario can be read");
            let scenario = blkproof::text::parse(&text)
                .unwrap_or_else(|errors| panic!("{}", errors.render("seed", &text)));
            (path, scenario)
        })
        .collect();
    assert!(
        found.len() >= 13,
        "the seed has a scenario for each of the 13 tests"
    );
    found
}

fn run(path: &Path, scenario: &Scenario, folder: &Path, options: Options) {
    let store = FolderStore::in_folder(folder);
    let mut engine = Engine::new();
    let outcome = Runner::new(options).run_on(&store, scenario, &mut engine, None);
    assert!(
        matches!(outcome, Outcome::Held(_)),
        "{}: {outcome:?}",
        path.display()
    );
    engine.close().expect("the engine closes its images");
}

fn confirm(path: &Path, scenario: &Scenario, folder: &Path) {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let mut images = 0;
    for entry in entries {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("names are text");
        qemu::succeed(folder, "qemu-img", &["check", "-f", "qcow2", name]);
        images += 1;
    }
    assert!(images >= scenario.setup.disks.len(), "{}", path.display());
    for (image, reference) in comparisons(scenario) {
        let args = ["compare", "-f", "qcow2", "-F", "qcow2", image, reference];
        qemu::succeed(folder, "qemu-img", &args);
    }
}

/// The comparisons with something that is not written after them.
fn comparisons(scenario: &Scenario) -> Vec<(&str, &str)> {
    let last_write = scenario.steps.iter().rposition(|step| match &step.action {
        Action::Guest { op, .. } => !matches!(op, GuestOp::Flush | GuestOp::Read { .. }),
        _ => false,
    });
    let behind = scenario
        .steps
        .iter()
        .skip(last_write.map_or(0, |last| last + 1));
    behind
        .filter_map(|step| match &step.action {
            Action::Check(Check::Image {
                image,
                equals: Reference::Now(reference),
            }) => Some((image.as_str(), reference.as_str())),
            _ => None,
        })
        .collect()
}
