//! Fault rules in the making.

use blkproof_spec::fault::{Effect, Event, Extended, InjectError, IoTypes, Rule, When};
use blkproof_spec::{
    ByteRange, Errno, FaultRule, ImageName, IoType, Layer, Millis, Place, RuleName, SectorNumber,
    Tag,
};

/// Begins a rule at `place`: `drive0.file` is below the format of drive0, `drive0` above it.
pub fn rule(place: &str) -> RuleBuilder {
    let (image, layer) = match place.strip_suffix(".file") {
        Some(image) => (image, Layer::File),
        None => (place, Layer::Format),
    };
    RuleBuilder {
        place: Place {
            image: ImageName::new(image),
            layer,
        },
    }
}

/// A rule of which the place is known. What it does is said next.
#[derive(Clone, Debug)]
#[must_use = "a rule is made by one of its calls"]
pub struct RuleBuilder {
    place: Place,
}

impl RuleBuilder {
    /// `blkdebug`'s `set-state`, in any state.
    #[must_use]
    pub fn set_state(self, event: Event, state: u32, new_state: u32) -> FaultRule {
        self.rule(Rule::SetState {
            event,
            state,
            new_state,
        })
    }

    /// `blkdebug`'s `inject-error`.
    #[must_use]
    pub fn inject_error(self, inject: InjectError) -> FaultRule {
        self.rule(Rule::InjectError(inject))
    }

    /// `blkdebug`'s `inject-error`, once, in this state.
    #[must_use]
    pub fn inject_once(self, event: Event, state: u32, errno: Errno) -> FaultRule {
        self.inject_error(InjectError {
            state,
            errno: Some(errno),
            once: true,
            ..InjectError::new(event)
        })
    }

    /// `blkdebug`'s `inject-error` on requests that touch a sector.
    #[must_use]
    pub fn inject_at(self, event: Event, sector: u64, errno: Errno) -> FaultRule {
        self.inject_error(InjectError {
            sector: Some(SectorNumber(sector)),
            errno: Some(errno),
            ..InjectError::new(event)
        })
    }

    /// A breakpoint.
    #[must_use]
    pub fn break_at(self, event: Event, tag: &str) -> FaultRule {
        let tag = Tag::new(tag);
        self.rule(Rule::Break { event, tag })
    }

    /// Requests fail.
    pub fn error(self, errno: Errno) -> ExtendedBuilder {
        self.effect(Effect::Error(errno))
    }

    /// Requests take this much virtual time.
    pub fn delay(self, millis: u64) -> ExtendedBuilder {
        self.effect(Effect::Delay(Millis(millis)))
    }

    /// Requests have any effect that needs no event.
    pub fn effect(self, effect: Effect) -> ExtendedBuilder {
        ExtendedBuilder {
            rule: Extended {
                iotypes: IoTypes::ALL_BUT_BLOCK_STATUS,
                range: None,
                when: When::Always,
                effect,
            },
            place: self.place,
        }
    }

    fn rule(self, rule: Rule) -> FaultRule {
        FaultRule {
            name: None,
            place: self.place,
            rule,
        }
    }
}

/// A rule that needs no event.
#[derive(Clone, Debug)]
#[must_use = "a rule is made by one of its calls"]
pub struct ExtendedBuilder {
    place: Place,
    rule: Extended,
}

impl ExtendedBuilder {
    /// It looks at reads only.
    pub fn on_reads(self) -> Self {
        self.on(IoTypes::only(IoType::Read))
    }

    /// It looks at writes only.
    pub fn on_writes(self) -> Self {
        self.on(IoTypes::only(IoType::Write))
    }

    /// It looks at these kinds of requests only.
    pub fn on(mut self, iotypes: IoTypes) -> Self {
        self.rule.iotypes = iotypes;
        self
    }

    /// It looks at requests that touch this range only.
    ///
    /// # Panics
    ///
    /// If the range ends above 2^64.
    pub fn within(mut self, start: u64, len: u64) -> Self {
        self.rule.range = Some(ByteRange::new(start, len));
        self
    }

    /// It acts on the n-th request that it looks at, counted from 1.
    pub fn nth(self, n: u64) -> Self {
        self.when(When::Nth(n))
    }

    /// It acts on some of the requests that it looks at.
    pub fn when(mut self, when: When) -> Self {
        self.rule.when = when;
        self
    }

    /// Gives it a name by which it can be lifted.
    #[must_use]
    pub fn named(self, name: &str) -> FaultRule {
        FaultRule {
            name: Some(RuleName::new(name)),
            ..self.into()
        }
    }
}

impl From<ExtendedBuilder> for FaultRule {
    fn from(builder: ExtendedBuilder) -> Self {
        Self {
            name: None,
            place: builder.place,
            rule: Rule::Extended(builder.rule),
        }
    }
}
