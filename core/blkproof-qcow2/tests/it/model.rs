//! An image against plain bytes: the same random requests to both.

use blkproof_device::{BlockDevice, Durability, IoResult, MemDisk, StatusKind};
use blkproof_qcow2::inspect::{Contents, Layer, Limits, inspect};
use blkproof_qcow2::{BackingName, CreateOptions, Qcow2};
use blkproof_spec::{ByteRange, Length, Offset};
use proptest::prelude::*;

use crate::probe::{Failure, Probe};
use crate::support::{UNMAP, disk, noise, read, write};

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write(ByteRange, u64),
    WriteThrough(ByteRange, u64),
    Zero(ByteRange, bool),
    Discard(ByteRange),
    /// The index of the cluster, and whether it gets smaller.
    Compressed(u64, u64, bool),
    Resize(u64),
    Flush,
    Reopen,
}

/// What an image and its backing file are.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) cluster: u64,
    pub(crate) size: u64,
    /// The size of the backing file.
    pub(crate) backing: Option<u64>,
}

/// An image with the bytes it must hold.
pub(crate) struct Pair {
    pub(crate) shape: Shape,
    pub(crate) probe: Probe,
    pub(crate) image: Qcow2<Probe>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) backing: Option<MemDisk>,
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap()
}

impl Pair {
    pub(crate) fn new(shape: &Shape) -> Self {
        let probe = Probe::new();
        let backing = shape.backing.map(|size| {
            let mut backing = disk();
            backing.set_size(Length(size)).unwrap();
            // A hole at the start of the backing file, data behind it.
            let start = (size / 3) & !511;
            write(&mut backing, start, &noise(99, index(size - start)));
            backing
        });
        let options = CreateOptions {
            size: Length(shape.size),
            cluster: Length(shape.cluster),
            backing: backing.as_ref().map(|_| BackingName {
                name: "base".to_owned(),
                format: Some("raw".to_owned()),
            }),
        };
        let mut bytes = vec![0; index(shape.size)];
        if let Some(backing) = &backing {
            let mut backing = backing.snapshot();
            backing.read_at(Offset(0), &mut bytes).unwrap();
        }
        let image = Qcow2::create(probe.clone(), &options, &UNMAP).unwrap();
        let mut pair = Self {
            shape: shape.clone(),
            probe,
            image,
            bytes,
            backing,
        };
        pair.attach();
        pair
    }

    fn attach(&mut self) {
        let backing = self.backing.as_ref().map(MemDisk::snapshot);
        self.image
            .set_backing(backing.map(|disk| Box::new(disk) as Box<dyn BlockDevice>));
    }

    fn clip(&self, range: ByteRange) -> ByteRange {
        let clipped = range.intersect(ByteRange::new(0, self.image.size().0));
        if clipped.is_empty() {
            return ByteRange::default();
        }
        clipped
    }

    /// Returns the whole clusters within a range, as discards take them.
    fn whole(&self, range: ByteRange) -> ByteRange {
        let cluster = self.shape.cluster;
        let end = if range.end() == self.bytes.len() as u64 {
            range.end()
        } else {
            range.end() / cluster * cluster
        };
        ByteRange::between(range.start.next_multiple_of(cluster), end)
    }

    fn data(&self, op: &Op) -> Vec<u8> {
        match op {
            Op::Write(range, seed) | Op::WriteThrough(range, seed) => {
                noise(*seed, index(self.clip(*range).len))
            }
            Op::Compressed(number, seed, shrinks) => {
                let cluster = self.shape.cluster;
                let len = self.clip(ByteRange::new(number * cluster, cluster)).len;
                let mut data = noise(*seed, index(len));
                if *shrinks {
                    let half = data.len() / 2;
                    data[half..].fill(9);
                }
                data
            }
            _ => Vec::new(),
        }
    }

    /// Sends a request to the image.
    pub(crate) fn request(&mut self, op: &Op) -> IoResult<()> {
        let data = self.data(op);
        match *op {
            Op::Write(range, _) => {
                self.image
                    .write_at(Offset(self.clip(range).start), &data, Durability::Later)
            }
            Op::WriteThrough(range, _) => {
                self.image
                    .write_at(Offset(self.clip(range).start), &data, Durability::Now)
            }
            Op::Zero(range, unmap) => self.image.write_zeroes(self.clip(range), unmap),
            Op::Discard(range) => self.image.discard(self.clip(range)),
            Op::Compressed(..) if data.is_empty() => Ok(()),
            Op::Compressed(number, ..) => self
                .image
                .write_compressed(Offset(number * self.shape.cluster), &data),
            Op::Resize(size) => self.image.set_size(Length(size)),
            Op::Flush => self.image.flush(),
            Op::Reopen => {
                self.image.flush()?;
                self.reopen();
                Ok(())
            }
        }
    }

    /// Flushes, once more if the fault hits the flush.
    fn flush(&mut self) {
        if self.image.flush().is_err() {
            self.image.flush().unwrap();
        }
    }

