//! What hunts for bugs came to, and how two of them compare.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// How many cases each campaign took for each bug; none where the bug got away.
#[derive(Debug)]
pub(super) struct Hunts(Vec<(String, Vec<Option<u64>>)>);

impl Hunts {
    /// Reads the records of `blkproof bugs --json`.
    pub(super) fn read(output: &[u8]) -> anyhow::Result<Self> {
        let text = std::str::from_utf8(output).context("the records are no text")?;
        let mut hunts = Vec::new();
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).context("a line is no record")?;
            if record["type"] != "bug" {
                continue;
            }
            let name = record["name"].as_str().context("a bug has a name")?;
            let cases = record["cases"].as_array().context("a bug took cases")?;
            let cases = cases.iter().map(Value::as_u64).collect();
            hunts.push((name.to_owned(), cases));
        }
        if hunts.is_empty() {
            bail!("biases: no bug was hunted");
        }
        Ok(Self(hunts))
    }

    /// The geometric mean of cases over all campaigns; one that did not end counts as `most`.
    fn mean(&self, most: u64) -> f64 {
        let all = self.0.iter().flat_map(|(_, cases)| cases);
        let logarithms: Vec<f64> = all
            .map(|cases| number(cases.unwrap_or(most)).ln())
            .collect();
        let count = number(logarithms.len().max(1) as u64);
        (logarithms.iter().sum::<f64>() / count).exp()
    }

    fn got_away(&self) -> usize {
        let all = self.0.iter().flat_map(|(_, cases)| cases);
        all.filter(|cases| cases.is_none()).count()
    }

    /// A row of the table, beside `all`, the hunts with every bias.
    pub(super) fn row(&self, name: &str, all: &Self, most: u64) -> String {
        let mean = self.mean(most);
        let ratio = mean / all.mean(most);
        let away = self.got_away();
        let (low, high) = self.interval(all, most);
        format!("| {name} | {mean:.1} | {ratio:.2} | {low:.2} to {high:.2} | {away} |")
    }

    /// Between what the ratio to `all` lies with 95 % of certainty, if hunts for the same bug by
    /// campaigns of the same number are pairs that have nothing to do with other pairs.
    fn interval(&self, all: &Self, most: u64) -> (f64, f64) {
        let one = |cases: &Option<u64>| number(cases.unwrap_or(most)).ln();
        let pairs = self.0.iter().zip(&all.0);
        let differences: Vec<f64> = pairs
            .flat_map(|((_, cases), (_, with))| cases.iter().zip(with))
            .map(|(cases, with)| one(cases) - one(with))
            .collect();
        let count = number(differences.len().max(1) as u64);
        let mean = differences.iter().sum::<f64>() / count;
        let spread = differences
            .iter()
            .map(|difference| (difference - mean).powi(2));
        let variance = spread.sum::<f64>() / (count - 1.0).max(1.0);
        let half = 1.96 * (variance / count).sqrt();
        ((mean - half).exp(), (mean + half).exp())
    }

    /// A line for each bug whose catches in so many cases differ from those among `all` by more
    /// than three standard errors, with how many times as often the bias catches it.
    pub(super) fn seldom(&self, all: &Self, most: u64) -> Vec<String> {
        let pairs = self.0.iter().zip(&all.0);
        let told = pairs.filter_map(|((name, cases), (_, with))| {
            let (times, error) = rates(with, cases, most);
            let differs = times.ln().abs() > 3.0 * error;
            differs.then(|| format!("  {name}: caught {times:.1} times as often with it"))
        });
        told.collect()
    }

    /// A line for each bug that took another number of cases than among `all`: how many with the
    /// bias and without it, in the middle, and how many times as many.
    pub(super) fn each(&self, all: &Self) -> String {
        let mut lines = String::new();
        for ((name, cases), (_, with)) in self.0.iter().zip(&all.0) {
            let (with, without) = (median(with), median(cases));
            if with == without {
                continue;
            }
            let told = |cases: Option<u64>| cases.map_or("got away".to_owned(), |n| n.to_string());
            let ratio = match (with, without) {
                (Some(with), Some(without)) => times(without, with),
                _ => String::new(),
            };
            let line = format!(
                "  {name:<28}{:>9}{:>9}{ratio:>9}",
                told(with),
                told(without)
            );
            let _ = writeln!(lines, "{}", line.trim_end());
        }
        lines
    }
}

