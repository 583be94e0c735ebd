//! Scenarios of the format level, made up.
//!
//! Each one takes part in a few kinds of steps and faults only, so that these meet often. A library
//! is asked for nothing but what it says it can do.

use blkproof_spec::fault::{Effect, Extended, IoTypes, Kept, Rule, When};
use blkproof_spec::power::{Lost, Moment, Torn};
use blkproof_spec::{
    ByteRange, Content, Errno, FaultRule, ImageName, IoType, Layer, Length, Place, PowerCut,
    RuleName, SECTOR,
};

use super::scenario::{
    Action, BASE, Base, CacheSize, FILE, Look, MadeBy, Op, Scenario, Setup, Step,
};
use super::seam::{Capabilities, Resizes};
use crate::generate::Choices;

/// How large images are at most: all of one is read again and again.
const SIZE_MAX: u64 = 1 << 20;

/// The most clusters of an image.
const CLUSTERS_MAX: u64 = 96;

/// The clusters of images that others make, which takes its time for each kind of image.
const OTHERS_CLUSTERS: [u64; 2] = [9, 70];

/// The most steps.
const STEPS_MAX: u64 = 20;

/// Makes up a scenario that a library with these capabilities can take part in. `others` says
/// whether there is somebody else who makes images.
#[must_use]
pub fn generate(choices: &mut Choices<'_>, able: &Capabilities, others: bool) -> Scenario {
    let setup = setup(choices, able, others);
    let mut maker = Maker {
        align: able.guest_align.unwrap_or(setup.align),
        size: setup.size.0,
        swarm: Swarm::new(choices, able),
        ranges: Vec::new(),
        rules: Vec::new(),
        able,
        setup: &setup,
    };
    let count = choices.between(2, STEPS_MAX);
    let steps = (0..count).map(|_| maker.step(choices)).collect();
    Scenario {
        setup,
        steps,
        ..Scenario::default()
    }
}

fn setup(choices: &mut Choices<'_>, able: &Capabilities, others: bool) -> Setup {
    let made_by = match others && (able.makes.is_empty() || choices.chance(35)) {
        true => MadeBy::QemuImg,
        false => MadeBy::Library,
    };
    let widths = match made_by {
        MadeBy::QemuImg => able.refcount_bits,
        MadeBy::Library => able.makes,
    };
    let cluster = choices.pick(able.clusters);
    let align = choices.pick(able.aligns);
    let unit = able.guest_align.unwrap_or(align).max(SECTOR);
    let most = (SIZE_MAX / cluster).clamp(2, CLUSTERS_MAX);
    let mut size = cluster * choices.between(2, most);
    if choices.chance(30) {
        size -= unit * choices.below(cluster.div_ceil(unit));
    }
    if made_by == MadeBy::QemuImg {
        size = cluster * choices.pick(&OTHERS_CLUSTERS).min(most);
    }
    let size = size.next_multiple_of(unit);
    let has_base = !able.bases.is_empty() && choices.chance(40);
    let base = has_base.then(|| {
        let longer = size + cluster * choices.between(1, 8);
        let shorter = (size / 2).next_multiple_of(unit);
        Base {
            size: Length(choices.pick(&[size, shorter, longer])),
            format: choices.pick(able.bases),
        }
    });
    let small = able.cache_sizes && choices.chance(50);
    Setup {
        size: Length(size),
        cluster: Length(cluster),
        refcount_bits: widths
            .get(choices.index(widths.len()))
            .copied()
            .unwrap_or(16),
        made_by,
        base,
        align,
        cache: [CacheSize::Default, CacheSize::Small][usize::from(small)],
        look: [Look::End, Look::EveryStep][usize::from(choices.chance(25))],
        rules: Vec::new(),
    }
}

/// The kinds of steps.
#[derive(Clone, Copy)]
enum Kind {
    Write,
    Read,
    Zeroes,
    Discard,
    Flush,
    Sync,
    Resize,
    DropCaches,
    Reopen,
    Fault,
    Lift,
    Kill,
    Cut,
}

