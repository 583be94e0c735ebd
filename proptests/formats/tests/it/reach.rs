//! What made-up scenarios reach: everything that a library says it can be given.

use core::cmp::Ordering;
use std::collections::BTreeSet;

use blkproof::format::generate::generate;
use blkproof::format::{Action, CacheSize, Look, MadeBy, Scenario};
use blkproof::generate::Choices;
use blkproof_spec::Format;
use blkproof_spec::fault::{Effect, Rule};
use formats::Subject;

const CASES: u64 = 6000;

fn scenarios(subject: Subject) -> impl Iterator<Item = Scenario> {
    let able = subject.library().capabilities();
    (0..CASES).map(move |case| generate(&mut Choices::new(1, case), &able, true))
}

#[test]
fn images_of_both_makers_have_every_cluster_width_base_alignment_and_cache() {
    for subject in Subject::ALL {
        let able = subject.library().capabilities();
        let (mut clusters, mut widths) = (BTreeSet::new(), BTreeSet::new());
        let (mut bases, mut aligns) = (BTreeSet::new(), BTreeSet::new());
        let (mut caches, mut looks) = (BTreeSet::new(), BTreeSet::new());
        for scenario in scenarios(subject) {
            let setup = scenario.setup;
            let others = setup.made_by == MadeBy::QemuImg;
            clusters.insert((others, setup.cluster.0));
            widths.insert((others, setup.refcount_bits));
            aligns.insert((others, setup.align));
            caches.insert(setup.cache == CacheSize::Small);
            looks.insert(setup.look == Look::EveryStep);
            if let Some(base) = setup.base {
                bases.insert((
                    others,
                    base.format == Format::Raw,
                    base.size.0.cmp(&setup.size.0),
                ));
            }
        }
        let name = subject.name();
        for others in [false, true] {
            let made = if others {
                able.refcount_bits
            } else {
                able.makes
            };
            if made.is_empty() {
                continue;
            }
            for cluster in able.clusters {
                assert!(clusters.contains(&(others, *cluster)), "{name}: {cluster}");
            }
            for width in made {
                assert!(widths.contains(&(others, *width)), "{name}: {width}");
            }
            for align in able.aligns {
                assert!(aligns.contains(&(others, *align)), "{name}: {align}");
            }
            for format in able.bases {
                for order in [Ordering::Less, Ordering::Equal, Ordering::Greater] {
                    let base = (others, *format == Format::Raw, order);
                    assert!(bases.contains(&base), "{name}: {base:?}");
                }
            }
        }
        assert_eq!(caches.len(), 1 + usize::from(able.cache_sizes), "{name}");
        assert_eq!(looks.len(), 2, "{name}");
    }
}

/// What a rule does, and to requests of which kinds.
fn faults(scenario: &Scenario) -> BTreeSet<String> {
    let installed = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Install(rule) => Some(rule),
        _ => None,
    });
    let rules = installed.chain(&scenario.setup.rules);
    let named = rules.map(|rule| match &rule.rule {
        Rule::Extended(rule) => match rule.effect {
            Effect::Error(_) => "error",
            Effect::Partial { .. } => "partial",
            Effect::Torn { .. } => "torn",
            Effect::AppliedButFailed(_) => "applied-but-failed",
            Effect::Capacity { .. } => "capacity",
            _ => "something else",
        },
        _ => "something else",
    });
    named.map(str::to_owned).collect()
}

#[test]
fn every_kind_of_step_and_of_fault_comes_about() {
    let (mut steps, mut effects) = (BTreeSet::new(), BTreeSet::new());
    for scenario in scenarios(Subject::Imago) {
        effects.extend(faults(&scenario));
        for step in &scenario.steps {
            steps.insert((step.action.keyword(), step.retry));
        }
    }
    for kind in [
        "read",
        "write",
        "write-zeroes",
        "discard",
        "flush",
        "sync",
        "resize",
    ] {
        assert!(steps.contains(&(kind, false)), "{kind}");
        assert!(steps.contains(&(kind, true)), "{kind} retry");
    }
    for kind in ["drop-caches", "reopen", "fault", "kill"] {
        assert!(steps.iter().any(|(found, _)| *found == kind), "{kind}");
    }
    let all = ["applied-but-failed", "capacity", "error", "partial", "torn"];
    assert_eq!(effects, all.map(str::to_owned).into());
}
