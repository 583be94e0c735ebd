//! What the runner does with a store, whatever its devices are made of.

use blkproof_device::{FaultStore, IoResult, Media, RuleCount, Store, TraceEntry, Version};
use blkproof_spec::fault::Firing;
use blkproof_spec::power::{Cache, PowerCut};
use blkproof_spec::{ByteRange, FaultRule, ImageName, Millis, Place, RuleName, Tag};

use crate::inspect::Images;

pub(super) trait World: Images {
    fn images(&self) -> &dyn Images;
    fn handle(&self) -> Box<dyn Store>;
    fn announce(&self, place: &Place);
    fn install(&self, rule: &FaultRule);
    fn lift(&self, name: &RuleName) -> bool;
    fn lift_all(&self);
    fn forget_waits(&self);
    fn resume(&self, tag: &Tag) -> bool;
    fn tick(&self, span: Millis);
    fn act_for(&self, actor: &str);
    fn set_quiet(&self, quiet: bool);
    fn allow(&self, work: u64, renewals: u64);
    fn suspended(&self, tags: &mut Vec<Tag>);
    fn drain_ledger(&self, firings: &mut Vec<Firing>);
    fn rule_counts(&self) -> Vec<RuleCount>;
    /// Returns the version of the device's contents, if there is one.
    fn version(&self, name: &ImageName) -> Option<Version>;
    fn set_caching(&self, caching: bool);
    fn set_recording(&self, recording: bool);
    fn operations(&self) -> u64;
    fn strike_at(&self, operation: Option<u64>);
    fn is_off(&self) -> bool;
    fn kill(&self);
    fn cut_power(&self, cut: &PowerCut, cache: Cache) -> IoResult<()>;
    fn losses(&self, cut: &PowerCut, cache: Cache) -> Vec<(ImageName, ByteRange)>;
    /// Returns what is pending of an image.
    fn undurable(&self, name: &ImageName) -> Vec<ByteRange>;
    fn set_tracing(&self, tracing: bool);
    fn drain_trace(&self, entries: &mut Vec<TraceEntry>);
}

impl<M: Media> World for FaultStore<M> {
    fn images(&self) -> &dyn Images {
        self
    }

    fn handle(&self) -> Box<dyn Store> {
        self.subject_handle()
    }

    fn announce(&self, place: &Place) {
        Self::announce(self, place);
    }

    fn install(&self, rule: &FaultRule) {
        Self::install(self, rule);
    }

    fn lift(&self, name: &RuleName) -> bool {
        Self::lift(self, name)
    }

    fn lift_all(&self) {
        Self::lift_all(self);
    }

    fn forget_waits(&self) {
        Self::forget_waits(self);
    }

    fn resume(&self, tag: &Tag) -> bool {
        Self::resume(self, tag)
    }

    fn tick(&self, span: Millis) {
        Self::tick(self, span);
    }

    fn act_for(&self, actor: &str) {
        Self::act_for(self, actor);
    }

    fn set_quiet(&self, quiet: bool) {
        Self::set_quiet(self, quiet);
    }

    fn allow(&self, work: u64, renewals: u64) {
        Self::allow(self, work, renewals);
    }

    fn suspended(&self, tags: &mut Vec<Tag>) {
        Self::suspended(self, tags);
    }

    fn drain_ledger(&self, firings: &mut Vec<Firing>) {
        Self::drain_ledger(self, firings);
    }

    fn rule_counts(&self) -> Vec<RuleCount> {
        Self::rule_counts(self)
    }

    fn version(&self, name: &ImageName) -> Option<Version> {
        Self::version(self, name).ok()
    }

    fn set_caching(&self, caching: bool) {
        Self::set_caching(self, caching);
    }

    fn set_recording(&self, recording: bool) {
        Self::set_recording(self, recording);
    }

    fn operations(&self) -> u64 {
        Self::operations(self)
    }

    fn strike_at(&self, operation: Option<u64>) {
        Self::strike_at(self, operation);
    }

    fn is_off(&self) -> bool {
        Self::is_off(self)
    }

    fn kill(&self) {
        Self::kill(self);
    }

    fn cut_power(&self, cut: &PowerCut, cache: Cache) -> IoResult<()> {
        Self::cut_power(self, cut, cache)
    }

    fn losses(&self, cut: &PowerCut, cache: Cache) -> Vec<(ImageName, ByteRange)> {
        Self::losses(self, cut, cache)
    }

    fn undurable(&self, name: &ImageName) -> Vec<ByteRange> {
        Self::undurable(self, name)
    }

    fn set_tracing(&self, tracing: bool) {
        Self::set_tracing(self, tracing);
    }

    fn drain_trace(&self, entries: &mut Vec<TraceEntry>) {
        Self::drain_trace(self, entries);
    }
}