/// What takes part in a scenario.
struct Swarm {
    kinds: Vec<(Kind, u32)>,
    /// How often a request is made again, in percent.
    retry: u64,
}

impl Swarm {
    fn new(choices: &mut Choices<'_>, able: &Capabilities) -> Self {
        let (faults, losses) = (choices.chance(75), choices.chance(35));
        let retry = choices.pick(&[100, 50, 0]);
        let all = [
            (Kind::Write, 30, true),
            (Kind::Flush, 10, true),
            (Kind::Fault, 16, faults),
            (Kind::Reopen, 7, true),
            (Kind::Read, 8, true),
            (Kind::Zeroes, 8, able.write_zeroes && choices.chance(60)),
            (
                Kind::Discard,
                8,
                able.discards.is_some() && choices.chance(60),
            ),
            (Kind::Sync, 6, !able.flush_syncs),
            (
                Kind::Resize,
                6,
                able.resizes > Resizes::None && choices.chance(40),
            ),
            (Kind::DropCaches, 5, able.drop_caches),
            (Kind::Lift, 2, faults),
            (Kind::Kill, 6, losses && able.survives_kills),
            (Kind::Cut, 6, losses && able.survives_cuts),
        ];
        let kinds = all.into_iter().filter(|(_, _, takes_part)| *takes_part);
        Self {
            kinds: kinds.map(|(kind, weight, _)| (kind, weight)).collect(),
            retry,
        }
    }
}

struct Maker<'a> {
    able: &'a Capabilities,
    setup: &'a Setup,
    align: u64,
    /// The size as it is if everything succeeds.
    size: u64,
    swarm: Swarm,
    /// Ranges that were touched.
    ranges: Vec<ByteRange>,
    /// Rules that last.
    rules: Vec<RuleName>,
}

