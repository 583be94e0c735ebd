//! Stored bitmaps: what is stored is read, by the driver and by the inspector, and whatever fails
//! or loses its power leaves bitmaps that are true or flagged.

use std::collections::BTreeMap;

use blkproof_device::{BlockDevice, MemDisk};
use blkproof_qcow2::inspect::{Limits, bitmaps, inspect};
use blkproof_qcow2::{BackingName, NewBitmap, Qcow2};
use blkproof_spec::{Length, Offset};
use proptest::prelude::*;

use crate::cases::cases;
use crate::probe::{Change, Failure, Probe};
use crate::support::{UNMAP, image, noise, options, read, write};

type Runs = Vec<(u64, u64)>;

/// What a test does with an image and its bitmaps.
#[derive(Clone, Debug)]
enum Op {
    Store(BTreeMap<u8, Contents>),
    Mark,
    Remove(u8),
    Write(u64),
    Resize(u64),
    Reopen,
}

#[derive(Clone, PartialEq, Debug)]
struct Contents {
    granularity: u64,
    enabled: bool,
    /// Lengths of runs, clean and dirty by turns, in 1/1000 of the image.
    lengths: Vec<u64>,
}

impl Contents {
    fn runs(&self, size: u64) -> Runs {
        let bits = size.div_ceil(self.granularity);
        let mut runs = Vec::new();
        let mut at = 0;
        for pair in self.lengths.chunks(2) {
            let start = at + 1 + pair[0] * bits / 1000;
            let end = start + 1 + pair.get(1).map_or(bits, |len| len * bits / 1000);
            if start < bits {
                runs.push((start - 1, end.min(bits)));
            }
            at = end + 1;
        }
        runs
    }
}

fn contents() -> impl Strategy<Value = Contents> {
    let lengths = proptest::collection::vec(prop_oneof![0..3_u64, 0..600_u64], 0..7);
    (9..17_u32, any::<bool>(), lengths).prop_map(|(bits, enabled, lengths)| Contents {
        granularity: 1 << bits,
        enabled,
        lengths,
    })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => proptest::collection::btree_map(0..4_u8, contents(), 0..3).prop_map(Op::Store),
        1 => Just(Op::Mark),
        2 => (0..4_u8).prop_map(Op::Remove),
        3 => (0..1000_u64).prop_map(Op::Write),
        1 => (1..1500_u64).prop_map(Op::Resize),
        2 => Just(Op::Reopen),
    ];
    proptest::collection::vec(op, 1..9)
}

/// What an image is known to hold.
#[derive(Clone, Default, PartialEq, Debug)]
struct Known {
    bytes: Vec<u8>,
    /// Name, granularity, and what is set where it is not in use.
    bitmaps: BTreeMap<u8, (u64, bool, Option<Runs>)>,
}

impl Known {
    fn apply(&mut self, op: &Op) {
        match op {
            Op::Store(stored) => {
                for (name, contents) in stored {
                    let runs = contents.runs(self.bytes.len() as u64);
                    let stored = (contents.granularity, contents.enabled, Some(runs));
                    self.bitmaps.insert(*name, stored);
                }
            }
            Op::Mark => self.flag(),
            Op::Remove(name) => {
                self.bitmaps.remove(name);
            }
            Op::Write(at) => {
                self.flag();
                let at = usize::try_from(*at).unwrap() * self.bytes.len() / 1000 / 512 * 512;
                let end = self.bytes.len().min(at + 5000);
                let data = noise(at as u64 + 1, end - at);
                self.bytes[at..end].copy_from_slice(&data);
            }
            Op::Resize(size) => {
                self.flag();
                self.bytes.resize(usize::try_from(size * 512).unwrap(), 0);
            }
            Op::Reopen => {}
        }
    }

    fn flag(&mut self) {
        for bitmap in self.bitmaps.values_mut() {
            bitmap.2 = None;
        }
    }

    fn compare(&self, mut file: MemDisk) {
        let report = inspect(&mut file, &Limits::default()).unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        assert_eq!(*self, look(file));
    }
}