/// How many times as often a bug is caught in a case by campaigns that took these cases `with` a
/// bias as by those `without` it, and the standard error of the logarithm of that. Catches are rare
/// and many cases have none, so each side has half a catch more than it was seen to have.
fn rates(with: &[Option<u64>], without: &[Option<u64>], most: u64) -> (f64, f64) {
    let side = |cases: &[Option<u64>]| {
        let catches = number(cases.iter().flatten().count() as u64) + 0.5;
        let judged: u64 = cases.iter().map(|cases| cases.unwrap_or(most)).sum();
        (catches, number(judged.max(1)))
    };
    let ((with, in_with), (without, in_without)) = (side(with), side(without));
    let times = (with / in_with) / (without / in_without);
    (times, (1.0 / with + 1.0 / without).sqrt())
}

fn number(cases: u64) -> f64 {
    f64::from(u32::try_from(cases).unwrap_or(u32::MAX))
}

fn times(of: u64, to: u64) -> String {
    format!("{:.1}x", number(of) / number(to))
}

/// The number in the middle; none where most campaigns did not end.
fn median(cases: &[Option<u64>]) -> Option<u64> {
    let mut cases: Vec<u64> = cases
        .iter()
        .map(|cases| cases.unwrap_or(u64::MAX))
        .collect();
    cases.sort_unstable();
    let middle = cases.get(cases.len() / 2).copied();
    middle.filter(|cases| *cases != u64::MAX)
}

/// The head of the table.
pub(super) fn head() -> &'static str {
    "| changed | geometric mean of cases | ratio | certain to 95 % | got away |\n\
     | --- | ---: | ---: | --- | ---: |"
}

#[cfg(test)]
mod tests {
    use super::Hunts;

    fn hunts(text: &str) -> Hunts {
        Hunts::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn hunts_are_compared_by_their_mean_and_one_by_one() {
        let all = hunts(
            "{\"type\":\"bug\",\"name\":\"a\",\"cases\":[1,10,100]}\n\
             {\"type\":\"bug\",\"name\":\"b\",\"cases\":[10,10,10]}\n",
        );
        let without = hunts(
            "{\"type\":\"bug\",\"name\":\"a\",\"cases\":[100,100,100]}\n\
             {\"type\":\"other\"}\n\
             {\"type\":\"bug\",\"name\":\"b\",\"cases\":[10,null,null]}\n",
        );
        assert_eq!(
            all.row("nothing", &all, 1000),
            "| nothing | 10.0 | 1.00 | 1.00 to 1.00 | 0 |"
        );
        // The logarithms differ by 2, 1, 0, 0, 2 and 2 times that of ten: a mean of 7/6 with a
        // standard deviation of 0.983, of which 1.96 / sqrt(6) parts are 0.787.
        assert_eq!(
            without.row("x", &all, 1000),
            "| x | 146.8 | 14.68 | 2.40 to 89.82 | 2 |"
        );
        let each = without.each(&all);
        assert_eq!(
            each,
            "  a                                  10      100    10.0x\n\
             \x20 b                                  10 got away\n"
        );
        assert_eq!(all.each(&all), "");
    }

    #[test]
    fn bugs_that_a_bias_finds_far_more_often_are_named() {
        let record = |name: &str, cases: &str| {
            format!("{{\"type\":\"bug\",\"name\":\"{name}\",\"cases\":[{cases}]}}\n")
        };
        let ten = ["10"; 8].join(",");
        let all = hunts(&(record("a", &ten) + &record("b", &ten)));
        let away = ["null"; 8].join(",");
        let twice = ["20"; 8].join(",");
        let without = hunts(&(record("a", &away) + &record("b", &twice)));
        // 8.5 catches in 80 cases, and 0.5 in 3,200.
        assert_eq!(
            without.seldom(&all, 400),
            ["  a: caught 680.0 times as often with it"]
        );
        // Half as often by eight campaigns may be chance, and so is no difference.
        assert!(all.seldom(&all, 400).is_empty());
    }

    #[test]
    fn what_is_no_hunt_is_refused() {
        for text in [
            "",
            "{\"type\":\"other\"}",
            "no record",
            "{\"type\":\"bug\"}",
        ] {
            assert!(Hunts::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
