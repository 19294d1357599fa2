//! Fetching: from what users write to an image in the store.

mod policy;

pub use policy::{PullPolicy, UnknownPolicy};
