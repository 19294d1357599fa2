//! What the threads that may have to wait tell the one that does not.

use std::collections::HashSet;

use super::nodes::Found;

/// What other threads have found out.
#[derive(Debug)]
pub enum Answer {
    /// What a call is about.
    Which {
        /// The call.
        call: u64,
        /// The file, if it is a volume's.
        found: Option<Found>,
    },
    /// What is watched.
    All {
        /// All nodes of volumes.
        watched: HashSet<u64>,
        /// The files that were not known.
        new: Vec<Found>,
    },
    /// The change has been made.
    Acted,
}
