//! What the biases of the profiles are worth: the seeded bugs are hunted with all of them, and with
//! each of them off in turn.
//!
//! A bias stands in a profile because it was seen to find bugs sooner. Generator and engine change,
//! so that has to be seen again from time to time: what this prints is the table of
//! `core/blkproof/profiles/README.md`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use hunts::Hunts;

use crate::failure::Failure;
use crate::repository;

mod hunts;

/// Hunt the seeded bugs with all biases of the profiles, and with each of them off.
///
/// Prints how many cases the bugs take, as a table for `core/blkproof/profiles/README.md`, with the
/// bugs that are caught much less often without a bias; four minutes for each. Example:
/// `cargo run -p ci -- biases --only strike`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Switch off this bias and no other; may be given several times.
    #[arg(long, value_name = "KEY")]
    only: Vec<String>,
    /// The seed of the first campaign for each bug.
    #[arg(long, value_name = "X", default_value_t = 1000)]
    seed: u64,
    /// How many campaigns hunt each bug.
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// After how many cases a bug counts as one that got away: few, since many campaigns of few
    /// cases tell more in the same time than the other way round.
    #[arg(long, value_name = "N", default_value_t = 400)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    cases: u64,
    /// Print the bugs one by one as well: the median of cases with the bias and without it.
    #[arg(long)]
    each: bool,
}

/// A bias, and what a profile says that has it not.
struct Bias {
    key: &'static str,
    off: &'static str,
}

/// What is measured. A kind of step that is a scene is a bias towards its order of steps.
const BIASES: [Bias; 10] = [
    bias("edges", "0"),
    bias("kinds", "100"),
    bias("clusters", "[16, 64]"),
    bias("recover", "0"),
    bias("throttle", "0"),
    bias("collect", "0"),
    bias("strike", "0"),
    bias("meet", "0"),
    bias("hold", "0"),
    bias("outlive", "0"),
];

const fn bias(key: &'static str, off: &'static str) -> Bias {
    Bias { key, off }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let known = |name: &&String| !BIASES.iter().any(|bias| bias.key == **name);
    if let Some(unknown) = args.only.iter().find(known) {
        let keys = BIASES.map(|bias| bias.key).join(", ");
        return Err(Failure::input(format!(
            "no bias is called {unknown}; they are {keys}"
        )));
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let all = hunt(args, None, folder.path())?;
    println!("{}", hunts::head());
    println!("{}", all.row("nothing", &all, args.cases));
    let chosen = |bias: &&Bias| args.only.is_empty() || args.only.iter().any(|key| key == bias.key);
    for bias in BIASES.iter().filter(chosen) {
        let without = hunt(args, Some(bias), folder.path())?;
        let name = format!("`{} = {}`", bias.key, bias.off);
        println!("{}", without.row(&name, &all, args.cases));
        for line in without.seldom(&all, args.cases) {
            println!("{line}");
        }
        if args.each {
            print!("{}", without.each(&all));
        }
    }
    Ok(())
}

/// Hunts the bugs with the built-in profiles, without one of their biases if one is named.
fn hunt(args: &Args, off: Option<&Bias>, folder: &Path) -> anyhow::Result<Hunts> {
    let mut command = Command::new("cargo");
    command
        .args(["run", "--quiet", "--release", "--package", "blkproof-cli"])
        .args(["--", "bugs", "--json", "--runs", "0"])
        .args(["--seed", &args.seed.to_string()])
        .args(["--seeds", &args.seeds.to_string()])
        .args(["--cases", &args.cases.to_string()])
        .current_dir(repository())
        .stderr(Stdio::inherit());
    for profile in profiles(off, folder)? {
        command.arg("--profile").arg(profile);
    }
    let output = command.output().context("cannot start cargo")?;
    // Bugs that got away are what is measured.
    match output.status.code() {
        Some(0 | 1) => Hunts::read(&output.stdout),
        _ => bail!("biases: blkproof bugs ended with {}", output.status),
    }
}

/// Writes the built-in profiles anew, without a bias if one is named; returns where they lie.
fn profiles(off: Option<&Bias>, folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let shipped = repository().join("core/blkproof/profiles");
    let entries = fs::read_dir(&shipped).context("cannot read the profiles")?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.context("cannot read the profiles")?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            // What leans nowhere has no bias.
            && !path.ends_with("wild.toml")
        {
            found.push(path);
        }
    }
    // The cases take turns: in the same order each time.
    found.sort();
    for path in &mut found {
        let text = fs::read_to_string(&*path).context("cannot read a profile")?;
        let name = path.file_name().context("a profile has a name")?;
        let written = folder.join(name);
        let text = off.map_or_else(|| text.clone(), |bias| without(&text, bias));
        fs::write(&written, text).context("cannot write a profile")?;
        *path = written;
    }
    Ok(found)
}

/// Returns the text of a profile that has not this bias, whatever it said of it.
fn without(text: &str, bias: &Bias) -> String {
    let says = |line: &&str| line.split('=').next().map(str::trim) == Some(bias.key);
    let mut lines: Vec<&str> = text.lines().filter(|line| !says(line)).collect();
    let off = format!("{} = {}", bias.key, bias.off);
    lines.push(&off);
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::{BIASES, bias, profiles, without};
    use crate::repository;

    #[test]
    fn a_bias_is_off_whatever_a_profile_says_of_it() {
        let off = bias("meet", "0");
        assert_eq!(
            without("meet = 30  # of steps\nraw = 3\n", &off),
            "raw = 3\nmeet = 0\n"
        );
        assert_eq!(without("raw = 3", &off), "raw = 3\nmeet = 0\n");
        assert_eq!(without("meets = 3", &off), "meets = 3\nmeet = 0\n");
    }

    #[test]
    fn every_bias_is_a_key_of_the_profiles() {
        let small = repository().join("core/blkproof/profiles/small.toml");
        let text = std::fs::read_to_string(small).unwrap();
        for bias in BIASES {
            let key = format!("\n{} = ", bias.key);
            assert!(text.contains(&key), "{}", bias.key);
            assert!(!text.contains(&format!("{key}{}\n", bias.off)) || bias.off == "0");
        }
    }

    #[test]
    fn all_profiles_are_written_the_same_way_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let written = profiles(Some(&bias("meet", "0")), folder.path()).unwrap();
        let names: Vec<_> = written
            .iter()
            .map(|path| path.file_stem().unwrap())
            .collect();
        assert_eq!(names, ["faults", "large", "power", "small", "transactions"]);
        for path in written {
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.ends_with("\nmeet = 0\n"), "{text}");
        }
    }
}
