//! Who needs whom: which steps work on what an earlier step brought about.
//!
//! Taking a step out takes out what cannot be done without it (the users of its bitmap, the
//! commands to its job, the settling of its request), and mends what can: an image that stood on a
//! removed one stands on what that one stood on, a merge goes on with the sources that are left. A
//! name that nobody brought about ties nothing, so steps that are illegal on purpose stay.

mod step;

use std::collections::BTreeMap;

use blkproof_spec::fault::Rule;
use blkproof_spec::{
    At, BitmapName, FaultRule, ImageName, JobName, Length, Reply, RequestId, RuleName, Scenario,
    Tag,
};

/// A part of a scenario that can be taken out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// A disk of the setup.
    Disk(usize),
    /// A fault rule of the setup.
    Rule(usize),
    /// A step.
    Step(usize),
    /// An action of a transaction: the step's index and its own.
    Action(usize, usize),
}

/// A part, and which earlier ones it has to do with (as indices of nodes).
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) part: Part,
    /// What it cannot be without.
    pub(crate) needs: Vec<usize>,
    /// For merges: who made each source. It cannot be without all of them.
    pub(crate) sources: Vec<Option<usize>>,
    /// For images: the chain below, the nearest first, each with who made it.
    pub(crate) chain: Vec<(usize, ImageName)>,
    /// For images: their size, also where they take it from their backing file.
    pub(crate) size: Option<Length>,
    /// What gave the chain below its contents.
    pub(crate) builds_on: Vec<usize>,
}

/// The parts of a scenario in their order, with what ties them.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) nodes: Vec<Node>,
    /// The node of each step.
    steps: Vec<usize>,
}

/// What stands when a step comes.
#[derive(Debug, Default)]
struct Known<'a> {
    images: BTreeMap<&'a ImageName, Image<'a>>,
    bitmaps: BTreeMap<(&'a ImageName, &'a BitmapName), usize>,
    jobs: BTreeMap<JobName, usize>,
    requests: BTreeMap<&'a RequestId, usize>,
    rules: BTreeMap<&'a RuleName, usize>,
    tags: BTreeMap<&'a Tag, usize>,
}

#[derive(Debug)]
struct Image<'a> {
    node: usize,
    backing: Option<&'a ImageName>,
    size: Option<Length>,
    /// The backups that wrote it.
    writers: Vec<usize>,
}

/// How long a chain is followed.
const CHAIN_MAX: usize = 256;

impl Links {
    /// Returns what ties the parts of a scenario. Where the answers of the steps are known, what
    /// was refused brought nothing about.
    pub(crate) fn of(scenario: &Scenario, replies: &[Reply]) -> Self {
        let mut maker = Maker::default();
        for (index, disk) in scenario.setup.disks.iter().enumerate() {
            let node = maker.node(Part::Disk(index));
            maker.stand_on(node, disk.backing.as_ref());
            maker.image(node, &disk.name, disk.backing.as_ref());
            maker.size(node, &disk.name, Some(disk.geometry.size));
        }
        for (index, rule) in scenario.setup.rules.iter().enumerate() {
            let node = maker.node(Part::Rule(index));
            maker.rule(node, rule);
        }
        let mut steps = Vec::with_capacity(scenario.steps.len());
        for (index, step) in scenario.steps.iter().enumerate() {
            let node = maker.node(Part::Step(index));
            steps.push(node);
            maker.refused = matches!(replies.get(index), Some(Reply::Refused(_)));
            maker.step(node, index, &step.action);
        }
        Self {
            nodes: maker.nodes,
            steps,
        }
    }

    /// Returns the node of a step.
    pub(crate) fn step(&self, index: usize) -> Option<usize> {
        self.steps.get(index).copied()
    }

