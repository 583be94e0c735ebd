//! Makes many reads of 512 bytes through the fault layer, for counting instructions:
//!
//! ```text
//! cargo build --release -p blkproof-device --example one_request
//! valgrind --tool=callgrind target/release/examples/one_request layer range 64 1 100000
//! ```
//!
//! The arguments are
//! - what to read through: `bare`, `seam` for a device beneath its faults, `layer` for one behind
//!   them;
//! - what the rules wait for, which never comes: reads of a `range`, `writes`, reads of a `sector`
//!   once `read_aio` was raised, or an `event`;
//! - the number of rules;
//! - the number of places to read by turns, each behind another rule's;
//! - the number of reads. The difference between two, divided by it, is what one read costs.

use std::env;
use std::error::Error;
use std::hint::black_box;

use blkproof_device::{BlockDevice, Durability, MemDisk, MemStore, Pool, Store};
use blkproof_spec::fault::{Effect, Event, Extended, InjectError, IoType, IoTypes, Rule, When};
use blkproof_spec::{
    ByteRange, Errno, FaultRule, ImageName, Layer, Length, Offset, Place, SectorNumber,
};

const SIZE: u64 = 1 << 20;

/// Makes up a rule. The ranges and sectors lie on both sides of what is read.
fn rule(waits_for: &str, number: u64) -> Result<Rule, Box<dyn Error>> {
    let kind = match waits_for {
        "range" => IoType::Read,
        "writes" => IoType::Write,
        "sector" => {
            return Ok(Rule::InjectError(InjectError {
                sector: Some(SectorNumber(number * 2)),
                ..InjectError::new(Event::ReadAio)
            }));
        }
        "event" => return Ok(Rule::InjectError(InjectError::new(Event::CorWrite))),
        other => return Err(format!("expected range, writes, sector or event: {other:?}").into()),
    };
    Ok(Rule::Extended(Extended {
        iotypes: IoTypes::only(kind),
        range: Some(ByteRange::new(number * 1024, 512)),
        when: When::Always,
        effect: Effect::Error(Errno::EIO),
    }))
}

fn device(
    through: &str,
    waits_for: &str,
    rules: u64,
) -> Result<Box<dyn BlockDevice>, Box<dyn Error>> {
    let mut store = MemStore::new(&Pool::new());
    let image = ImageName::new("d");
    let mut device = store.create(&image, Length(SIZE))?;
    for number in 0..rules {
        store.install(&FaultRule {
            name: None,
            place: Place {
                image: image.clone(),
                layer: Layer::File,
            },
            rule: rule(waits_for, number)?,
        });
    }
    device.event(Event::ReadAio)?;
    match through {
        "bare" => Ok(Box::new(MemDisk::new(&Pool::new(), Length(SIZE)))),
        "seam" => Ok(store.plain(&image)?),
        "layer" => Ok(device),
        other => Err(format!("expected bare, seam or layer, found {other:?}").into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [through, waits_for, rules, places, reads] = arguments.as_slice() else {
        return Err("expected five arguments, see the head of the example".into());
    };
    let mut device = device(through, waits_for, rules.parse()?)?;
    let mut buf = [0; 512];
    let places: u64 = places.parse()?;
    let place = |number: u64| Offset(number % places * 1024 + 512);
    for number in 0..places {
        device.write_at(place(number), &buf, Durability::Later)?;
    }
    for number in 0..reads.parse()? {
        black_box(&mut device).read_at(black_box(place(number)), &mut buf)?;
    }
    Ok(())
}
