//! The power is cut at every operation of the device below an image, in every way.
//!
//! A script of requests is carried out once on a device with a volatile cache and recorded. The
//! device is made again operation by operation, loses its power in each way that a cut may have,
//! and what is left has to open, to have nothing wrong with it but leaks, to show what was flushed,
//! and to call no bitmap consistent that is not.

use std::collections::{BTreeMap, BTreeSet};

use blkproof_device::{BlockDevice, Durability, MemDisk, MemStore, Operation, Pool};
use blkproof_qcow2::inspect::{Limits, bitmaps, inspect};
use blkproof_qcow2::{BackingName, CreateOptions, Mistake, NewBitmap, OpenOptions, Qcow2};
use blkproof_spec::fault::Kept;
use blkproof_spec::power::{Cache, Lost, PowerCut, Rest, Torn, TornUnit};
use blkproof_spec::{ByteRange, ImageName, Length, Offset};

use crate::support::{UNMAP, disk, noise, read, write};

const SECTOR: usize = 512;
const RANDOM: u64 = 4;

type Image = Qcow2<Box<dyn BlockDevice>>;
type Runs = Vec<(u64, u64)>;

/// A request. Positions and lengths are in eighths of a cluster, so that one script does for every
/// cluster size.
#[derive(Clone, Copy, Debug)]
enum Op {
    Write(u64, u64),
    WriteThrough(u64, u64),
    Zero(u64, u64, bool),
    Discard(u64, u64),
    /// The number of the cluster.
    Compressed(u64),
    Resize(u64),
    Flush,
    /// The bitmap's number, and the run that is set in it.
    Store(u8, u64, u64),
    Remove(u8),
    /// The image is flushed and opened anew.
    Reopen,
}

/// Everything that the driver can do with an image, in turns with flushes and without.
const SCRIPT: [Op; 49] = [
    Op::Write(3, 10),
    Op::Store(0, 0, 3),
    Op::Write(40, 8),
    Op::Flush,
    Op::Write(4, 1),
    Op::Zero(40, 8, true),
    Op::Write(43, 2),
    Op::Flush,
    Op::Store(1, 2, 5),
    Op::Compressed(7),
    Op::Compressed(8),
    Op::Flush,
    Op::Write(57, 2),
    Op::Compressed(8),
    Op::Zero(0, 24, false),
    Op::Flush,
    Op::Write(1, 30),
    Op::Discard(0, 24),
    Op::Flush,
    Op::Reopen,
    Op::Store(0, 1, 2),
    Op::WriteThrough(24, 3),
    Op::Write(26, 2),
    Op::Resize(200),
    Op::Write(150, 40),
    Op::Zero(160, 8, true),
    Op::Store(1, 0, 9),
    Op::Resize(44),
    Op::Write(36, 8),
    Op::Resize(120),
    Op::Flush,
    Op::Store(0, 4, 6),
    Op::Remove(1),
    Op::Discard(8, 100),
    Op::Flush,
    // Of small clusters this takes another table, which lies where there were data.
    Op::Resize(700),
    Op::Write(600, 8),
    Op::Flush,
    Op::Write(8, 20),
    Op::Reopen,
    Op::Write(0, 120),
    Op::Flush,
    // Of small clusters another table comes to lie where there were data.
    Op::Write(600, 80),
    Op::Flush,
    Op::Zero(600, 80, true),
    Op::Flush,
    Op::Resize(1200),
    Op::Write(1100, 8),
    Op::Flush,
];

/// What an image holds after a step.
#[derive(Clone, Debug)]
struct State {
    bytes: Vec<u8>,
    /// The stored bitmaps, with what is set where they are consistent.
    bitmaps: BTreeMap<u8, Option<Runs>>,
    /// How many operations of the device there were.
    operations: u64,
    /// All of it is durable.
    durable: bool,
    /// This is, whatever else is not.
    through: Option<(usize, usize)>,
}

/// A script on images of one shape.
struct Script {
    cluster: u64,
    backing: Option<MemDisk>,
    /// Whether clusters that are given up still hold what they held.
    keeps: bool,
    mistake: Option<Mistake>,
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap()
}

fn name() -> ImageName {
    ImageName::new("image")
}

fn bitmap_name(number: u8) -> String {
    format!("bitmap {number}")
}

