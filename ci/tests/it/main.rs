//! What holds for the repository as a whole, and the verbs of this package from outside.

mod repository;

mod dependencies;
mod fixtures;
mod guide;
mod layering;
mod light;
mod tidy;

mod experiments;
mod qmp;
