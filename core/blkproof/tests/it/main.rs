//! The tests of the harness, in one program.

mod asynchronous;
mod case;
mod check;
mod corpus;
mod engines;
mod foreign;
mod format_text;
mod report;
mod run;
mod shrink;
mod sweep;
mod text;
