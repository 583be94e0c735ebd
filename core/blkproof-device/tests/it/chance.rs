//! Chance in rules below a format: where things lie there follows from all that was done before,
//! and must not move what strikes others.

use std::sync::{Arc, Mutex};

use blkproof_device::{BlockDevice, BlockStatus, Durability, IoResult, MemStore, Pool};
use blkproof_spec::fault::{Effect, Event, Extended, IoTypes, Rule, When};
use blkproof_spec::{ByteRange, Errno, FaultRule, ImageName, IoType, Layer, Length, Offset, Place};
use proptest::prelude::*;

use crate::cases::cases;

/// Something that writes: a step, or a unit of work of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Act {
    /// Whose it is; those of one actor need not be in one piece.
    actor: u8,
    /// Where it writes to the format.
    starts: Vec<u64>,
}

fn act() -> impl Strategy<Value = Act> {
    let starts = prop::collection::vec((0..16_u64).prop_map(|cluster| cluster * 4096), 1..4);
    (0..8_u8, starts).prop_map(|(actor, starts)| Act { actor, starts })
}

/// What each write of each act to the format came to: which of its writes below it failed.
type Struck = Vec<Vec<Vec<bool>>>;

/// Has a format carry out the acts, which takes the next free place for whatever it writes: two
/// writes below for each one above.
fn run(acts: &[Act], first_free: u64) -> Struck {
    let store = MemStore::new(&Pool::new());
    let image = ImageName::new("d");
    let place = |layer| Place {
        image: image.clone(),
        layer,
    };
    store.announce(&place(Layer::Format));
    store.install(&FaultRule {
        name: None,
        place: place(Layer::File),
        rule: Rule::Extended(Extended {
            iotypes: IoTypes::only(IoType::Write),
            range: None,
            when: When::Chance {
                seed: 9,
                per_million: 400_000,
            },
            effect: Effect::Error(Errno::EIO),
        }),
    });
    let mut handle = store.subject_handle();
    let below = handle.create(&image, Length(1 << 20)).unwrap();
    let seen = Arc::default();
    let format = Appending {
        below,
        free: first_free,
        seen: Arc::clone(&seen),
    };
    let mut format = handle.above_format(&image, Box::new(format));
    let mut write = |start: &u64| {
        let written = format.write_at(Offset(*start), &[1; 512], Durability::Later);
        written.expect("what fails below is not handed on");
        core::mem::take(&mut *seen.lock().expect("nobody panics"))
    };
    let mut carry_out = |act: &Act| {
        store.act_for(&format!("actor {}", act.actor));
        act.starts.iter().map(&mut write).collect()
    };
    acts.iter().map(&mut carry_out).collect()
}

/// A format that puts whatever is written behind what was written before, twice.
#[derive(Debug)]
struct Appending {
    below: Box<dyn BlockDevice>,
    free: u64,
    /// Which writes below failed.
    seen: Arc<Mutex<Vec<bool>>>,
}

impl BlockDevice for Appending {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        self.below.read_at(offset, buf)
    }

    fn write_at(&mut self, _: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        let mut seen = self.seen.lock().expect("nobody panics");
        for _ in 0..2 {
            let at = Offset(self.free);
            self.free += 512;
            seen.push(self.below.write_at(at, data, durability).is_err());
        }
        Ok(())
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        self.below.write_compressed(offset, data)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        self.below.write_zeroes(range, unmap)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.below.discard(range)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.below.flush()
    }

    fn size(&self) -> Length {
        self.below.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        self.below.set_size(size)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        self.below.block_status(range)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.below.event(event)
    }
}

/// What the acts came to that are not this actor's.
fn of_others(acts: &[Act], struck: Struck, actor: u8) -> Struck {
    let all = acts.iter().zip(struck);
    let others = all.filter(|(act, _)| act.actor != actor);
    others.map(|(_, struck)| struck).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(128)))]

    /// Where an actor is left out, what others write comes to lie elsewhere, and fails as before.
    #[test]
    fn who_is_left_out_moves_no_fault_of_others(
        acts in prop::collection::vec(act(), 2..12),
        actor in 0..8_u8,
        first_free in (0..64_u64).prop_map(|sector| sector * 512),
    ) {
        let all = of_others(&acts, run(&acts, 0), actor);
        let left: Vec<Act> = acts.into_iter().filter(|act| act.actor != actor).collect();
        prop_assert_eq!(run(&left, first_free), all);
    }
}

#[test]
fn all_writes_of_one_format_are_not_alike() {
    let acts: Vec<Act> = (0..8)
        .map(|actor| Act {
            actor,
            starts: (0..16).map(|cluster| cluster * 4096).collect(),
        })
        .collect();
    let struck: Vec<bool> = run(&acts, 0).into_iter().flatten().flatten().collect();
    let count = struck.iter().filter(|failed| **failed).count();
    assert!((70..=135).contains(&count), "{count} of {}", struck.len());
    // Neither do all actors fare alike, nor both writes of one request.
    let actors: Vec<_> = struck.chunks(32).collect();
    assert!(actors.iter().any(|other| *other != actors[0]));
    assert!(struck.chunks(2).any(|pair| pair[0] != pair[1]));
}