    /// Opens the image anew; what was not flushed is lost.
    pub(crate) fn reopen(&mut self) {
        self.probe.quiet(true);
        self.image = Qcow2::open(self.probe.clone(), &UNMAP).unwrap();
        self.probe.quiet(false);
        self.attach();
    }

    /// Does to the bytes what a request does.
    pub(crate) fn apply(&mut self, op: &Op) {
        let data = self.data(op);
        let (start, fill) = match *op {
            Op::Write(range, _) | Op::WriteThrough(range, _) => (self.clip(range).start, data),
            Op::Zero(range, _) => {
                let range = self.clip(range);
                (range.start, vec![0; index(range.len)])
            }
            Op::Discard(range) => {
                let range = self.whole(self.clip(range));
                (range.start, vec![0; index(range.len)])
            }
            Op::Compressed(number, ..) => (number * self.shape.cluster, data),
            Op::Resize(size) => {
                self.bytes.resize(index(size), 0);
                return;
            }
            Op::Flush | Op::Reopen => return,
        };
        if !fill.is_empty() {
            let start = index(start);
            self.bytes[start..start + fill.len()].copy_from_slice(&fill);
        }
    }

    /// Compares what the image shows.
    pub(crate) fn compare(&mut self) {
        self.probe.quiet(true);
        assert_eq!(self.image.size().0, self.bytes.len() as u64);
        let seen = read(&mut self.image, 0, self.bytes.len());
        assert_same(&seen, &self.bytes, "driver");
        self.compare_status();
        self.probe.quiet(false);
    }

    fn compare_status(&mut self) {
        let size = self.bytes.len() as u64;
        let mut at = 0;
        while at < size {
            let status = self
                .image
                .block_status(ByteRange::between(at, size))
                .unwrap();
            let end = at + status.len.0;
            assert!(status.len.0 > 0 && end <= size);
            let zero = status.kind == StatusKind::Zero
                || (status.kind == StatusKind::Hole && self.backing.is_none());
            if zero {
                let part = &self.bytes[index(at)..index(end)];
                assert!(part.iter().all(|byte| *byte == 0), "zeroes at {at}");
            }
            at = end;
        }
    }

    /// Looks at the file without the driver.
    pub(crate) fn inspect(&mut self, leaks: bool) {
        let mut file = self.probe.snapshot();
        let report = inspect(&mut file, &Limits::default()).unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        assert!(leaks || report.leaks == 0, "{} leaks", report.leaks);
        let mut layers = vec![Layer::qcow2(Box::new(file)).unwrap()];
        if let Some(backing) = &self.backing {
            layers.push(Layer::raw(Box::new(backing.snapshot())));
        }
        let mut contents = Contents::new(layers);
        assert_eq!(contents.size().0, self.bytes.len() as u64);
        let mut seen = vec![0xee; self.bytes.len()];
        contents.read(Offset(0), &mut seen).unwrap();
        assert_same(&seen, &self.bytes, "inspector");
    }
}

fn assert_same(seen: &[u8], expected: &[u8], who: &str) {
    if let Some(at) = (0..seen.len()).find(|at| seen[*at] != expected[*at]) {
        panic!(
            "the {who} shows {:#x} at {at:#x} where {:#x} is expected",
            seen[at], expected[at]
        );
    }
}

/// Returns shapes of up to some dozens of clusters.
pub(crate) fn shapes() -> impl Strategy<Value = Shape> {
    let bits =
        prop_oneof![4 => Just(9_u64), 2 => Just(10), 1 => Just(12), 2 => Just(16), 1 => Just(18)];
    bits.prop_flat_map(|bits| {
        let cluster = 1_u64 << bits;
        let most = (cluster * 600).min(cluster.max(64 << 10) * 12) / 512;
        (0..most, proptest::option::of(0..most)).prop_map(move |(size, backing)| Shape {
            cluster,
            size: size * 512,
            backing: backing.map(|size| size * 512),
        })
    })
}

pub(crate) fn ranges(cluster: u64, size: u64) -> impl Strategy<Value = ByteRange> {
    let most = size.max(1);
    let edge = prop_oneof![
        Just(0_i64),
        Just(-1),
        Just(1),
        Just(-512),
        Just(512),
        Just(100)
    ];
    let position = prop_oneof![
        (0..most.div_ceil(cluster) + 1, edge)
            .prop_map(move |(at, edge)| (at * cluster).saturating_add_signed(edge)),
        0..most,
    ];
    let len = prop_oneof![
        3 => 1..=cluster + 1,
        2 => (1..=8_u64).prop_map(move |count| count * cluster),
        1 => 1..=most,
    ];
    (position, len).prop_map(|(start, len)| ByteRange::new(start, len.min(2 << 20)))
}

