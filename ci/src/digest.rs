//! The same seed comes to the same digest: in two runs, on one thread and on two, optimised and
//! not.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::failure::Failure;
use crate::repository;

/// Judge the same cases in several builds and on several threads: all must come out the same.
///
/// Example: `cargo run -p ci -- digest --cases 1000 --seed 7`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many cases are judged each time.
    #[arg(long, value_name = "N", default_value_t = 400)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    cases: u64,
    /// The seed that they are made up from.
    #[arg(long, value_name = "X", default_value_t = 124)]
    seed: u64,
}

/// A way to judge the cases.
struct Way {
    name: &'static str,
    build: &'static [&'static str],
    jobs: &'static str,
}

const WAYS: [Way; 3] = [
    Way {
        name: "release build, one thread",
        build: &["--release"],
        jobs: "1",
    },
    Way {
        name: "release build, two threads",
        build: &["--release"],
        jobs: "2",
    },
    Way {
        name: "debug build",
        build: &[],
        jobs: "2",
    },
];

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut first: Option<Value> = None;
    for way in WAYS {
        let summary = judge(args, &way, folder.path())?;
        println!("digest: {}: {}", way.name, summary["digest"]);
        let first = first.get_or_insert_with(|| summary.clone());
        if let Some(field) = differs(first, &summary) {
            return Err(Failure::check(format!(
                "digest: {field} is {} in the {}, and {} in the {}",
                first[&field], WAYS[0].name, summary[&field], way.name
            )));
        }
    }
    Ok(())
}

/// Judges the cases, away from the corpora; returns the summary.
fn judge(args: &Args, way: &Way, folder: &Path) -> anyhow::Result<Value> {
    let (cases, seed) = (args.cases.to_string(), args.seed.to_string());
    let run = ["run", "--json", "--cases", &cases, "--seed", &seed];
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--package", "blkproof-cli"])
        .arg("--manifest-path")
        .arg(repository().join("Cargo.toml"))
        .args(way.build)
        .arg("--")
        .args(run)
        .args(["--jobs", way.jobs])
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("digest: the {} ended with {}", way.name, output.status);
    }
    summary(&output.stdout)
}

/// The last line, which is the summary.
fn summary(out: &[u8]) -> anyhow::Result<Value> {
    let out = std::str::from_utf8(out).context("expected text")?;
    let last = out.lines().last().context("expected a summary")?;
    let summary: Value = serde_json::from_str(last).context("expected a line of JSON")?;
    if summary["type"] != "summary" {
        bail!("expected a summary, found {last}");
    }
    Ok(summary)
}

/// The first field that differs, and should not: times, threads and commands may.
fn differs(one: &Value, other: &Value) -> Option<String> {
    let may = ["seconds", "jobs", "again"];
    let fields = one.as_object().into_iter().chain(other.as_object());
    let mut names = fields.flat_map(|fields| fields.keys());
    names
        .find(|name| !may.contains(&name.as_str()) && one[*name] != other[*name])
        .cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{differs, summary};

    #[test]
    fn the_summary_is_the_last_line() {
        let lines = b"{\"type\":\"failure\"}\n{\"type\":\"summary\",\"digest\":\"ab\"}\n";
        assert_eq!(summary(lines).unwrap()["digest"], "ab");
        assert!(summary(b"").is_err());
        assert!(summary(b"{\"type\":\"failure\"}\n").is_err());
        assert!(summary(b"not JSON\n").is_err());
    }

    #[test]
    fn what_differs_is_named_unless_it_may() {
        let one = json!({"digest": "ab", "steps": 1, "seconds": 1.0, "jobs": 1});
        let same = json!({"digest": "ab", "steps": 1, "seconds": 2.0, "jobs": 2});
        assert_eq!(differs(&one, &same), None);
        let steps = json!({"digest": "ab", "steps": 2});
        assert_eq!(differs(&one, &steps).as_deref(), Some("steps"));
        let more = json!({"digest": "ab", "steps": 1, "failed": 0});
        assert_eq!(differs(&one, &more).as_deref(), Some("failed"));
    }
}
