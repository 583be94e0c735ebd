//! Arbitrary scenarios: every value of the vocabulary that a text can say.

mod faults;
mod steps;

use blkproof::spec::power::Cache;
use blkproof::spec::scenario::Role;
use blkproof::spec::{
    At, ByteRange, DiscardMode, DiskSetup, Errno, Format, Geometry, ImageName, Length, Limits,
    Name, Property, Scenario, Setup, StatedOutcome, Units,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Any text as a name, mostly a short plain one.
pub(super) fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-z]{1,8}[0-9]{0,3}",
        1 => "[a-z]{1,4}\\.(node|file|qcow2)",
        1 => any::<String>(),
        1 => Just(String::new()),
        1 => "[ \"\\\\#=@:,(){}+]{1,6}",
    ]
}

pub(super) fn image() -> impl Strategy<Value = ImageName> {
    name().prop_map(|name| ImageName::new(&name))
}

pub(super) fn at() -> impl Strategy<Value = At> {
    prop_oneof![image().prop_map(At::Device), image().prop_map(At::Node)]
}

/// Any number, mostly one of interest.
pub(super) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..1_000_000_u64,
        (0..60_u32).prop_map(|shift| 1 << shift),
        (0..64_u64).prop_map(|count| count << 20),
    ]
}

pub(super) fn length() -> impl Strategy<Value = Length> {
    number().prop_map(Length)
}

pub(super) fn range() -> impl Strategy<Value = ByteRange> {
    (number(), number()).prop_map(|(start, len)| ByteRange::new(start, len.min(u64::MAX - start)))
}

pub(super) fn errno() -> impl Strategy<Value = Errno> {
    prop_oneof![
        Just(Errno::EIO),
        Just(Errno::ENOSPC),
        (1..u16::MAX).prop_map(Errno)
    ]
}

/// Any scenario whose setup is valid.
pub(crate) fn scenario() -> impl Strategy<Value = Scenario> {
    (
        option::of(any::<String>()),
        setup().boxed(),
        vec(steps::step().boxed(), 0..12),
        prop_oneof![
            Just(StatedOutcome::Pass),
            property().prop_map(StatedOutcome::Fail)
        ],
    )
        .prop_map(|(title, setup, steps, outcome)| Scenario {
            title: title
                .filter(|title| !title.is_empty())
                .map(String::into_boxed_str),
            setup,
            steps,
            outcome,
        })
}

fn property() -> impl Strategy<Value = Name> {
    proptest::sample::select(Property::ALL).prop_map(|property| Name::new(property.name()))
}

fn setup() -> impl Strategy<Value = Setup> {
    (
        vec(disk().boxed(), 0..4),
        vec(faults::rule().boxed(), 0..3),
        prop_oneof![Just(Limits::default().units_per_step.0), number()],
        (any::<bool>(), 9..64_u32),
    )
        .prop_map(|(disks, rules, units, (ordered, bits))| Setup {
            disks: valid(disks),
            rules,
            cache: Cache {
                ordered,
                atomic: Length(1 << bits),
            },
            limits: Limits {
                units_per_step: Units(units),
            },
        })
}

/// Makes the names differ and the backing files stand before.
fn valid(disks: Vec<(DiskSetup, bool)>) -> Vec<DiskSetup> {
    let mut out: Vec<DiskSetup> = Vec::new();
    for (mut disk, wants_backing) in disks {
        if disk.name.as_str().is_empty() || out.iter().any(|other| other.name == disk.name) {
            disk.name = ImageName::new(&format!("disk{}", out.len()));
        }
        if out.iter().any(|other| other.name == disk.name) {
            continue;
        }
        if wants_backing && disk.geometry.format == Format::Qcow2 {
            disk.backing = out.last().map(|last| last.name.clone());
        }
        if disk.backing.is_some() && disk.role != Role::Image {
            out.iter_mut().for_each(|below| below.role = Role::Image);
        }
        out.push(disk);
    }
    out
}

fn geometry() -> impl Strategy<Value = Geometry> {
    let size = (0..i64::MAX.unsigned_abs() / 512).prop_map(|sectors| Length(sectors * 512));
    let discard = prop_oneof![Just(DiscardMode::Ignore), Just(DiscardMode::Unmap)];
    (size, 9..=21_u32, any::<bool>(), discard).prop_map(|(size, shift, is_raw, discard)| {
        let (format, cluster) = if is_raw {
            (Format::Raw, Geometry::DEFAULT_CLUSTER)
        } else {
            (Format::Qcow2, Length(1 << shift))
        };
        Geometry {
            size: size.min(Geometry::size_max(format, cluster)),
            cluster,
            format,
            discard,
        }
    })
}

fn disk() -> impl Strategy<Value = (DiskSetup, bool)> {
    let role = prop_oneof![Just(Role::Device), Just(Role::Node), Just(Role::Image)];
    let contents = vec((any::<u64>(), any::<u64>(), any::<u8>()), 0..3);
    let wants_backing = any::<bool>();
    (image(), geometry(), role, contents, wants_backing).prop_map(
        |(name, geometry, role, contents, wants_backing)| {
            let size = geometry.size.0;
            let within = |(start, len, byte): (u64, u64, u8)| {
                let start = start % (size + 1);
                (ByteRange::new(start, len % (size - start + 1)), byte)
            };
            let disk = DiskSetup {
                name,
                geometry,
                backing: None,
                role,
                contents: contents.into_iter().map(within).collect(),
            };
            (disk, wants_backing)
        },
    )
}