impl Script {
    fn new(cluster: u64, backed: bool) -> Self {
        let backing = backed.then(|| {
            let mut backing = disk();
            write(&mut backing, 0, &noise(77, index(cluster * 5)));
            backing
        });
        Self {
            cluster,
            backing,
            keeps: false,
            mistake: None,
        }
    }

    fn at(&self, eighths: u64) -> u64 {
        eighths * self.cluster / 8
    }

    /// Returns a size, which is a number of whole sectors.
    fn size(&self, eighths: u64) -> u64 {
        self.at(eighths).next_multiple_of(SECTOR as u64)
    }

    fn open(&self, device: Box<dyn BlockDevice>) -> Result<Image, String> {
        let options = if self.keeps {
            &OpenOptions::default()
        } else {
            &UNMAP
        };
        let mut image = Qcow2::open(device, options).map_err(|error| error.to_string())?;
        let backing = self.backing.as_ref().map(MemDisk::snapshot);
        image.set_backing(backing.map(|disk| Box::new(disk) as Box<dyn BlockDevice>));
        image.set_mistake(self.mistake);
        Ok(image)
    }

    /// Makes the image, durably, before anything is recorded.
    fn prepare(&self) -> (MemStore, State) {
        let store = MemStore::new(&Pool::new());
        let device = store
            .subject_handle()
            .create(&name(), Length(0))
            .expect("an empty store");
        let size = self.size(100);
        let options = CreateOptions {
            size: Length(size),
            cluster: Length(self.cluster),
            backing: self.backing.as_ref().map(|_| BackingName {
                name: "base".to_owned(),
                format: Some("raw".to_owned()),
            }),
        };
        Qcow2::create(device, &options, &UNMAP).unwrap();
        store.set_caching(true);
        let mut bytes = vec![0; index(size)];
        if let Some(backing) = &self.backing {
            let part = read(&mut backing.snapshot(), 0, index(self.cluster * 5));
            bytes[..part.len()].copy_from_slice(&part);
        }
        let state = State {
            bytes,
            bitmaps: BTreeMap::new(),
            operations: store.operations(),
            durable: true,
            through: None,
        };
        (store, state)
    }

    /// Carries a request out.
    fn request(&self, image: &mut Image, op: Op, data: &[u8]) {
        let (cluster, through) = (self.cluster, matches!(op, Op::WriteThrough(..)));
        let range = |start, len| ByteRange::new(self.at(start), self.at(len));
        match op {
            Op::Write(start, _) | Op::WriteThrough(start, _) => {
                let durability = if through {
                    Durability::Now
                } else {
                    Durability::Later
                };
                let start = Offset(self.at(start));
                image.write_at(start, data, durability).unwrap();
            }
            Op::Zero(start, len, unmap) => image.write_zeroes(range(start, len), unmap).unwrap(),
            Op::Discard(start, len) => image.discard(range(start, len)).unwrap(),
            Op::Compressed(number) => image
                .write_compressed(Offset(number * cluster), data)
                .unwrap(),
            Op::Resize(size) => image.set_size(Length(self.size(size))).unwrap(),
            Op::Flush | Op::Reopen => image.flush().unwrap(),
            Op::Store(number, first, last) => {
                let stored = NewBitmap {
                    name: &bitmap_name(number),
                    granularity: Length(cluster),
                    enabled: true,
                    runs: &[(first, last)],
                };
                image.store_bitmaps(&[stored]).unwrap();
            }
            Op::Remove(number) => assert!(image.remove_bitmap(&bitmap_name(number)).unwrap()),
        }
    }

    fn data(&self, op: Op, seed: u64) -> Vec<u8> {
        match op {
            Op::Write(_, len) | Op::WriteThrough(_, len) => noise(seed, index(self.at(len))),
            Op::Compressed(_) => {
                let mut data = noise(seed, index(self.cluster));
                data[index(self.cluster / 4)..].fill(9);
                data
            }
            _ => Vec::new(),
        }
    }

