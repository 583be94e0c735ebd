//! The lines that say what is there before the first step.

use blkproof_spec::power::Cache;
use blkproof_spec::scenario::{CHAIN_MAX, DiskSetup, Role};
use blkproof_spec::{
    DiscardMode, Format, Geometry, ImageName, Length, Name, Property, StatedOutcome, Units,
};

use super::super::MAX_GROUP;
use super::super::args::Args;
use super::super::document::What;
use super::super::lex::{Value, lex};
use super::super::table;
use super::super::value::{print_number, range};
use super::{Parsed, Parser, Problem, fault};

/// The words that begin a line of the setup.
pub(super) const WORDS: [&str; 7] = [
    "title", "expect", "limit", "cache", "disk", "contents", "at-open",
];

/// QEMU's limit of a device's size, rounded down to sectors.
const MAX_SIZE: u64 = (i64::MAX as u64) & !511;

pub(super) fn is_setup(word: &str) -> bool {
    WORDS.contains(&word)
}

/// What may stand in a scenario once.
#[derive(Debug, Default)]
pub(super) struct Seen {
    title: bool,
    outcome: bool,
    limits: bool,
    cache: bool,
}

/// Returns the title if `line` is the line of the title: all that follows, as it stands.
pub(crate) fn title(line: &str) -> Option<Value<'_>> {
    let blank = [' ', '\t'];
    let start = line.len() - line.trim_start_matches(blank).len();
    let rest = line[start..].strip_prefix("title")?;
    if !rest.is_empty() && !rest.starts_with(blank) {
        return None;
    }
    let text = rest.trim_matches(blank);
    let leading = rest.len() - rest.trim_start_matches(blank).len();
    Some(Value {
        text,
        start: start + "title".len() + if text.is_empty() { 0 } else { leading },
    })
}

impl Parser {
    pub(super) fn title(&mut self, title: Value<'_>) -> Parsed<What> {
        once(&mut self.seen.title, title)?;
        if !self.scenario.steps.is_empty() || self.open.is_some() {
            return Err(title
                .problem("no title here")
                .help("what is set up stands before the first step"));
        }
        self.scenario.title = Some(title_text(title)?.into_boxed_str());
        Ok(What::Title)
    }

    pub(super) fn setup(&mut self, args: &mut Args<'_>) -> Parsed<What> {
        let word = args.take("a line of the setup")?;
        let what = match word.text {
            "expect" => {
                once(&mut self.seen.outcome, word)?;
                self.scenario.outcome = outcome(args)?;
                What::Outcome
            }
            "limit" => {
                once(&mut self.seen.limits, word)?;
                let units = args.required("units-per-step", |value| value.number("a number"))?;
                self.scenario.setup.limits.units_per_step = Units(units);
                What::Limits
            }
            "cache" => {
                once(&mut self.seen.cache, word)?;
                self.scenario.setup.cache = cache(args)?;
                What::Cache
            }
            "disk" => self.disk(args)?,
            "contents" => self.contents(args)?,
            _ => {
                if self.scenario.setup.rules.len() >= MAX_GROUP {
                    return Err(word.problem(format!("at most {MAX_GROUP} rules")));
                }
                let rule = fault::rule(args)?;
                args.finish()?;
                self.scenario.setup.rules.push(rule);
                What::Rule(self.scenario.setup.rules.len() - 1)
            }
        };
        args.finish()?;
        Ok(what)
    }

    fn disk(&mut self, args: &mut Args<'_>) -> Parsed<What> {
        let word = args.take("the name of a disk")?;
        let name = word.image()?;
        if name.as_str().is_empty() {
            return Err(word.problem("a name that is not empty"));
        }
        let disks = &self.scenario.setup.disks;
        if disks.iter().any(|disk| disk.name == name) {
            return Err(word.problem("a name that no other disk has"));
        }
        if disks.len() >= MAX_GROUP {
            return Err(word.problem(format!("at most {MAX_GROUP} disks")));
        }
        let size_word = args.take("a size such as 64M")?;
        let size = size(size_word)?;
        let format = args.take("`qcow2` or `raw`")?.one_of(table::FORMAT)?;
        let cluster = args.parsed("cluster", |value| cluster(value, format))?;
        let discard = args.parsed("discard", |value| value.one_of(table::DISCARD))?;
        let backing = args.parsed("backing", |value| {
            self.backing(value, format).map(|name| (value, name))
        })?;
        let role = args.parsed("role", |value| value.one_of(table::ROLE))?;
        args.finish()?;
        let cluster = cluster.unwrap_or(Geometry::DEFAULT_CLUSTER);
        fits(size_word, size, format, cluster)?;
        let role = role.unwrap_or_default();
        if let Some((value, name)) = &backing {
            self.can_back(*value, name, role)?;
        }
        self.scenario.setup.disks.push(DiskSetup {
            name,
            geometry: Geometry {
                size,
                cluster,
                format,
                discard: discard.unwrap_or(DiscardMode::Unmap),
            },
            backing: backing.map(|(_, name)| name),
            role,
            contents: Vec::new(),
        });
        Ok(What::Disk(self.scenario.setup.disks.len() - 1))
    }

    fn backing(&self, value: Value<'_>, format: Format) -> Parsed<ImageName> {
        let name = value.image()?;
        if format == Format::Raw {
            return Err(value.problem("no backing file: a raw image has none"));
        }
        let disks = &self.scenario.setup.disks;
        if !disks.iter().any(|disk| disk.name == name) {
            return Err(value
                .problem("a disk of a line above")
                .nearest(name.as_str(), disks.iter().map(|disk| disk.name.as_str())));
        }
        Ok(name)
    }

