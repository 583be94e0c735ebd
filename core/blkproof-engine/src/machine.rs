//! The engine's state, and what all of its commands have in common.
//!
//! Nothing runs by itself. A command that needs a disk to be quiet drains it first: requests in
//! flight are carried out to their end, or the command is refused.

use std::collections::BTreeMap;

use blkproof_device::Store;
use blkproof_spec::{
    Format, ImageName, JobEnd, JobEvent, JobName, JobState, Limits, Refusal, Units,
};

use crate::bugs::Bugs;
use crate::chunk::Buffers;
use crate::copier::Ends;
use crate::image::Image;
use crate::job::{Job, JobSerial};
use crate::node::Nodes;
use crate::request::Request;

/// The engine's state.
#[derive(Debug)]
pub(crate) struct Machine {
    /// The seeded bugs that are on.
    pub(crate) bugs: Bugs,
    pub(crate) store: Option<Box<dyn Store>>,
    /// The disks of the setup, in order, whether they are open or not.
    pub(crate) disks: Vec<ImageName>,
    /// The formats of images that this engine made or was told of.
    pub(crate) formats: BTreeMap<ImageName, Format>,
    pub(crate) nodes: Nodes,
    /// In order of creation.
    pub(crate) jobs: Vec<Job>,
    /// Requests in flight, in order of submission.
    pub(crate) requests: Vec<Request>,
    pub(crate) events: Vec<JobEvent>,
    /// The jobs that ended during the command, with how they did.
    pub(crate) ended: Vec<(JobSerial, JobEnd)>,
    /// Virtual time in milliseconds.
    pub(crate) now: u64,
    pub(crate) units_max: Units,
    pub(crate) buffers: Buffers,
    /// What a guest writes, while it is written.
    pub(crate) scratch: Vec<u8>,
    /// An image that nobody has open, opened to be looked at.
    pub(crate) peeked: Option<Image>,
    pub(crate) requests_made: u32,
    pub(crate) jobs_made: u32,
    pub(crate) groups_made: u32,
}

impl Machine {
    pub(crate) fn new(bugs: Bugs) -> Self {
        Self {
            bugs,
            store: None,
            disks: Vec::new(),
            formats: BTreeMap::new(),
            nodes: Nodes::default(),
            jobs: Vec::new(),
            requests: Vec::new(),
            events: Vec::new(),
            ended: Vec::new(),
            now: 0,
            units_max: Limits::default().units_per_step,
            buffers: Buffers::default(),
            scratch: Vec::new(),
            peeked: None,
            requests_made: 0,
            jobs_made: 0,
            groups_made: 0,
        }
    }

    /// Returns the store; nothing is done before there is one.
    pub(crate) fn store(&mut self) -> &mut dyn Store {
        let store = self.store.as_deref_mut();
        store.expect("commands come to an engine that is open")
    }

    pub(crate) fn job_index(&self, serial: JobSerial) -> Option<usize> {
        self.jobs.iter().position(|job| job.serial == serial)
    }

    pub(crate) fn job_named(&self, name: &JobName) -> Result<usize, Refusal> {
        let index = self.jobs.iter().position(|job| job.name == *name);
        index.ok_or(Refusal::NoSuchJob)
    }

    /// Returns a job that has not ended and what its copier works with.
    pub(crate) fn at_work(&mut self, index: usize) -> (&mut Job, Ends<'_>) {
        let job = &mut self.jobs[index];
        let (source, target) = self.nodes.pair(job.source, job.target);
        let ends = Ends {
            source,
            target,
            buffers: &mut self.buffers,
            store: self
                .store
                .as_deref()
                .expect("jobs belong to an engine that is open"),
            now: self.now,
        };
        (job, ends)
    }

    /// Lets a job enter a state, and tells so.
    pub(crate) fn enter(&mut self, index: usize, state: JobState) {
        let job = &mut self.jobs[index];
        job.state = state;
        self.events.push(JobEvent::Status {
            job: job.name.clone(),
            state,
        });
    }

    /// Lets virtual time pass.
    pub(crate) fn tick(&mut self, span: u64) {
        self.now = self.now.saturating_add(span);
        self.go_on();
    }
}
