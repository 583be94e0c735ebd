//! What surrounds a test: variables of the environment, the test's name, the folder of its crate.
//!
//! The one place of the library that asks for them. What a variable says must make sense: whoever
//! asks for another seed and mistypes it must not get the usual one.

use core::time::Duration;
use std::env::{self, VarError};
use std::path::{Path, PathBuf};
use std::thread;

/// The variable that a check sets for a process that it starts, and nobody else does.
pub(super) const CHILD: &str = "BLKPROOF_CHILD";

/// What surrounds a test.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// `BLKPROOF_CASES`: how many cases are judged.
    pub(super) cases: Option<u64>,
    /// `BLKPROOF_SEED`: the seed that they are made up from.
    pub(super) seed: Option<u64>,
    /// `BLKPROOF_REPLAY`: the scenario file that is judged instead.
    pub(super) replay: Option<PathBuf>,
    /// `BLKPROOF_TIMEOUT`: how long a scenario may take.
    pub(super) limit: Option<Duration>,
    /// The folder between this process and the one that started it to judge for it.
    pub(super) child: Option<PathBuf>,
    /// The test, as `cargo test` names it.
    pub(super) test: Option<String>,
    /// The folder of the crate whose test it is.
    pub(super) package: Option<PathBuf>,
}

impl Surroundings {
    /// Looks around; a variable that makes no sense is an error that names it.
    pub(super) fn look() -> Result<Self, String> {
        Ok(Self {
            cases: variable("BLKPROOF_CASES", cases)?,
            seed: variable("BLKPROOF_SEED", seed)?,
            replay: variable("BLKPROOF_REPLAY", path)?,
            limit: variable("BLKPROOF_TIMEOUT", limit)?,
            child: variable(CHILD, path)?,
            test: thread::current()
                .name()
                .filter(|name| *name != "main")
                .map(str::to_owned),
            package: env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from),
        })
    }

    /// Returns the command that judges a file again, to be typed where the crate is.
    pub(super) fn command(&self, file: &Path) -> String {
        let file = file.display().to_string();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let file = if file.chars().all(is_plain) {
            file
        } else {
            format!("'{}'", file.replace('\'', r"'\''"))
        };
        let test = self.test.as_deref().unwrap_or_default();
        format!("BLKPROOF_REPLAY={file} cargo test {test}")
            .trim_end()
            .to_owned()
    }
}

fn variable<T>(
    name: &str,
    parse: fn(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, String> {
    match env::var(name) {
        Err(VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
        Ok(text) => parse(&text)
            .map(Some)
            .map_err(|expected| format!("{name}={text}: {expected}")),
    }
}

fn cases(text: &str) -> Result<u64, &'static str> {
    let cases = text.parse().ok().filter(|cases| *cases > 0);
    let cases = cases.filter(|_| !text.starts_with('+'));
    cases.ok_or("expected a number of cases, at least 1")
}

fn seed(text: &str) -> Result<u64, &'static str> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16),
        _ => text.parse(),
    };
    let seed = parsed.ok().filter(|_| !text.starts_with('+'));
    seed.ok_or("expected a number below 2^64, decimal or hexadecimal after 0x")
}

fn limit(text: &str) -> Result<Duration, &'static str> {
    if text == "off" {
        return Ok(Duration::MAX);
    }
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    let seconds = seconds.filter(|_| !text.starts_with('+'));
    let limit = seconds.map(Duration::from_secs);
    limit.ok_or("expected a number of seconds, at least 1, or `off`")
}

fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() {
        return Err("expected the path of a scenario file");
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{cases, limit, path, seed};

    #[test]
    fn what_makes_no_sense_is_an_error() {
        assert_eq!(cases("7"), Ok(7));
        assert_eq!(seed("0x7C"), Ok(124));
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        assert!(path("a.blk").is_ok());
        for bad in ["", "0", "-1", "+1", "many", "1.5"] {
            assert!(cases(bad).is_err(), "{bad}");
        }
        for bad in ["", "-1", "+1", "0x", "0x+1", "7c"] {
            assert!(seed(bad).is_err(), "{bad}");
        }
        assert!(path("").is_err());
        assert_eq!(limit("90"), Ok(Duration::from_secs(90)));
        assert_eq!(limit("off"), Ok(Duration::MAX));
        for bad in ["", "0", "-1", "+1", "1.5", "10s", "never"] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }
}
