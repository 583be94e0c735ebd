//! QEMU's tools look at bitmaps that the driver stores, and the driver at those that they store.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use blkproof_device::BlockDevice;
use blkproof_qcow2::inspect::{Limits, bitmaps, inspect};
use blkproof_qcow2::{NewBitmap, OpenOptions, Qcow2};
use blkproof_spec::Length;
use sha2::{Digest, Sha256};
use tempfile::tempdir;

use crate::support::{UNMAP, have_qemu, image, load, noise, save, succeed, write};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns the digest that QEMU tells of a bitmap's bits.
fn digest(runs: &[(u64, u64)], size: u64, granularity: u64) -> String {
    let words = size.div_ceil(granularity).div_ceil(64);
    let mut bytes = vec![0_u8; usize::try_from(words).unwrap() * 8];
    for bit in runs.iter().flat_map(|run| run.0..run.1) {
        bytes[usize::try_from(bit / 8).unwrap()] |= 1 << (bit % 8);
    }
    let digest = Sha256::digest(&bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Opens an image in `qemu-storage-daemon`, has it carry out commands, and returns its answers.
fn ask(image: &Path, commands: &[String]) -> Vec<String> {
    let mut daemon = Command::new("qemu-storage-daemon")
        .args(["--chardev", "stdio,id=c", "--monitor", "chardev=c"])
        .args([
            "--blockdev",
            &format!(
                "qcow2,node-name=n,file.driver=file,file.filename={}",
                text(image)
            ),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = daemon.stdin.take().unwrap();
    writeln!(input, "{{\"execute\": \"qmp_capabilities\"}}").unwrap();
    for command in commands {
        writeln!(input, "{command}").unwrap();
    }
    writeln!(input, "{{\"execute\": \"quit\"}}").unwrap();
    let output = daemon.wait_with_output().unwrap();
    drop(input);
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    let answers = output.lines().filter(|line| !line.contains("\"event\""));
    // The greeting and the answer to the negotiation come first.
    answers.skip(2).map(str::to_owned).collect()
}

fn digest_of(name: &str) -> String {
    format!(
        "{{\"execute\": \"x-debug-block-dirty-bitmap-sha256\", \
         \"arguments\": {{\"node\": \"n\", \"name\": \"{name}\"}}}}"
    )
}

/// Has QEMU confirm every bitmap of an image, bit by bit.
fn confirm(path: &Path) {
    succeed("qemu-img", &["check", "-f", "qcow2", text(path)]);
    let mut file = load(path);
    let report = inspect(&mut file, &Limits::default()).unwrap();
    assert!(report.is_sound() && report.leaks == 0, "{report:?}");
    let found = bitmaps(&mut file, &Limits::default()).unwrap();
    let mut image = Qcow2::open(file, &OpenOptions::default()).unwrap();
    let size = image.size().0;
    let info = succeed("qemu-img", &["info", text(path)]);
    let commands: Vec<_> = found.iter().map(|bitmap| digest_of(&bitmap.name)).collect();
    let answers = ask(path, &commands);
    assert_eq!(image.bitmaps().count(), found.len());
    for ((bitmap, stored), answer) in found
        .iter()
        .zip(image.bitmaps().collect::<Vec<_>>())
        .zip(answers)
    {
        assert!(!bitmap.in_use && !stored.in_use);
        assert_eq!(stored.name, bitmap.name);
        assert_eq!(stored.enabled, bitmap.enabled);
        assert!(info.contains(&format!("name: {}\n", bitmap.name)), "{info}");
        let runs = image.read_bitmap(&bitmap.name).unwrap().unwrap();
        assert_eq!(runs, bitmap.runs);
        let digest = digest(&runs, size, bitmap.granularity.0);
        assert!(
            answer.contains(&digest),
            "{}: {answer}, not {digest}",
            bitmap.name
        );
    }
}

#[test]
fn qemu_reads_what_is_stored() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("image");
    for (size, cluster) in [
        (M + 512, 64 * K),
        (64 * M, 512),
        (300 * M, 4 * K),
        (3 * M, 2 * M),
        (512, 64 * K),
    ] {
        let mut image = image(size, cluster);
        write(&mut image, 0, &noise(1, 512));
        let stored = [(9, "fine"), (16, "usual"), (31, "coarse"), (9, "ones")];
        let runs = stored.map(|(bits, name)| {
            let count = size.div_ceil(1 << bits);
            let sparse = || {
                (0..count)
                    .step_by(37)
                    .map(|at| (at, count.min(at + 1 + at % 36)))
            };
            match name {
                "ones" => vec![(0, count)],
                _ => sparse().collect(),
            }
        });
        let new = stored
            .iter()
            .zip(&runs)
            .map(|((bits, name), runs)| NewBitmap {
                name,
                granularity: Length(1 << bits),
                enabled: *name != "usual",
                runs,
            });
        let new: Vec<_> = new.collect();
        image.store_bitmaps(&new).unwrap();
        save(image.file_mut(), &path);
        confirm(&path);
        // QEMU has loaded and stored them all since.
        confirm(&path);
    }
}

#[test]
fn qemu_changes_what_is_stored() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("image");
    let mut image = image(4 * M, 64 * K);
    let a = NewBitmap {
        name: "a",
        granularity: Length(64 * K),
        enabled: true,
        runs: &[(0, 3), (60, 64)],
    };
    let b = NewBitmap {
        name: "b",
        enabled: false,
        runs: &[(10, 20)],
        ..a
    };
    let c = NewBitmap { name: "c", ..a };
    image.store_bitmaps(&[a, b, c]).unwrap();
    save(image.file_mut(), &path);
    let image = text(&path);
    succeed("qemu-img", &["bitmap", "--add", "-g", "4096", image, "d"]);
    succeed("qemu-img", &["bitmap", "--merge", "a", image, "b"]);
    succeed("qemu-img", &["bitmap", "--merge", "b", image, "d"]);
    succeed("qemu-img", &["bitmap", "--clear", "--disable", image, "a"]);
    succeed("qemu-img", &["bitmap", "--remove", image, "c"]);
    succeed("qemu-img", &["bitmap", "--enable", image, "b"]);
    succeed("qemu-io", &["-f", "qcow2", "-c", "write -q 2M 64k", image]);
    succeed("qemu-img", &["resize", "-q", image, "5M"]);
    confirm(&path);
    let found = bitmaps(&mut load(&path), &Limits::default()).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|found| (found.name.as_str(), found.enabled, &found.runs[..]))
        .collect();
    let b: &[_] = &[(0, 3), (10, 20), (32, 33), (60, 64)];
    let d: &[_] = &[(0, 48), (160, 320), (512, 528), (960, 1024)];
    let mut expected = [("a", false, &[][..]), ("b", true, b), ("d", true, d)];
    expected.sort();
    let mut told = told.clone();
    told.sort();
    assert_eq!(told, expected);
}

#[test]
fn what_qemu_stored_is_taken_over() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("image");
    for bits in [9, 12, 16, 21] {
        let options = format!("cluster_size={}", 1 << bits);
        let image = text(&path);
        succeed(
            "qemu-img",
            &[
                "create", "-q", "-f", "qcow2", "-o", &options, image, "2097664",
            ],
        );
        for (name, granularity) in [("x", "512"), ("y", "4096"), ("z", "65536")] {
            succeed(
                "qemu-img",
                &["bitmap", "--add", "-g", granularity, image, name],
            );
        }
        succeed(
            "qemu-io",
            &[
                "-f",
                "qcow2",
                "-c",
                "write -q 0 512",
                "-c",
                "write -q 1M 300k",
                image,
            ],
        );
        confirm(&path);
        let mut opened = Qcow2::open(load(&path), &UNMAP).unwrap();
        assert!(opened.remove_bitmap("y").unwrap());
        assert!(!opened.remove_bitmap("y").unwrap());
        let mut runs = opened.read_bitmap("z").unwrap().unwrap();
        assert_eq!(runs, [(0, 1), (16, 21)]);
        runs.push((32, 33));
        opened.mark_bitmaps().unwrap();
        write(&mut opened, 2 * M, &[1; 512]);
        let z = NewBitmap {
            name: "z",
            granularity: Length(65536),
            enabled: false,
            runs: &runs,
        };
        opened.store_bitmaps(&[z]).unwrap();
        save(opened.file_mut(), &path);
        succeed("qemu-img", &["check", "-f", "qcow2", image]);
        let info = succeed("qemu-img", &["info", image]);
        // Only one of the two was stored after the write.
        assert_eq!(info.matches("in-use").count(), 1, "{info}");
        let answers = ask(&path, &[digest_of("x"), digest_of("z")]);
        assert!(
            answers[0].contains(&digest(&[], 2 * M + 512, 512)),
            "{answers:?}"
        );
        assert!(
            answers[1].contains(&digest(&runs, 2 * M + 512, 65536)),
            "{answers:?}"
        );
        succeed("qemu-img", &["bitmap", "--remove", image, "x"]);
        confirm(&path);
    }
}

/// A writer that was told nothing of bitmaps leaves them flagged, and QEMU refuses them.
#[test]
fn what_is_written_without_bitmaps_is_inconsistent_to_qemu() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("image");
    let image = text(&path);
    succeed("qemu-img", &["create", "-q", "-f", "qcow2", image, "2M"]);
    succeed("qemu-img", &["bitmap", "--add", image, "b"]);
    let mut opened = Qcow2::open(load(&path), &UNMAP).unwrap();
    write(&mut opened, 0, &noise(1, 512));
    opened.flush().unwrap();
    save(opened.file_mut(), &path);
    succeed("qemu-img", &["check", "-f", "qcow2", image]);
    let query = "{\"execute\": \"query-named-block-nodes\"}".to_owned();
    let answers = ask(&path, &[query]);
    assert!(answers[0].contains("\"inconsistent\": true"), "{answers:?}");
}