    /// Returns what is there after a request, of which `before` is what was there before.
    fn after(&self, before: &State, op: Op, data: &[u8]) -> State {
        let mut state = before.clone();
        (state.durable, state.through) = (false, None);
        let at = |eighths| index(self.at(eighths));
        match op {
            Op::Write(start, _) | Op::WriteThrough(start, _) => {
                let range = at(start)..at(start) + data.len();
                if matches!(op, Op::WriteThrough(..)) {
                    state.through = Some((range.start, range.end));
                }
                state.bytes[range].copy_from_slice(data);
            }
            Op::Zero(start, len, _) => state.bytes[at(start)..at(start + len)].fill(0),
            Op::Discard(..) if self.keeps => {}
            Op::Discard(start, len) => {
                let end = at(start + len) / at(8) * at(8);
                state.bytes[at(start).next_multiple_of(at(8))..end].fill(0);
            }
            Op::Compressed(number) => {
                let start = at(number * 8);
                state.bytes[start..start + data.len()].copy_from_slice(data);
            }
            Op::Resize(size) => state.bytes.resize(index(self.size(size)), 0),
            _ => {}
        }
        match op {
            Op::Store(number, first, last) => {
                state.bitmaps.insert(number, Some(vec![(first, last)]));
            }
            Op::Remove(number) => {
                state.bitmaps.remove(&number);
            }
            Op::Flush | Op::Reopen => {}
            Op::Discard(..) if self.keeps => {}
            _ => {
                for bitmap in state.bitmaps.values_mut() {
                    *bitmap = None;
                }
            }
        }
        state.durable = matches!(
            op,
            Op::Flush | Op::Reopen | Op::Resize(_) | Op::Store(..) | Op::Remove(_)
        );
        state
    }

    /// Carries the script out and then cuts the power everywhere; says how many different states
    /// that left, or the first that is not as it must be.
    fn sweep(&self) -> Result<usize, String> {
        let (store, first) = self.prepare();
        let copy = store.fork();
        store.set_recording(true);
        let handle = || store.subject_handle().open(&name()).unwrap();
        let mut image = self.open(handle())?;
        let mut states = vec![first];
        for (op, seed) in SCRIPT.into_iter().zip(1..) {
            let data = self.data(op, seed);
            self.request(&mut image, op, &data);
            if matches!(op, Op::Reopen) {
                drop(image);
                image = self.open(handle())?;
            }
            let last = &states[states.len() - 1];
            let mut state = self.after(last, op, &data);
            state.operations = store.operations();
            states.push(state);
        }
        let mut seen = BTreeSet::new();
        for recorded in store.take_record() {
            let step = states.partition_point(|state| state.operations < recorded.number);
            let midst = copy.fork();
            midst.redo(&recorded, false).unwrap();
            for cut in cuts(&midst, recorded.what == Operation::Flush) {
                let left = midst.fork();
                left.cut_power(&cut, Cache::default()).unwrap();
                if !seen.insert((step, left.digest())) {
                    continue;
                }
                self.judge(&left, &states[..=step]).map_err(|what| {
                    let (number, op) = (recorded.number, SCRIPT[step - 1]);
                    format!("{cut:?} at operation {number} in step {step}, {op:?}: {what}")
                })?;
            }
            copy.redo(&recorded, true).unwrap();
        }
        Ok(seen.len())
    }

    /// Judges what a cut left in the midst of the step behind the last state but one.
    fn judge(&self, left: &MemStore, states: &[State]) -> Result<(), String> {
        let mut file = left.snapshot(&name()).unwrap();
        let report = inspect(&mut file, &Limits::default()).map_err(|error| error.to_string())?;
        if !report.is_sound() {
            return Err(format!("{:?}", report.problems));
        }
        let mut image = self.open(Box::new(file.snapshot()))?;
        let size = index(image.size().0);
        let bytes = read(&mut image, 0, size);
        judge_bytes(&bytes, states)?;
        let found = bitmaps(&mut file, &Limits::default()).map_err(|error| error.to_string())?;
        let [.., before, after] = states else {
            return Err("nothing was done yet".to_owned());
        };
        for number in 0..2 {
            let name = bitmap_name(number);
            let bitmap = found.iter().find(|bitmap| bitmap.name == name);
            let right = [before, after].into_iter().any(|state| {
                match (bitmap, state.bitmaps.get(&number)) {
                    (None, None) => true,
                    (Some(bitmap), Some(_)) if bitmap.in_use => true,
                    (Some(bitmap), Some(Some(runs))) => {
                        bitmap.runs == *runs && bytes == state.bytes
                    }
                    _ => false,
                }
            });
            if !right {
                return Err(format!("{name} is {bitmap:?}"));
            }
        }
        self.go_on(image)
    }

