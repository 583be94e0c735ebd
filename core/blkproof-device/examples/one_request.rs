//! Makes many reads through the fault layer, for counting instructions:
//!
//! ```text
//! cargo build --release -p blkproof-device --example one_request
//! valgrind --tool=callgrind target/release/examples/one_request seam 0 100000
//! ```
//!
//! The arguments are what to read through (`bare`, `seam` for a device beneath its faults, `layer`
//! for one behind them), the number of rules, and the number of reads. The difference between two
//! numbers of reads, divided by it, is what one costs.

use std::env;
use std::error::Error;
use std::hint::black_box;

use blkproof_device::{BlockDevice, Durability, MemDisk, MemStore, Pool, Store};
use blkproof_spec::fault::{Effect, Extended, IoType, IoTypes, Rule, When};
use blkproof_spec::{ByteRange, Errno, FaultRule, ImageName, Layer, Length, Offset, Place};

const SIZE: u64 = 1 << 20;

fn rule(number: u64) -> FaultRule {
    FaultRule {
        name: None,
        place: Place {
            image: ImageName::new("d"),
            layer: Layer::File,
        },
        rule: Rule::Extended(Extended {
            iotypes: IoTypes::only(IoType::Read),
            range: Some(ByteRange::new(SIZE + number * 512, 512)),
            when: When::Always,
            effect: Effect::Error(Errno::EIO),
        }),
    }
}

fn device(through: &str, rules: u64) -> Result<Box<dyn BlockDevice>, Box<dyn Error>> {
    let mut store = MemStore::new(&Pool::new());
    let name = ImageName::new("d");
    let device = store.create(&name, Length(SIZE))?;
    for number in 0..rules {
        store.install(&rule(number));
    }
    match through {
        "bare" => Ok(Box::new(MemDisk::new(&Pool::new(), Length(SIZE)))),
        "seam" => Ok(store.plain(&name)?),
        "layer" => Ok(device),
        other => Err(format!("expected bare, seam or layer, found {other:?}").into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [through, rules, reads] = arguments.as_slice() else {
        return Err("expected three arguments: what to read through, rules, reads".into());
    };
    let mut device = device(through, rules.parse()?)?;
    device.write_at(Offset(0), &[7; 512], Durability::Later)?;
    let mut buf = [0; 512];
    for _ in 0..reads.parse()? {
        black_box(&mut device).read_at(black_box(Offset(0)), &mut buf)?;
    }
    Ok(())
}