/// Looks at an image with the driver and with the inspector, which have to see the same.
fn look(mut file: MemDisk) -> Known {
    let found = bitmaps(&mut file, &Limits::default()).unwrap();
    let mut image = Qcow2::open(file, &UNMAP).unwrap();
    let len = usize::try_from(image.size().0).unwrap();
    let mut known = Known {
        bytes: read(&mut image, 0, len),
        bitmaps: BTreeMap::new(),
    };
    let stored: Vec<_> = image.bitmaps().collect();
    assert_eq!(found.len(), stored.len());
    for (found, stored) in found.iter().zip(stored) {
        assert_eq!(found.name, stored.name);
        assert_eq!(found.granularity, stored.granularity);
        assert_eq!(
            (found.enabled, found.in_use),
            (stored.enabled, stored.in_use)
        );
        let runs = (!stored.in_use).then(|| image.read_bitmap(&stored.name).unwrap().unwrap());
        assert_eq!(runs.clone().unwrap_or_default(), found.runs);
        let name = stored.name.bytes().last().unwrap() - b'0';
        let held = (stored.granularity.0, stored.enabled, runs);
        known.bitmaps.insert(name, held);
    }
    known
}

struct Bench {
    probe: Probe,
    image: Qcow2<Probe>,
    known: Known,
}

impl Bench {
    fn new(size: u64, cluster: u64) -> Self {
        let probe = Probe::new();
        let image = Qcow2::create(probe.clone(), &options(size, cluster), &UNMAP).unwrap();
        let bytes = vec![0; usize::try_from(size).unwrap()];
        Self {
            probe,
            image,
            known: Known {
                bytes,
                bitmaps: BTreeMap::new(),
            },
        }
    }

    fn request(&mut self, op: &Op) -> Result<(), String> {
        let told = |error: &dyn core::fmt::Debug| format!("{error:?}");
        match op {
            Op::Store(stored) => {
                let size = self.image.size().0;
                let names: Vec<_> = stored.keys().map(|name| format!("b{name}")).collect();
                let runs: Vec<_> = stored.values().map(|of| of.runs(size)).collect();
                let all = stored.iter().zip(&names).zip(&runs);
                let all = all.map(|(((_, contents), name), runs)| NewBitmap {
                    name,
                    granularity: Length(contents.granularity),
                    enabled: contents.enabled,
                    runs,
                });
                let all: Vec<_> = all.collect();
                self.image.store_bitmaps(&all).map_err(|error| told(&error))
            }
            Op::Mark => self.image.mark_bitmaps().map_err(|error| told(&error)),
            Op::Remove(name) => {
                let removed = self.image.remove_bitmap(&format!("b{name}"));
                removed.map(drop).map_err(|error| told(&error))
            }
            Op::Write(_) => {
                let mut after = self.known.clone();
                after.apply(op);
                let written = after.bytes.iter().zip(&self.known.bytes);
                let Some(at) = written.clone().position(|(new, old)| new != old) else {
                    return Ok(());
                };
                let end =
                    after.bytes.len() - written.rev().position(|(new, old)| new != old).unwrap();
                let data = &after.bytes[at..end];
                let later = blkproof_device::Durability::Later;
                let result = self.image.write_at(Offset(at as u64), data, later);
                result.map_err(|error| told(&error))
            }
            Op::Resize(size) => {
                let result = self.image.set_size(Length(size * 512));
                result.map_err(|error| told(&error))
            }
            Op::Reopen => {
                self.image.flush().map_err(|error| told(&error))?;
                let opened = Qcow2::open(self.probe.clone(), &UNMAP);
                self.image = opened.map_err(|error| told(&error))?;
                Ok(())
            }
        }
    }

    /// Carries out a request that has to succeed.
    fn act(&mut self, op: &Op) {
        self.request(op).unwrap();
        self.take_in(op);
    }

    fn take_in(&mut self, op: &Op) {
        if !matches!(op, Op::Write(_)) || self.is_written(op) {
            self.known.apply(op);
        }
    }

    /// Tells whether a write changes anything, for else it is left out.
    fn is_written(&self, op: &Op) -> bool {
        let mut after = self.known.clone();
        after.apply(op);
        after.bytes != self.known.bytes
    }

    fn leaks(&self) -> u64 {
        inspect(&mut self.probe.snapshot(), &Limits::default())
            .unwrap()
            .leaks
    }
}

fn shapes() -> impl Strategy<Value = (u64, u64)> {
    (
        1..1500_u64,
        prop_oneof![Just(9), Just(10), Just(12), Just(16)],
    )
        .prop_map(|(sectors, bits)| (sectors * 512, 1 << bits))
}

