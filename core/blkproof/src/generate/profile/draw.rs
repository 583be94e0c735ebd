//! What a scenario draws for itself of what a profile says.

use super::Profile;
use crate::generate::choices::Choices;
use crate::generate::kind::Kind;

/// What a percentage is drawn from, and a weight. The simplest comes first.
const PERCENTS: [u64; 5] = [0, 10, 50, 90, 100];
const WEIGHTS: [u32; 6] = [0, 0, 1, 3, 10, 30];

/// Of a hundred scenarios, in how many power is never lost: in the others all is kept account of
/// that may be lost, which takes its time.
const POWERED: u64 = 60;

impl Profile {
    /// Returns what a scenario makes of the profile, if it draws anything for itself. The numbers
    /// of steps, disks and clusters are drawn anyway, and huge disks stay as rare as they are.
    pub(in crate::generate) fn draw(&self, choices: &mut Choices<'_>) -> Option<Self> {
        if self.drawn == 0 {
            return None;
        }
        let mut out = self.clone();
        for percent in [
            &mut out.raw,
            &mut out.backed,
            &mut out.kinds,
            &mut out.at_open,
            &mut out.lasting,
            &mut out.edges,
            &mut out.silent,
        ] {
            if choices.chance(self.drawn) {
                *percent = choices.pick(&PERCENTS);
            }
        }
        for weight in &mut out.weights {
            if choices.chance(self.drawn) {
                *weight = choices.pick(&WEIGHTS);
            }
        }
        if choices.chance(POWERED) {
            for kind in [Kind::Kill, Kind::PowerCut] {
                out.weights[kind as usize] = 0;
            }
        }
        if out.weights.iter().all(|weight| *weight == 0) {
            out.weights = self.weights;
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;
    use crate::generate::choices::Choices;
    use crate::generate::kind::{KINDS, Kind};

    #[test]
    fn only_what_is_to_be_drawn_is() {
        for profile in Profile::built_in() {
            assert_eq!(
                profile.draw(&mut Choices::new(1, 1)),
                None,
                "{}",
                profile.name
            );
        }
        let drawn = |number| Profile::wild().draw(&mut Choices::new(1, number)).unwrap();
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert_eq!(drawn(1).steps, Profile::wild().steps);
    }

    #[test]
    fn every_kind_is_left_out_and_much_in_favour_at_times() {
        let (mut without, mut most) = ([0; KINDS], [0; KINDS]);
        for number in 0..1000 {
            let drawn = Profile::wild().draw(&mut Choices::new(5, number)).unwrap();
            for kind in Kind::ALL.iter().copied() {
                without[kind as usize] += u32::from(drawn.weight(kind) == 0);
                most[kind as usize] += u32::from(drawn.weight(kind) >= 30);
            }
        }
        for kind in Kind::ALL.iter().copied() {
            let (without, most) = (without[kind as usize], most[kind as usize]);
            assert!(
                without > 100 && most > 20,
                "{}: {without}, {most}",
                kind.name()
            );
        }
    }
}
