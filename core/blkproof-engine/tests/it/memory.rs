//! What the judge remembers of images it looked at: nothing that changed since goes unseen, and
//! what did not change is not looked at again.

use std::fmt::Write as _;

use blkproof::device::{BlockDevice, Durability, MemStore, Parcel, Pool, Store};
use blkproof::spec::{
    Action, At, ByteRange, Capabilities, ImageName, JobEvent, Length, Offset, Reply, Scenario,
    Setup, Status, StepNumber,
};
use blkproof::{Moment, Options, Outcome, Runner, Subject, SubjectError, text};
use blkproof_engine::{Engine, ImageInspector};

/// A full backup and two increments, each of which wrote a byte of its own.
const CHAIN: &str = "\
blkproof 1
disk drive0 1M qcow2
write drive0 0 64k fill=0xb1
write drive0 256k 64k fill=0xb1
bitmap add drive0 b
backup drive0 full to=base0
write drive0 0 4k fill=0xb2
create incr1 qcow2 backing=base0
backup drive0 incremental bitmap=b to=incr1 mode=existing
write drive0 512k 4k fill=0xb3
create incr2 qcow2 backing=incr1
backup drive0 incremental bitmap=b to=incr2 mode=existing
flush drive0
";

/// A backup on top of an image that holds no point in time itself and that the disk shows no more.
const BASE: &str = "\
blkproof 1
disk base0 1M qcow2 role=image
contents base0 0 64k fill=0xb1
disk drive0 1M qcow2 backing=base0
contents drive0 512k 64k fill=0xb2
backup drive0 top to=top0 job=j
check top0 == drive0@j
write drive0 0 64k fill=0xb3
flush drive0
";

/// When an engine does what it should not.
#[derive(Clone, Copy, PartialEq, Debug)]
enum When {
    Step(u32),
    Peek,
    Close,
}

/// What it does to a device that is none of its business then.
type Harm = fn(&mut dyn BlockDevice);

/// The engine, which does harm once.
#[derive(Debug)]
struct Meddler {
    engine: Engine,
    store: MemStore,
    when: When,
    image: &'static str,
    harm: Option<Harm>,
    /// Whether it goes the way of the judge, which no counter of the engine's requests sees.
    plain: bool,
}

impl Meddler {
    fn meddle(&mut self, now: When) {
        let Some(harm) = self.harm.take_if(|_| self.when == now) else {
            return;
        };
        let name = ImageName::new(self.image);
        if self.plain {
            harm(&mut *self.store.plain(&name).unwrap());
        } else {
            harm(&mut *self.store.subject_handle().open(&name).unwrap());
        }
    }
}

impl Subject for Meddler {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.engine.prepare(store, setup)
    }

    fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.engine.open(store, setup)
    }

    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        let reply = self.engine.apply(number, action, read);
        self.meddle(When::Step(number.0));
        reply
    }

    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        self.meddle(When::Peek);
        self.engine.peek(at, range, buf)
    }

    fn peek_parcel(
        &mut self,
        at: &At,
        range: ByteRange,
        parcel: &mut Parcel,
    ) -> Result<(), SubjectError> {
        self.meddle(When::Peek);
        self.engine.peek_parcel(at, range, parcel)
    }

    fn status(&mut self, status: &mut Status) {
        self.engine.status(status);
    }

    fn drain_events(&mut self, events: &mut Vec<JobEvent>) {
        self.engine.drain_events(events);
    }

    fn close(&mut self) -> Result<(), SubjectError> {
        self.meddle(When::Close);
        self.engine.close()
    }
}

fn parsed(scenario: &str) -> Scenario {
    text::parse(scenario.as_bytes()).unwrap()
}

fn judge(image: &'static str, when: When, plain: bool, harm: Option<Harm>) -> Outcome {
    judge_all(CHAIN, image, when, plain, harm)
}

fn judge_all(
    scenario: &str,
    image: &'static str,
    when: When,
    plain: bool,
    harm: Option<Harm>,
) -> Outcome {
    let store = MemStore::new(&Pool::default());
    let mut meddler = Meddler {
        engine: Engine::new(),
        store: store.clone(),
        when,
        image,
        harm,
        plain,
    };
    let mut runner = Runner::new(Options::default());
    let inspector = &mut ImageInspector;
    let outcome = runner.run_on(&store, &parsed(scenario), &mut meddler, Some(inspector));
    assert!(meddler.harm.is_none(), "the harm was done");
    outcome
}

fn contents(device: &mut dyn BlockDevice) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(device.size().0).unwrap()];
    device.read_at(Offset(0), &mut bytes).unwrap();
    bytes
}

/// Returns where the first run of 512 bytes of the image's own byte lies.
fn own_data(device: &mut dyn BlockDevice) -> Offset {
    let bytes = contents(device);
    let is_own = |part: &[u8]| (0xb1..=0xb3).any(|byte| part.iter().all(|it| *it == byte));
    let mut sectors = bytes.chunks(512);
    let sector = sectors.position(is_own).unwrap();
    Offset(sector as u64 * 512)
}

/// Turns one byte.
fn rot(device: &mut dyn BlockDevice) {
    let at = own_data(device);
    let mut byte = [0];
    device.read_at(at, &mut byte).unwrap();
    device
        .write_at(at, &[byte[0] ^ 1], Durability::Later)
        .unwrap();
}