fn config(few: u32) -> ProptestConfig {
    ProptestConfig {
        cases: cases(few),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Puts one change onto a disk that may lack others.
fn put(disk: &mut MemDisk, change: &Change) {
    let len = usize::try_from(change.range.len).unwrap();
    let data = read(&mut change.after.snapshot(), change.range.start, len);
    write(disk, change.range.start, &data);
}

/// Returns what may be left after a loss of power: some of what was written since the last flush.
fn cuts(durable: &MemDisk, pending: &[Change]) -> Vec<MemDisk> {
    let with = |kept: &dyn Fn(usize) -> bool| {
        let mut disk = durable.snapshot();
        for (_, change) in pending.iter().enumerate().filter(|(at, _)| kept(*at)) {
            put(&mut disk, change);
        }
        disk
    };
    let mut left = vec![with(&|_| true), with(&|_| false)];
    for chosen in 0..pending.len() {
        left.push(with(&|at| at == chosen));
        left.push(with(&|at| at != chosen));
    }
    left
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn what_is_stored_is_read((size, cluster) in shapes(), ops in ops()) {
        let mut bench = Bench::new(size, cluster);
        for op in &ops {
            bench.act(op);
            bench.image.flush().unwrap();
            bench.known.compare(bench.probe.snapshot());
            prop_assert_eq!(bench.leaks(), 0);
        }
    }
}

proptest! {
    #![proptest_config(config(40))]

    /// Whatever a cut leaves of what was not flushed, the image opens, and a bitmap that claims to
    /// be true was stored for just those contents.
    #[test]
    fn a_cut_leaves_bitmaps_that_are_true_or_flagged((size, cluster) in shapes(), ops in ops()) {
        let mut bench = Bench::new(size, cluster);
        bench.image.flush().unwrap();
        let mut durable = bench.probe.snapshot();
        let mut pending: Vec<Change> = Vec::new();
        let mut flushes = bench.probe.flushes();
        // What was true when each bitmap was stored.
        let mut honest = vec![bench.known.clone()];
        bench.probe.record();
        for op in &ops {
            bench.act(op);
            if matches!(op, Op::Store(_) | Op::Remove(_)) {
                honest.push(bench.known.clone());
            }
            for change in bench.probe.take_changes() {
                if change.flushes != flushes {
                    flushes = change.flushes;
                    pending.iter().for_each(|change| put(&mut durable, change));
                    pending.clear();
                }
                pending.push(change);
                for left in cuts(&durable, &pending) {
                    let report = inspect(&mut left.snapshot(), &Limits::default()).unwrap();
                    prop_assert!(report.is_sound(), "{op:?}: {:?}", report.problems);
                    let seen = look(left);
                    for (name, bitmap) in &seen.bitmaps {
                        let was = |known: &&Known| {
                            known.bytes == seen.bytes && known.bitmaps.get(name) == Some(bitmap)
                        };
                        let fine = bitmap.2.is_none() || honest.iter().any(|known| was(&known));
                        prop_assert!(fine, "{op:?}: b{name} claims {bitmap:?}");
                    }
                }
            }
        }
    }

    /// Each request in turn fails at each of its own requests; tried again, it succeeds, and until
    /// then bitmaps are as before, or as after, or flagged.
    #[test]
    fn what_fails_succeeds_when_tried_again(
        (size, cluster) in shapes(),
        ops in ops(),
        failure in prop_oneof![
            Just(Failure::Nothing), Just(Failure::Half), Just(Failure::All), Just(Failure::Wait)
        ],
        events_wait in any::<bool>(),
    ) {
        for at in 0..300 {
            let mut bench = Bench::new(size, cluster);
            bench.probe.arm(at, failure, events_wait);
            for op in &ops {
                let before = bench.known.clone();
                if bench.request(op).is_err() {
                    prop_assert!(bench.probe.fired());
                    let mut after = before.clone();
                    after.apply(op);
                    let seen = look(bench.probe.snapshot());
                    for (name, bitmap) in &seen.bitmaps {
                        let known = [&before, &after].map(|known| known.bitmaps.get(name));
                        let fine = bitmap.2.is_none() || known.contains(&Some(bitmap));
                        prop_assert!(fine, "{op:?}: b{name} claims {bitmap:?}");
                    }
                    bench.request(op).unwrap();
                }
                bench.take_in(op);
            }
            while bench.image.flush().is_err() {}
            bench.known.compare(bench.probe.snapshot());
            if failure == Failure::Wait || !bench.probe.fired() {
                prop_assert_eq!(bench.leaks(), 0);
            }
            if !bench.probe.fired() {
                break;
            }
        }
    }
}

#[test]
fn a_bitmap_of_ones_takes_no_clusters() {
    let mut image = image(64 << 20, 4096);
    let clusters = |image: &mut Qcow2<MemDisk>| {
        let report = inspect(image.file_mut(), &Limits::default()).unwrap();
        assert!(report.is_sound() && report.leaks == 0);
        image.file().size().0 / 4096
    };
    let before = clusters(&mut image);
    let all = NewBitmap {
        name: "all",
        granularity: Length(512),
        enabled: true,
        runs: &[(0, 131_072)],
    };
    image.store_bitmaps(&[all]).unwrap();
    assert_eq!(image.read_bitmap("all").unwrap(), Some(vec![(0, 131_072)]));
    // A table and a directory, and those of the directory's growth.
    assert!(clusters(&mut image) <= before + 2);
    let runs = [(1, 131_072)];
    let most = NewBitmap { runs: &runs, ..all };
    image.store_bitmaps(&[most]).unwrap();
    assert_eq!(image.read_bitmap("all").unwrap(), Some(runs.to_vec()));
}

#[test]
fn the_name_of_the_backing_file_stays_where_it_is() {
    let name = "b".repeat(350);
    let backing = BackingName {
        name: name.clone(),
        format: Some("qcow2".to_owned()),
    };
    let mut create = options(1 << 20, 4096);
    create.backing = Some(backing.clone());
    let probe = Probe::new();
    let mut image = Qcow2::create(probe.clone(), &create, &UNMAP).unwrap();
    image.flush().unwrap();
    probe.record();
    let new = NewBitmap {
        name: "b",
        granularity: Length(65536),
        enabled: true,
        runs: &[(0, 1)],
    };
    image.store_bitmaps(&[new]).unwrap();
    let of_header = |change: &Change| (change.range.start < 4096).then_some(change.range);
    let changes = probe.take_changes();
    let header: Vec<_> = changes.iter().filter_map(of_header).collect();
    assert_eq!(header, [blkproof_spec::ByteRange::new(0, 512)]);
    let image = Qcow2::open(probe, &UNMAP).unwrap();
    assert_eq!(image.backing_name(), Some(&backing));
    assert_eq!(image.bitmaps().count(), 1);
}

#[test]
fn what_cannot_be_stored_is_refused() {
    type Image = Qcow2<MemDisk>;
    let can = |size, granularity| Image::can_store_bitmap(Length(size), Length(granularity));
    assert!(can(512, 512) && can(1 << 43, 2048) && can(1 << 50, 1 << 31));
    assert!(!can(1 << 20, 256) && !can(1 << 20, 1 << 32) && !can(1 << 20, 768));
    assert!(!can(1 << 43, 1024) && !can(0, 512));
    let mut image = image(1 << 20, 4096);
    let new = |name: &'static str, granularity| NewBitmap {
        name,
        granularity: Length(granularity),
        enabled: true,
        runs: &[],
    };
    assert!(image.store_bitmaps(&[new("", 512)]).is_err());
    assert!(
        image
            .store_bitmaps(&[new("b", 512), new("b", 512)])
            .is_err()
    );
    assert!(
        image
            .store_bitmaps(&[new("b", 512), new("c", 100)])
            .is_err()
    );
    assert_eq!(image.bitmaps().count(), 0);
    image.set_size(Length(0)).unwrap();
    assert!(image.store_bitmaps(&[new("b", 512)]).is_err());
}

/// Some other software changed the image and cleared what it did not know: nothing is trusted.
#[test]
fn bitmaps_are_gone_when_their_bit_is_cleared() {
    let mut image = image(1 << 20, 4096);
    let new = NewBitmap {
        name: "b",
        granularity: Length(65536),
        enabled: true,
        runs: &[(0, 1)],
    };
    image.store_bitmaps(&[new]).unwrap();
    let mut file = image.into_file();
    write(&mut file, 88, &[0; 8]);
    assert_eq!(bitmaps(&mut file, &Limits::default()).unwrap(), []);
    let mut image = Qcow2::open(file, &UNMAP).unwrap();
    assert_eq!(image.bitmaps().count(), 0);
    assert_eq!(image.read_bitmap("b").unwrap(), None);
    image
        .store_bitmaps(&[NewBitmap { name: "c", ..new }])
        .unwrap();
    let names: Vec<_> = image.bitmaps().map(|bitmap| bitmap.name).collect();
    assert_eq!(names, ["c"]);
    let report = inspect(image.file_mut(), &Limits::default()).unwrap();
    assert!(report.is_sound());
    // The old directory, table and bits: whether anybody uses them cannot be known.
    assert_eq!(report.leaks, 3);
}
