//! What requests cost.
fn main() {}
