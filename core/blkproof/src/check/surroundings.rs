//! What surrounds a test: variables of the environment, the test's name, the folder of its crate.
//!
//! The one place of the library that asks for them. What a variable says must make sense: whoever
//! asks for another seed and mistypes it must not get the usual one.

use std::env::{self, VarError};
use std::path::PathBuf;
use std::thread;

/// What surrounds a test.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// `BLKPROOF_CASES`: how many cases are judged.
    pub(super) cases: Option<u64>,
    /// `BLKPROOF_SEED`: the seed that they are made up from.
    pub(super) seed: Option<u64>,
    /// `BLKPROOF_REPLAY`: the scenario file that is judged instead.
    pub(super) replay: Option<PathBuf>,
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
            test: thread::current()
                .name()
                .filter(|name| *name != "main")
                .map(str::to_owned),
            package: env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from),
        })
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

fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() {
        return Err("expected the path of a scenario file");
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::{cases, path, seed};

    #[test]
    fn what_makes_no_sense_is_an_error() {
        assert_eq!(cases("7"), Ok(7));
        assert_eq!(seed("0x7C"), Ok(124));
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        assert!(path("a.blk").is_ok());
        for bad in ["", "0", "-1", "many", "1.5"] {
            assert!(cases(bad).is_err(), "{bad}");
        }
        for bad in ["", "-1", "+1", "0x", "0x+1", "7c"] {
            assert!(seed(bad).is_err(), "{bad}");
        }
        assert!(path("").is_err());
    }
}
