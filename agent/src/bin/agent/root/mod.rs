//! The root file system of an app: what is mounted in it, and how the app gets in.

mod apply;
mod plan;
mod protect;
pub mod tables;
mod walk;

pub use apply::{RootError, enter};
pub use plan::{DEVPTS, NOTIFY_SOCKET, RootPlan, Terminal, Volume, steps};
pub use walk::{Root, through};