pub(crate) fn ops(shape: &Shape) -> impl Strategy<Value = Op> + use<> {
    let (cluster, size) = (shape.cluster, shape.size);
    let range = move || ranges(cluster, size);
    let seed = || 1..1000_u64;
    prop_oneof![
        8 => (range(), seed()).prop_map(|(range, seed)| Op::Write(range, seed)),
        1 => (range(), seed()).prop_map(|(range, seed)| Op::WriteThrough(range, seed)),
        3 => (range(), any::<bool>()).prop_map(|(range, unmap)| Op::Zero(range, unmap)),
        3 => range().prop_map(Op::Discard),
        3 => (0..size / cluster + 1, seed(), any::<bool>())
            .prop_map(|(number, seed, shrinks)| Op::Compressed(number, seed, shrinks)),
        1 => (0..size / 512 * 2 + 9).prop_map(|sectors| Op::Resize(sectors * 512)),
        2 => Just(Op::Flush),
        1 => Just(Op::Reopen),
    ]
}

pub(crate) fn cases(ops_most: usize) -> impl Strategy<Value = (Shape, Vec<Op>)> {
    shapes().prop_flat_map(move |shape| {
        let ops = proptest::collection::vec(ops(&shape), 1..ops_most);
        (Just(shape), ops)
    })
}

fn failures() -> impl Strategy<Value = Failure> {
    prop_oneof![
        Just(Failure::Nothing),
        Just(Failure::Half),
        Just(Failure::All),
        Just(Failure::Wait),
    ]
}

fn config(few: u32) -> ProptestConfig {
    ProptestConfig {
        cases: crate::cases::cases(few),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn an_image_holds_what_plain_bytes_hold((shape, ops) in cases(40)) {
        let mut pair = Pair::new(&shape);
        for op in &ops {
            pair.request(op).unwrap();
            pair.apply(op);
            pair.compare();
        }
        prop_assert_eq!(pair.image.corruption(), None);
        pair.image.flush().unwrap();
        pair.inspect(false);
    }
}

proptest! {
    #![proptest_config(config(60))]

    /// Writes reach the file in an order in which no cut between two of them leaves more than
    /// leaks.
    #[test]
    fn the_file_is_sound_after_every_write((shape, ops) in cases(16)) {
        let mut pair = Pair::new(&shape);
        pair.probe.record();
        for op in &ops {
            pair.request(op).unwrap();
            for mut file in pair.probe.take_history() {
                let report = inspect(&mut file, &Limits::default()).unwrap();
                prop_assert!(report.is_sound(), "{op:?}: {:?}", report.problems);
            }
        }
    }

    /// Each request in turn fails at each of its own requests; tried again, it succeeds.
    #[test]
    fn a_failed_request_succeeds_when_tried_again(
        (shape, ops) in cases(10),
        failure in failures(),
        events_wait in any::<bool>(),
    ) {
        for at in 0..400 {
            let mut pair = Pair::new(&shape);
            pair.probe.arm(at, failure, events_wait);
            for op in &ops {
                if pair.request(op).is_err() {
                    prop_assert!(pair.probe.fired());
                    prop_assert_eq!(pair.image.size().0, pair.bytes.len() as u64);
                    pair.request(op).unwrap();
                }
                pair.apply(op);
                pair.compare();
            }
            pair.flush();
            pair.inspect(true);
            prop_assert_eq!(pair.image.corruption(), None);
            if !pair.probe.fired() {
                break;
            }
        }
    }

    /// The same, but given up: the structure stays sound, and bytes elsewhere stay what they were.
    #[test]
    fn a_failed_request_breaks_nothing(
        (shape, ops) in cases(10),
        failure in failures(),
        events_wait in any::<bool>(),
    ) {
        for at in 0..400 {
            let mut pair = Pair::new(&shape);
            pair.probe.arm(at, failure, events_wait);
            for op in &ops {
                let before = pair.bytes.clone();
                let result = pair.request(op);
                if result.is_ok() {
                    pair.apply(op);
                    continue;
                }
                pair.apply(op);
                let after = std::mem::replace(&mut pair.bytes, before);
                pair.bytes.truncate(index(pair.image.size().0));
                settle(&mut pair, &after);
                pair.flush();
                pair.compare();
                pair.inspect(true);
                pair.reopen();
            }
            pair.flush();
            pair.compare();
            pair.inspect(true);
            if !pair.probe.fired() {
                break;
            }
        }
    }
}

/// Takes for the truth what the image shows, where it shows what was there before a failed request
/// or what was to be there after it.
fn settle(pair: &mut Pair, after: &[u8]) {
    pair.probe.quiet(true);
    let seen = read(&mut pair.image, 0, pair.bytes.len());
    pair.probe.quiet(false);
    for (at, byte) in seen.iter().enumerate() {
        let old = pair.bytes[at];
        let new = after.get(at).copied().unwrap_or(old);
        assert!(
            *byte == old || *byte == new,
            "neither old nor new at {at:#x}"
        );
        pair.bytes[at] = *byte;
    }
}