    /// Marks what cannot be without what is marked already.
    pub(crate) fn close(&self, dropped: &mut [bool]) {
        for (index, node) in self.nodes.iter().enumerate() {
            let lost = |source: &Option<usize>| source.is_some_and(|made| dropped[made]);
            let sourceless = !node.sources.is_empty() && node.sources.iter().all(lost);
            if sourceless || node.needs.iter().any(|need| dropped[*need]) {
                dropped[index] = true;
            }
        }
    }

    /// Marks everything that the marked nodes need, and, where `all`, also what they build on.
    pub(crate) fn reach(&self, marked: &mut [bool], all: bool) {
        for index in (0..self.nodes.len()).rev() {
            if !marked[index] {
                continue;
            }
            let node = &self.nodes[index];
            for need in &node.needs {
                marked[*need] = true;
            }
            if all {
                let soft = node.builds_on.iter().copied();
                let soft = soft.chain(node.sources.iter().flatten().copied());
                for made in soft.chain(node.chain.iter().map(|(made, _)| *made)) {
                    marked[made] = true;
                }
            }
        }
    }
}

/// Makes the nodes, in the order of the scenario.
#[derive(Debug, Default)]
struct Maker<'a> {
    nodes: Vec<Node>,
    known: Known<'a>,
    /// Whether the step at hand was refused.
    refused: bool,
}

impl<'a> Maker<'a> {
    fn node(&mut self, part: Part) -> usize {
        self.nodes.push(Node {
            part,
            needs: Vec::new(),
            sources: Vec::new(),
            chain: Vec::new(),
            size: None,
            builds_on: Vec::new(),
        });
        self.nodes.len() - 1
    }

    fn need(&mut self, node: usize, made: Option<usize>) {
        self.nodes[node].needs.extend(made);
    }

    fn need_image(&mut self, node: usize, name: &ImageName) {
        let made = self.known.images.get(name).map(|image| image.node);
        self.need(node, made);
    }

    fn need_bitmap(&mut self, node: usize, at: &'a At, name: &'a BitmapName) {
        let made = self.known.bitmaps.get(&(at.name(), name)).copied();
        self.need(node, made);
    }

    fn need_job(&mut self, node: usize, job: &JobName) {
        let made = self.known.jobs.get(job).copied();
        self.need(node, made);
    }

    /// Takes in an image that this node makes.
    fn image(&mut self, node: usize, name: &'a ImageName, backing: Option<&'a ImageName>) {
        let image = Image {
            node,
            backing,
            size: None,
            writers: Vec::new(),
        };
        self.known.images.insert(name, image);
    }

    fn size(&mut self, node: usize, name: &ImageName, size: Option<Length>) {
        self.nodes[node].size = size;
        if let Some(image) = self.known.images.get_mut(name) {
            image.size = size;
        }
    }

    /// Lays down the chain that a node's image stands on.
    fn stand_on(&mut self, node: usize, backing: Option<&'a ImageName>) {
        let chain: Vec<_> = self.chain(backing).collect();
        let made = chain
            .iter()
            .map(|(name, image)| (image.node, (*name).clone()));
        let made: Vec<_> = made.collect();
        let writers = chain.iter().flat_map(|(_, image)| image.writers.clone());
        let writers: Vec<_> = writers.collect();
        self.nodes[node].builds_on.extend(writers);
        self.nodes[node].chain = made;
    }

    /// Follows a chain from this image down.
    fn chain(
        &self,
        top: Option<&'a ImageName>,
    ) -> impl Iterator<Item = (&'a ImageName, &Image<'a>)> {
        let mut next = top;
        let steps = core::iter::from_fn(move || {
            let name = next?;
            let image = self.known.images.get(name)?;
            next = image.backing;
            Some((name, image))
        });
        steps.take(CHAIN_MAX)
    }

    fn rule(&mut self, node: usize, rule: &'a FaultRule) {
        self.need_image(node, &rule.place.image);
        if let Some(name) = &rule.name {
            self.known.rules.insert(name, node);
        }
        if let Rule::Break { tag, .. } = &rule.rule {
            self.known.tags.insert(tag, node);
        }
    }
}
