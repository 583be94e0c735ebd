//! The arguments of `blkproof judge-tool`.

use std::ffi::OsString;
use std::str::FromStr;

use blkproof_spec::IoType;
use clap::Args;

use super::values::StrikeName;

#[derive(Debug, Args)]
pub(crate) struct JudgeToolArgs {
    /// The size of both disks.
    #[arg(long, value_name = "SIZE", default_value = "4M")]
    pub(crate) size: String,
    /// What the tool says is done has to be durable: after it succeeded, the power of the target is
    /// cut before anybody looks.
    #[arg(long)]
    pub(crate) durable: bool,
    /// What happens to the request that is struck: it fails once, it and all behind it fail, it
    /// fails with ENOSPC, half of it is applied, or all of it [default: once, persistent].
    #[arg(long, value_name = "HOW", value_parser = StrikeName::parser())]
    pub(crate) strike: Vec<StrikeName>,
    /// Strike this request and no other, such as target:write:3:once.
    #[arg(long, value_name = "SIDE:KIND:N[:HOW]", conflicts_with = "strike")]
    pub(crate) only: Option<Only>,
    /// After how many seconds a tool counts as hung that has not ended.
    #[arg(long, value_name = "S", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) timeout: u32,
    /// The tool and its arguments.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// One request, by its side, its kind, its number, and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Only {
    pub(crate) source: bool,
    pub(crate) kind: IoType,
    pub(crate) number: u64,
    pub(crate) strike: StrikeName,
}

impl FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a request such as target:write:3:once".to_owned();
        let mut parts = text.split(':');
        let source = match parts.next() {
            Some("source") => true,
            Some("target") => false,
            _ => return Err(expected()),
        };
        let kind = parts.next().and_then(IoType::from_name);
        let number = parts.next().and_then(|number| number.parse().ok());
        let strike = StrikeName::from_name(parts.next().unwrap_or("once"));
        match (kind, number, strike, parts.next()) {
            (Some(kind), Some(number), Some(strike), None) if number > 0 => Ok(Self {
                source,
                kind,
                number,
                strike,
            }),
            _ => Err(expected()),
        }
    }
}
