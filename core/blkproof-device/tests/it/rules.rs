//! Where rules sit and how long they stay; the trace and the counters.

use blkproof_device::{
    BlockDevice, BlockStatus, Durability, IoError, IoResult, MemStore, Pool, Store, Traced,
};
use blkproof_spec::fault::{Effect, Event, Extended, InjectError, IoType, IoTypes, Rule, When};
use blkproof_spec::{
    ByteRange, Errno, FaultRule, ImageName, Layer, Length, Millis, Offset, Place, RuleName,
};

use crate::effects::name;

fn place(layer: Layer) -> Place {
    Place {
        image: name(),
        layer,
    }
}

/// A rule that fails every request.
fn broken(layer: Layer) -> FaultRule {
    FaultRule {
        name: Some(RuleName::new("broken")),
        place: place(layer),
        rule: Rule::Extended(Extended {
            iotypes: IoTypes::ALL_BUT_BLOCK_STATUS,
            range: None,
            when: When::Always,
            effect: Effect::Error(Errno::EIO),
        }),
    }
}

#[test]
fn rules_wait_for_their_image_and_survive_it() {
    let mut store = MemStore::new(&Pool::new());
    store.install(&broken(Layer::File));
    let mut first = store.create(&name(), Length(4096)).unwrap();
    first.flush().unwrap_err();
    let mut other = store.create(&ImageName::new("e"), Length(4096)).unwrap();
    other.flush().unwrap();
    store.remove(&name()).unwrap();
    first.flush().unwrap();
    let mut second = store.create(&name(), Length(4096)).unwrap();
    second.flush().unwrap_err();
    assert!(store.lift(&RuleName::new("broken")));
    second.flush().unwrap();
    let count = &store.rule_counts()[0];
    assert_eq!((count.fired, count.live), (2, false));
}

#[test]
fn a_rule_on_none_is_activated_by_each_opening() {
    let mut store = MemStore::new(&Pool::new());
    store.create(&name(), Length(4096)).unwrap();
    store.install(&FaultRule {
        name: None,
        place: place(Layer::File),
        rule: Rule::InjectError(InjectError {
            once: true,
            ..InjectError::new(Event::None)
        }),
    });
    store.install(&FaultRule {
        name: None,
        place: place(Layer::File),
        rule: Rule::SetState {
            event: Event::None,
            state: 1,
            new_state: 7,
        },
    });
    let mut device = store.open(&name()).unwrap();
    device.flush().unwrap_err();
    device.flush().unwrap();
    store.open(&name()).unwrap();
    let counts = store.rule_counts();
    assert_eq!(counts[1].matched, 1, "the state outlives the opening");
}

/// A format that counts what reaches it.
#[derive(Debug, Default)]
struct Format {
    reached: u64,
}

impl BlockDevice for Format {
    fn read_at(&mut self, _: Offset, buf: &mut [u8]) -> IoResult<()> {
        buf.fill(u8::try_from(self.reached).unwrap());
        Ok(())
    }

    fn write_at(&mut self, _: Offset, _: &[u8], _: Durability) -> IoResult<()> {
        self.reached += 1;
        Ok(())
    }

    fn write_compressed(&mut self, _: Offset, _: &[u8]) -> IoResult<()> {
        self.reached += 10;
        Ok(())
    }

    fn write_zeroes(&mut self, _: ByteRange, _: bool) -> IoResult<()> {
        Ok(())
    }

    fn discard(&mut self, _: ByteRange) -> IoResult<()> {
        Ok(())
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }

    fn size(&self) -> Length {
        Length(4096)
    }

    fn set_size(&mut self, _: Length) -> IoResult<()> {
        Ok(())
    }

    fn block_status(&mut self, _: ByteRange) -> IoResult<BlockStatus> {
        Err(IoError::Failed(Errno::ENOTSUP))
    }

    fn event(&mut self, _: Event) -> IoResult<()> {
        panic!("no event is handed down to a format");
    }
}

fn reached(device: &mut dyn BlockDevice) -> u8 {
    let mut buf = [0];
    device.read_at(Offset(0), &mut buf).unwrap();
    buf[0]
}

#[test]
fn a_layer_lies_above_a_format_once_its_place_is_known() {
    let mut store = MemStore::new(&Pool::new());
    let format = || Box::new(Format::default());
    let mut bare = store.above_format(&name(), format());
    store.announce(&place(Layer::Format));
    let mut device = store.above_format(&name(), format());
    device.write_at(Offset(0), &[1], Durability::Later).unwrap();
    store.install(&broken(Layer::Format));
    bare.write_at(Offset(0), &[1], Durability::Later).unwrap();
    device
        .write_at(Offset(0), &[1], Durability::Later)
        .unwrap_err();
    device.write_compressed(Offset(0), &[1]).unwrap_err();
    device.event(Event::FlushToOs).unwrap();
    assert_eq!(device.size(), Length(4096));
    store.lift_all();
    device.write_compressed(Offset(0), &[1]).unwrap();
    assert_eq!(reached(&mut *device), 11);
    let mut ledger = Vec::new();
    store.drain_ledger(&mut ledger);
    assert_eq!(ledger[0].place, place(Layer::Format));
}

#[test]
fn the_trace_tells_everything_in_order() {
    let mut store = MemStore::new(&Pool::new());
    let mut device = store.create(&name(), Length(4096)).unwrap();
    device.flush().unwrap();
    store.set_tracing(true);
    device
        .write_at(Offset(512), &[1; 512], Durability::Later)
        .unwrap();
    device.event(Event::L2Load).unwrap();
    store.install(&broken(Layer::File));
    device.flush().unwrap_err();
    device.set_size(Length(8192)).unwrap();
    let mut trace = Vec::new();
    store.drain_trace(&mut trace);
    let lines: Vec<_> = trace.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "d.file event pwritev",
            "d.file event pwritev_done",
            "d.file write [0x200, 0x400)",
            "d.file event l2_load",
            "d.file flush [0x0, 0x0): Input/output error",
            "d.file resize 8192",
        ]
    );
    store.set_tracing(false);
    store.lift_all();
    device.flush().unwrap();
    store.drain_trace(&mut trace);
    assert_eq!(trace.len(), lines.len());
    assert_eq!(trace[5].what, Traced::Resize(Length(8192)));
    let counters = store.counters(&name()).unwrap();
    let of = |kind| counters.of(kind);
    assert_eq!(
        (of(IoType::Write), of(IoType::Flush), of(IoType::Read)),
        (1, 3, 0)
    );
}

#[test]
fn a_fork_has_the_rules_and_the_clock_and_goes_its_own_way() {
    let mut store = MemStore::new(&Pool::new());
    let mut device = store.create(&name(), Length(4096)).unwrap();
    let mut rule = broken(Layer::File);
    rule.rule = Rule::InjectError(InjectError {
        once: true,
        ..InjectError::new(Event::ReadAio)
    });
    store.install(&rule);
    device.event(Event::ReadAio).unwrap();
    store.tick(Millis(3));
    let mut fork = store.fork();
    let mut forked = fork.open(&name()).unwrap();
    device.flush().unwrap_err();
    device.flush().unwrap();
    forked.flush().unwrap_err();
    forked.flush().unwrap();
    store.tick(Millis(1));
    assert_eq!((store.now(), fork.now()), (Millis(4), Millis(3)));
}
