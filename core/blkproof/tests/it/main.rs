//! The tests of the harness, in one program.

mod text;
