//! The libraries by name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use blkproof::format::{
    Action, Capabilities, Judge, Library, MadeBy, Outcome, Scenario, Supervised, known, text,
};
use blkproof::known::Known;
use blkproof_engine::ImageInspector;
use blkproof_spec::Length;

use crate::{Imago, Own, Qcow2Rs, QemuImg};

/// A library that is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Subject {
    /// The one of this repository.
    #[value(name = "blkproof-qcow2")]
    Own,
    /// imago.
    Imago,
    /// qcow2-rs.
    #[value(name = "qcow2-rs")]
    Qcow2Rs,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Own, Self::Imago, Self::Qcow2Rs];

    /// Returns the name of its crate.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "blkproof-qcow2",
            Self::Imago => "imago",
            Self::Qcow2Rs => "qcow2-rs",
        }
    }

    /// Makes the library.
    #[must_use]
    pub fn library(self) -> Box<dyn Library> {
        match self {
            Self::Own => Box::new(Own::default()),
            Self::Imago => Box::new(Imago),
            Self::Qcow2Rs => Box::new(Qcow2Rs),
        }
    }

    /// Returns what a campaign asks of it that looks behind what is known.
    ///
    /// What is known of qcow2-rs about bases and narrow reference counts shows in nearly every
    /// scenario that has them.
    #[must_use]
    pub fn behind_known(self) -> Capabilities {
        let mut able = self.library().capabilities();
        if self == Self::Qcow2Rs {
            able.bases = &[];
            able.refcount_bits = &[16, 8, 32, 64];
        }
        able
    }

    /// Returns a scenario with an image that it can be given to look behind what is known.
    #[must_use]
    pub fn fitted(self, scenario: &Scenario) -> Scenario {
        let able = self.behind_known();
        let mut fitted = scenario.clone();
        let setup = &mut fitted.setup;
        if !able.aligns.contains(&setup.align) {
            setup.align = able.aligns.first().copied().unwrap_or(1);
        }
        if able.makes.is_empty() {
            setup.made_by = MadeBy::QemuImg;
        }
        if !able.clusters.contains(&setup.cluster.0) {
            let larger = able.clusters.iter().filter(|size| **size > setup.cluster.0);
            let nearest = larger.min().or(able.clusters.iter().max());
            setup.cluster = Length(nearest.copied().unwrap_or(setup.cluster.0));
        }
        if setup
            .base
            .is_some_and(|base| !able.bases.contains(&base.format))
        {
            setup.base = None;
        }
        if !able.refcount_bits.contains(&setup.refcount_bits) {
            setup.refcount_bits = 16;
        }
        // What it does not promise to survive does not happen to it.
        fitted.steps.retain(|step| match step.action {
            Action::Kill(_) => able.survives_kills,
            Action::PowerCut(_) => able.survives_cuts,
            _ => true,
        });
        fitted
    }

    /// Returns the scenarios that show what it is known to do wrong, in order of their names.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, or is no scenario.
    pub fn known(self) -> anyhow::Result<Vec<(PathBuf, Scenario)>> {
        scenarios(&corpora().join("third-party").join(self.name()))
    }

    /// Returns the list of what it is known to do wrong.
    ///
    /// # Errors
    ///
    /// Where the list cannot be read, or a line of it names nothing.
    pub fn masks(self) -> anyhow::Result<Known> {
        let path = corpora().join("third-party").join(self.name());
        let path = path.join("known.txt");
        if !path.is_file() {
            return Ok(Known::default());
        }
        let shown = path.display();
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {shown}"))?;
        known(&text).with_context(|| format!("{shown} is no list of known findings"))
    }
}

/// Returns a judge on a thread of its own, behind what is `known`, that gives each scenario so
/// long, and writes down what is under way if it is to keep a `journal`.
pub fn supervised<F>(make: F, known: Known, limit: Duration, journal: Option<&Path>) -> Supervised
where
    F: Fn() -> Box<dyn Library> + Send + Sync + 'static,
{
    let journal = journal.map(Path::to_owned);
    Supervised::new(limit, move |judge| {
        let mut bench = Bench::new(make()).masking(known.clone());
        let with_all = bench.judge();
        judge(match &journal {
            Some(path) => with_all.journaling(path),
            None => with_all,
        });
    })
}

/// A library with all that judges it.
#[derive(Debug)]
pub struct Bench {
    library: Box<dyn Library>,
    inspector: ImageInspector,
    qemu: Option<QemuImg>,
    known: Known,
}

impl Bench {
    /// Sets a library up to be judged.
    #[must_use]
    pub fn new(library: Box<dyn Library>) -> Self {
        Self {
            library,
            inspector: ImageInspector::new(),
            qemu: QemuImg::find(),
            known: Known::default(),
        }
    }

    /// Passes over known findings.
    #[must_use]
    pub fn masking(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    /// Tells whether there is somebody else who makes images.
    #[must_use]
    pub fn has_qemu(&self) -> bool {
        self.qemu.is_some()
    }

    /// Returns a judge, for many scenarios.
    pub fn judge(&mut self) -> Judge<'_> {
        let judge = Judge::new(&mut *self.library)
            .inspected_by(&mut self.inspector)
            .masking(self.known.clone());
        match &mut self.qemu {
            Some(qemu) => judge.with_maker(qemu),
            None => judge,
        }
    }

    /// Runs one scenario.
    pub fn run(&mut self, scenario: &Scenario) -> Outcome {
        self.judge().run(scenario)
    }
}

/// Returns the folder of the corpora.
#[must_use]
pub fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpora")
}

/// Reads the scenarios of a folder, in order of their names; none where there is no folder.
///
/// # Errors
///
/// Where a file cannot be read, or is no scenario.
pub fn scenarios(folder: &Path) -> anyhow::Result<Vec<(PathBuf, Scenario)>> {
    let mut paths = Vec::new();
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder).context("cannot list a folder of scenarios")? {
            paths.push(entry?.path());
        }
    }
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "format")
    });
    paths.sort();
    let read = |path: PathBuf| {
        let scenario = scenario(&path)?;
        Ok((path, scenario))
    };
    paths.into_iter().map(read).collect()
}

/// Reads a scenario.
///
/// # Errors
///
/// Where the file cannot be read, or is no scenario: with the lines that are wrong.
pub fn scenario(path: &Path) -> anyhow::Result<Scenario> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    text::parse(&text).map_err(|errors| {
        let shown = errors.render(&path.display().to_string(), &text);
        anyhow::anyhow!("{}", shown.trim_end())
    })
}
