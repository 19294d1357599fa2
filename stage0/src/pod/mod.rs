//! Pods on disk: where they are, what state they are in, how they come to be and go.
//!
//! A pod is a directory. Its state is the place the directory is in together with whether it is locked
//! (reference §4.2), so the death of the last process that holds the lock changes the state without any daemon.

mod changing;
pub mod delete;
mod error;
mod files;
pub mod layers;
mod lock;
mod locked;
pub mod mounts;
pub mod overlay;
mod place;
mod pods;

pub use changing::ChangingPod;
pub use error::PodError;
pub use files::{AppCondition, AppHealth, AppStatus, NetInfo};
pub use lock::DirLock;
pub use locked::LockedPod;
pub use place::{Place, State};
pub use pods::{Pod, Pods};