    /// Writes to what a cut left: it can be used like any other image.
    fn go_on(&self, mut image: Image) -> Result<(), String> {
        let data = noise(5, index(image.size().0.min(self.cluster * 2)));
        write(&mut image, 0, &data);
        image.flush().unwrap();
        let seen = read(&mut image, 0, data.len());
        let report = inspect(image.file_mut(), &Limits::default()).unwrap();
        if seen != data || !report.is_sound() {
            return Err(format!("after another write: {:?}", report.problems));
        }
        Ok(())
    }
}

/// Each sector holds what was flushed, or something that was written there since.
fn judge_bytes(bytes: &[u8], states: &[State]) -> Result<(), String> {
    let last = states.len() - 1;
    let flushed = states[..last].iter().rposition(|state| state.durable);
    let flushed = flushed.ok_or("the first state is durable")?;
    if ![last - 1, last]
        .map(|at| states[at].bytes.len())
        .contains(&bytes.len())
    {
        return Err(format!("the size is {}", bytes.len()));
    }
    for (sector, seen) in bytes.chunks(SECTOR).enumerate() {
        let start = sector * SECTOR;
        let covers = |state: &State| {
            state
                .through
                .is_some_and(|(from, to)| from <= start && start < to)
        };
        let through = states[..last].iter().rposition(covers).unwrap_or(0);
        let held = |state: &State| match state.bytes.get(start..start + seen.len()) {
            Some(held) => held == seen,
            None => seen.iter().all(|byte| *byte == 0),
        };
        if !states[flushed.max(through)..].iter().any(held) {
            return Err(format!(
                "sector {sector} holds what it never held since it was flushed"
            ));
        }
    }
    Ok(())
}

/// Returns every cut that is tried.
fn cuts(midst: &MemStore, flush: bool) -> Vec<PowerCut> {
    let pending = midst.pending().len() as u64;
    let plain = [Lost::All, Lost::None, Lost::Worst, Lost::Reordered];
    let mut cuts: Vec<_> = plain.into_iter().map(PowerCut::new).collect();
    cuts.extend((1..=pending).map(|one| PowerCut::new(Lost::Only(one))));
    cuts.extend((1..=RANDOM).map(|number| PowerCut::new(Lost::Some(number))));
    for kept in [Kept::Left, Kept::Right, Kept::Middle] {
        for unit in [TornUnit::Sector, TornUnit::Page] {
            for lost in [Lost::From(pending), Lost::Worst] {
                let torn = Torn {
                    kept,
                    unit,
                    rest: Rest::Old,
                };
                cuts.extend((pending > 0 && !flush).then(|| PowerCut {
                    torn: Some(torn),
                    ..PowerCut::new(lost)
                }));
            }
        }
    }
    cuts
}

fn holds(cluster: u64, backed: bool) {
    let states = Script::new(cluster, backed).sweep();
    let states = states.unwrap_or_else(|what| panic!("{cluster}, {backed}: {what}"));
    // Fewer would mean that cuts were left out, or that nothing was volatile.
    assert!(states > 400, "{cluster}, {backed}: {states} states");
}

#[test]
fn whatever_a_cut_leaves_of_small_clusters_is_an_image_with_what_was_flushed() {
    holds(4096, false);
    holds(4096, true);
}

#[test]
fn whatever_a_cut_leaves_of_many_tables_is_an_image_with_what_was_flushed() {
    holds(512, true);
}

#[test]
fn whatever_a_cut_leaves_of_the_usual_clusters_is_an_image_with_what_was_flushed() {
    holds(65536, false);
}

/// Tables come to lie where there were data, which look like no table.
#[test]
fn whatever_a_cut_leaves_of_clusters_that_keep_what_they_held_is_an_image() {
    let mut script = Script::new(512, true);
    script.keeps = true;
    let states = script.sweep();
    assert!(
        states.as_ref().is_ok_and(|states| *states > 400),
        "{states:?}"
    );
}

#[test]
fn a_mistake_in_the_order_is_seen() {
    for mistake in [
        Mistake::UnflaggedBitmaps,
        Mistake::VolatileFlags,
        Mistake::EarlyFlags,
        Mistake::BitsBehindHeader,
        Mistake::TablesWithCounts,
        Mistake::EntriesWithTables,
        Mistake::FreedWithTables,
        Mistake::HeaderBeforeDirectory,
    ] {
        let seen = [4096, 512].into_iter().any(|cluster| {
            let mut script = Script::new(cluster, cluster == 512);
            script.keeps = cluster == 512;
            script.mistake = Some(mistake);
            script.sweep().is_err()
        });
        assert!(seen, "{mistake:?}");
    }
}
