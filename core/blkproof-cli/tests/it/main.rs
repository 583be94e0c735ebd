//! The program as its users meet it: called as a process, judged by its streams and exit code.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail them")]

mod program;

mod bugs;
mod corpus;
mod format;

mod readme;

#[cfg(unix)]
mod judge_tool;

#[cfg(unix)]
mod nbd;

mod replay;

mod full;
mod interrupt;
mod known;
mod power;
#[cfg(unix)]
mod stopped;

mod log;
mod run;
mod sweep;

mod shrink;

mod usage;