fn zero(device: &mut dyn BlockDevice) {
    let range = ByteRange::new(own_data(device).0, 512);
    device.write_zeroes(range, true).unwrap();
}

fn discard(device: &mut dyn BlockDevice) {
    let range = ByteRange::new(own_data(device).0 & !4095, 4096);
    device.discard(range).unwrap();
}

/// Cuts the file off in the middle of its data.
fn cut(device: &mut dyn BlockDevice) {
    let end = own_data(device).0 + 512;
    device.set_size(Length(end)).unwrap();
}

/// Has the header name another backing file.
fn swap_backing(device: &mut dyn BlockDevice) {
    let bytes = contents(device);
    let mut windows = bytes.windows(5);
    let at = windows.position(|name| name == b"incr1").unwrap();
    device
        .write_at(Offset(at as u64), b"base0", Durability::Later)
        .unwrap();
}

#[test]
fn an_image_that_changes_after_it_was_found_right_is_looked_at_again() {
    assert!(matches!(
        judge("base0", When::Close, false, None),
        Outcome::Held(_)
    ));
    let harms: [(&str, Harm); 4] = [
        ("rot", rot),
        ("zero", zero),
        ("discard", discard),
        ("cut", cut),
    ];
    for image in ["base0", "incr1", "incr2"] {
        for (name, harm) in harms {
            for plain in [false, true] {
                let outcome = judge(image, When::Step(11), plain, Some(harm));
                let what = format!("{name} of {image}, beneath the faults: {plain}");
                assert!(matches!(outcome, Outcome::Failed(_)), "{what}");
                let outcome = judge(image, When::Peek, plain, Some(harm));
                assert!(matches!(outcome, Outcome::Failed(_)), "at the end: {what}");
            }
        }
    }
}

#[test]
fn what_harms_a_restore_point_is_found_behind_the_step_that_did_it() {
    for image in ["base0", "incr1", "incr2"] {
        for plain in [false, true] {
            let outcome = judge(image, When::Step(11), plain, Some(rot));
            let Outcome::Failed(failure) = outcome else {
                panic!("{image}: {outcome:?}");
            };
            assert_eq!(failure.moment, Moment::Step(StepNumber(11)), "{image}");
            assert!(failure.breaks("restore-points-survive"), "{image}");
        }
    }
}

#[test]
fn a_disk_that_changes_after_it_was_found_right_is_looked_at_again() {
    // Its pages are those of the backup too, all of which were looked at behind the last step.
    let scenario = "blkproof 1\ndisk drive0 256k raw\nwrite drive0 0 128k fill=0xb1\n\
                    backup drive0 full to=full0\n";
    let harms: [Harm; 3] = [rot, zero, discard];
    for harm in harms {
        for (image, when) in [
            ("drive0", When::Step(2)),
            ("drive0", When::Peek),
            ("drive0", When::Close),
            ("full0", When::Step(2)),
            ("full0", When::Peek),
        ] {
            let outcome = judge_all(scenario, image, when, true, Some(harm));
            assert!(matches!(outcome, Outcome::Failed(_)), "{image}, {when:?}");
        }
    }
}

#[test]
fn a_header_that_names_another_image_that_was_found_right_is_noticed() {
    let outcome = judge("incr2", When::Step(11), true, Some(swap_backing));
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}");
    };
    let told = format!("{:?}", failure.findings);
    assert!(told.contains("RestorePointsSurvive"), "{told}");
}

#[test]
fn an_image_is_looked_at_again_when_one_below_it_changes() {
    for plain in [false, true] {
        let outcome = judge_all(BASE, "base0", When::Step(4), plain, Some(rot));
        let Outcome::Failed(failure) = outcome else {
            panic!("{outcome:?}");
        };
        let told = format!("{:?}", failure.findings);
        assert!(told.contains("RestorePointsSurvive"), "{told}");
    }
}

/// Returns a chain of so many increments, each of which writes a cluster of its own.
fn rounds(count: u32) -> String {
    let mut scenario = "blkproof 1\ndisk drive0 16M qcow2\nbitmap add drive0 b\n\
                        backup drive0 full to=inc0\n"
        .to_owned();
    for round in 1..=count {
        let (at, below) = (round * 128, round - 1);
        write!(
            scenario,
            "write drive0 {at}k 4k stamp\ncreate inc{round} qcow2 backing=inc{below}\n\
             backup drive0 incremental bitmap=b to=inc{round} mode=existing\n"
        )
        .unwrap();
    }
    scenario
}

#[test]
fn what_a_chain_costs_to_look_at_grows_with_what_its_images_hold() {
    let compared = |count| {
        let (mut engine, inspector) = (Engine::new(), &mut ImageInspector);
        let scenario = parsed(&rounds(count));
        let mut runner = Runner::new(Options::default());
        match runner.run(&scenario, &mut engine, Some(inspector)) {
            Outcome::Held(counts) => counts.bytes_compared,
            outcome => panic!("{outcome:?}"),
        }
    };
    let (few, many) = (compared(10), compared(80));
    // Eight times as many increments, and a little for the restore points that are looked at in
    // turn; reading every chain whole would come to eight times that.
    assert!(
        many <= few * 10,
        "{few} bytes for 10 increments, {many} for 80"
    );
}