impl Maker<'_> {
    fn step(&mut self, choices: &mut Choices<'_>) -> Step {
        let weights: Vec<u32> = self.swarm.kinds.iter().map(|(_, weight)| *weight).collect();
        let index = choices.weighted(&weights, weights.iter().sum());
        let action = self.action(self.swarm.kinds[index].0, choices);
        let is_request = matches!(action, Action::Request(_));
        Step {
            retry: is_request && choices.chance(self.swarm.retry),
            action,
        }
    }

    fn action(&mut self, kind: Kind, choices: &mut Choices<'_>) -> Action {
        Action::Request(match kind {
            Kind::Write => Op::Write {
                range: self.range(choices),
                content: Content::Stamp,
            },
            Kind::Read => Op::Read(self.range(choices)),
            Kind::Zeroes => Op::WriteZeroes(self.range(choices)),
            Kind::Discard => Op::Discard(self.range(choices)),
            Kind::Flush => Op::Flush,
            Kind::Sync => Op::Sync,
            Kind::Resize => Op::Resize(self.resize(choices)),
            Kind::DropCaches => Op::DropCaches,
            Kind::Reopen => return Action::Reopen,
            Kind::Fault => return Action::Install(self.rule(choices)),
            Kind::Lift => {
                let rule = self.rules.pop();
                return rule.map_or(Action::LiftAll, Action::Lift);
            }
            Kind::Kill => return Action::Kill(moment(choices)),
            Kind::Cut => return Action::PowerCut(cut(choices)),
        })
    }

    /// Picks a range: near the borders of clusters, near the end, and where others were before.
    fn range(&mut self, choices: &mut Choices<'_>) -> ByteRange {
        let cluster = self.setup.cluster.0;
        let unit = match self.align {
            1 if choices.chance(25) => 1,
            align => align.max(SECTOR),
        };
        let touched = choices
            .chance(45)
            .then(|| self.ranges.get(choices.index(self.ranges.len())));
        let mut start = match touched.flatten() {
            Some(range) => range.start,
            None => cluster * choices.below(self.size.div_ceil(cluster)),
        };
        if choices.chance(40) {
            start += unit * choices.below(cluster.div_ceil(unit));
        }
        let len = match choices.below(5) {
            0 => cluster,
            1 => unit,
            2 => unit * choices.between(1, cluster.div_ceil(unit)),
            3 => cluster * choices.between(2, 6),
            _ => self.size.saturating_sub(start).min(cluster * 12),
        };
        let start = start.min(self.size.saturating_sub(unit)) / self.align * self.align;
        let len = len.clamp(1, self.size - start).next_multiple_of(self.align);
        let range = ByteRange::new(start, len);
        if self.ranges.len() < 8 {
            self.ranges.push(range);
        }
        range
    }

    fn resize(&mut self, choices: &mut Choices<'_>) -> Length {
        let unit = self.align.max(SECTOR);
        let cluster = self.setup.cluster.0;
        let grown = self.size + unit * choices.between(1, 4 * cluster.div_ceil(unit));
        let shrunk = unit * choices.between(1, self.size.div_ceil(unit));
        let shrinks = self.able.resizes == Resizes::Any && choices.chance(40);
        self.size = if shrinks {
            shrunk
        } else {
            grown.min(2 * SIZE_MAX)
        };
        Length(self.size)
    }

    fn rule(&mut self, choices: &mut Choices<'_>) -> FaultRule {
        let of_base = self.setup.base.is_some() && choices.chance(10);
        let kind = match choices.below(10) {
            _ if of_base => IoType::Read,
            0..=3 => IoType::Write,
            4 | 5 => IoType::Flush,
            6 | 7 => IoType::Read,
            8 => IoType::WriteZeroes,
            _ => IoType::Discard,
        };
        let number = match choices.below(3) {
            0 => 1,
            1 => choices.between(1, 4),
            _ => choices.between(1, 16),
        };
        let when = match choices.below(10) {
            0..=7 => When::Nth(number),
            8 => When::From(number),
            _ => When::Every(number.max(2)),
        };
        let name = (!matches!(when, When::Nth(_))).then(|| {
            let name = RuleName::new(&format!("r{}", self.rules.len()));
            self.rules.push(name.clone());
            name
        });
        FaultRule {
            name,
            place: Place {
                image: ImageName::new(if of_base { BASE } else { FILE }),
                layer: Layer::File,
            },
            rule: Rule::Extended(Extended {
                iotypes: IoTypes::only(kind),
                range: None,
                when,
                effect: effect(choices, kind),
            }),
        }
    }
}

fn effect(choices: &mut Choices<'_>, kind: IoType) -> Effect {
    let errno = choices.pick(&[Errno::EIO, Errno::EIO, Errno::ENOSPC]);
    match (choices.below(5), kind) {
        (1, IoType::Write) => Effect::Torn {
            kept: choices.pick(&[Kept::Left, Kept::Right, Kept::Middle]),
            errno,
        },
        (2, IoType::Write | IoType::WriteZeroes | IoType::Discard | IoType::Flush) => {
            Effect::AppliedButFailed(errno)
        }
        (3, IoType::Write) => Effect::Partial {
            bytes: SECTOR * choices.below(16),
            errno,
        },
        // A device that is full at some cluster of the image.
        (4, IoType::Write) => Effect::Capacity {
            bytes: (4 << 10) * choices.between(1, 64),
        },
        _ => Effect::Error(errno),
    }
}

fn moment(choices: &mut Choices<'_>) -> Option<Moment> {
    choices.chance(75).then(|| Moment(choices.between(1, 24)))
}

fn cut(choices: &mut Choices<'_>) -> PowerCut {
    let lost = match choices.below(6) {
        0 => Lost::All,
        1 => Lost::Worst,
        2 => Lost::Reordered,
        3 => Lost::None,
        _ => Lost::Some(choices.below(1 << 16)),
    };
    let torn = (lost == Lost::Worst && choices.chance(30)).then(|| Torn {
        kept: choices.pick(&[Kept::Left, Kept::Right]),
        unit: blkproof_spec::power::TornUnit::Sector,
        rest: blkproof_spec::power::Rest::Old,
    });
    PowerCut {
        lost,
        torn,
        at: moment(choices),
    }
}