    /// Makes sure that a disk of this role can be opened with this backing file: nothing may have
    /// an image of its chain open for writing, nor may the chain be too long.
    fn can_back(&self, value: Value<'_>, name: &ImageName, role: Role) -> Parsed<()> {
        let disks = &self.scenario.setup.disks;
        let find = |name: &ImageName| disks.iter().find(|disk| disk.name == *name);
        let below = |disk: &&DiskSetup| disk.backing.as_ref().and_then(find);
        let chain = || core::iter::successors(find(name), below);
        if chain().count() >= CHAIN_MAX {
            return Err(value.problem(format!("a chain of at most {CHAIN_MAX} images")));
        }
        let open = chain().find(|disk| role != Role::Image && disk.role != Role::Image);
        match open {
            None => Ok(()),
            Some(disk) => {
                let open = format!("{} is opened as a disk; `role=image` leaves it", disk.name);
                let expected = "a backing file that nothing writes to";
                Err(value.problem(expected).help(open))
            }
        }
    }

    fn contents(&mut self, args: &mut Args<'_>) -> Parsed<What> {
        let word = args.take("the name of a disk")?;
        let name = word.image()?;
        let disks = &mut self.scenario.setup.disks;
        let Some(disk) = disks.iter().position(|disk| disk.name == name) else {
            return Err(word
                .problem("a disk of a line above")
                .nearest(name.as_str(), disks.iter().map(|disk| disk.name.as_str())));
        };
        let start = args.take("a position")?;
        let len = args.take("a length")?;
        let range = range(start, len)?;
        let size = disks[disk].geometry.size;
        if range.end() > size.0 {
            return Err(len.problem(format!("a range within the disk's {size} bytes")));
        }
        let fill = args.required("fill", Value::byte)?;
        args.finish()?;
        let contents = &mut disks[disk].contents;
        contents.push((range, fill));
        Ok(What::Contents {
            disk,
            index: contents.len() - 1,
        })
    }
}

pub(crate) fn once(seen: &mut bool, word: Value<'_>) -> Parsed<()> {
    if *seen {
        return Err(word.problem("another line: this one may stand only once"));
    }
    *seen = true;
    Ok(())
}

/// Returns the text of a title.
pub(crate) fn title_text(title: Value<'_>) -> Parsed<String> {
    if title.text.is_empty() {
        return Err(title.problem("a sentence that says what the scenario proves"));
    }
    if title.text.starts_with('"') {
        return quoted_title(title);
    }
    Ok(title.text.to_owned())
}

fn quoted_title(title: Value<'_>) -> Parsed<String> {
    let lexed = lex(title.text).map_err(|problem| shifted(problem, title.start))?;
    let word = Value {
        text: title.text,
        start: title.start,
    };
    let first = lexed.words.first().map_or(0, |first| first.text.len());
    if first != title.text.len() {
        return Err(word.skip(first).problem("the end of the line"));
    }
    let atom = super::super::lex::atom(word, "a title")?;
    match atom.rest.text {
        "" => Ok(atom.text.into_owned()),
        _ => Err(atom.rest.problem("the end of the line")),
    }
}

fn shifted(problem: Problem, by: usize) -> Problem {
    Problem {
        span: problem.span.start + by..problem.span.end + by,
        ..problem
    }
}

fn outcome(args: &mut Args<'_>) -> Parsed<StatedOutcome> {
    let word = args.take("`pass` or `fail PROPERTY`")?;
    match word.text {
        "pass" => Ok(StatedOutcome::Pass),
        "fail" => property(args.take("the property that fails")?).map(StatedOutcome::Fail),
        other => Err(word
            .problem("`pass` or `fail PROPERTY`")
            .nearest(other, ["pass", "fail"])),
    }
}

/// Reads the name of what fails: a property, or `expectation` or `subject`.
fn property(value: Value<'_>) -> Parsed<Name> {
    let properties = Property::ALL.iter().map(|property| property.name());
    let known = properties.chain(["expectation", "subject"]);
    if known.clone().any(|name| name == value.text) {
        return Ok(Name::new(value.text));
    }
    Err(value.problem("a property").nearest(value.text, known))
}

fn cache(args: &mut Args<'_>) -> Parsed<Cache> {
    let ordered = args.flag("ordered");
    let atomic = args.parsed("atomic", |value| {
        let size = value.size()?;
        if !size.0.is_power_of_two() || size.0 < 512 {
            return Err(value.problem("a power of two from 512 on"));
        }
        Ok(size)
    })?;
    Ok(Cache {
        ordered,
        atomic: atomic.unwrap_or(Cache::default().atomic),
    })
}

pub(crate) fn size(value: Value<'_>) -> Parsed<Length> {
    let size = value.size()?;
    if !size.0.is_multiple_of(512) {
        return Err(value.problem("a multiple of 512"));
    }
    if size.0 > MAX_SIZE {
        return Err(value.problem("a size below 8 EiB"));
    }
    Ok(size)
}

/// Makes sure that an image of this shape can have this size.
fn fits(word: Value<'_>, size: Length, format: Format, cluster: Length) -> Parsed<()> {
    let most = Geometry::size_max(format, cluster);
    if size <= most {
        return Ok(());
    }
    let most = print_number(most.0);
    Err(word.problem(match format {
        Format::Raw => format!("a size of at most {most}"),
        Format::Qcow2 => {
            let cluster = print_number(cluster.0);
            format!("a size of at most {most}, which is all that clusters of {cluster} can map")
        }
    }))
}

fn cluster(value: Value<'_>, format: Format) -> Parsed<Length> {
    let size = value.size()?;
    if format == Format::Raw {
        return Err(value.problem("no cluster size: a raw image has none"));
    }
    if !size.0.is_power_of_two() || size.0 < 512 || size.0 > 2 << 20 {
        return Err(value.problem("a power of two from 512 to 2M"));
    }
    Ok(size)
}
