//! What the guest watches in volumes, and what the host tells it of changes there.
//!
//! A connection of its own to [`super::WATCH_PORT`], opened before there are apps. Nodes are the numbers that the
//! host's file server gave to files (FUSE).
//!
//! ```text
//! guest                          host
//!   Actor{thread}         ──▶
//!   Watch{node}           ──▶
//!                         ◀──    Watched{node}
//!                         ◀──    Changed(Change)     (one at a time)
//!   Done                  ──▶
//!   Forget{node}          ──▶
//!                         ◀──    Forgotten{node}
//! ```
//!
//! The guest's kernel tells of changes that it makes itself. So for a [`Change`] the guest's actor makes that very change,
//! which the host, knowing the actor's requests by their thread, answers without doing anything.

use serde::{Deserialize, Serialize};

/// A directory of every file system of the share that only the actor finds: where files come from and go to that move
/// between a directory that is watched and one that is not.
pub const BACKSTAGE: &str = ".rkt-backstage";
/// What comes from there.
pub const ENTRANCE: &str = "entrance";
/// What goes there.
pub const EXIT: &str = "exit";
/// How many files the guest may watch.
pub const MAX_WATCHED: usize = 65_536;

/// What the guest tells the host. The host trusts none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum WatchRequest {
    /// Who will make the changes; the first message.
    Actor {
        /// The thread, as FUSE names it.
        thread: u32,
    },
    /// Tell of what happens to a file, or in a directory.
    Watch {
        /// Which.
        node: u64,
    },
    /// No more.
    Forget {
        /// Which.
        node: u64,
    },
    /// The change has been made, or could not be.
    Done,
}

/// What the host tells the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum WatchNews {
    /// From here on changes are told, unless the host cannot watch the file.
    Watched {
        /// Which.
        node: u64,
    },
    /// From here on they are not.
    Forgotten {
        /// Which.
        node: u64,
    },
    /// Somebody else changed something.
    Changed(Change),
}

/// A name in a directory that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The directory.
    pub node: u64,
    /// The name, any bytes but `/` and zero.
    pub name: Vec<u8>,
}

/// A change that somebody on the host made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Change {
    /// A name appeared.
    Created {
        /// Where.
        at: Place,
        /// Whether it is that of a directory.
        directory: bool,
    },
    /// A name disappeared.
    Deleted {
        /// Where.
        at: Place,
        /// Whether it was that of a directory.
        directory: bool,
    },
    /// A file got another name. One of the places is missing if it is in a directory that is not watched.
    Moved {
        /// Where it was.
        from: Option<Place>,
        /// Where it is.
        to: Option<Place>,
        /// Whether it is a directory.
        directory: bool,
    },
    /// A file in a directory that is watched changed.
    Touched {
        /// Which.
        at: Place,
        /// Whether it is a directory.
        directory: bool,
        /// How.
        how: Touch,
    },
    /// A file or directory that is watched itself changed.
    TouchedItself {
        /// Which.
        node: u64,
        /// How.
        how: Touch,
    },
    /// A file or directory that is watched itself has gone.
    DeletedItself {
        /// Which.
        node: u64,
        /// Whether it was a directory.
        directory: bool,
    },
    /// A file or directory that is watched itself got another name.
    MovedItself {
        /// Which.
        node: u64,
        /// Whether it is a directory.
        directory: bool,
    },
}

/// What changed of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touch {
    /// Its content.
    Content,
    /// Its attributes.
    Attributes,
    /// Somebody who could write to it has closed it.
    Closed,
}

impl Change {
    /// The nodes it is about.
    pub fn nodes(&self) -> impl Iterator<Item = u64> {
        let (first, second) = match self {
            Self::Created { at, .. } | Self::Deleted { at, .. } | Self::Touched { at, .. } => {
                (Some(at.node), None)
            }
            Self::Moved { from, to, .. } => {
                (from.as_ref().map(|place| place.node), to.as_ref().map(|place| place.node))
            }
            Self::TouchedItself { node, .. }
            | Self::DeletedItself { node, .. }
            | Self::MovedItself { node, .. } => (Some(*node), None),
        };
        first.into_iter().chain(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_not_be_text() {
        let place = |node, name: &[u8]| Place { node, name: name.to_owned() };
        let change = Change::Moved {
            from: Some(place(3, b"\xff\n")),
            to: Some(place(1 << 60, b"b")),
            directory: true,
        };
        let text = serde_json::to_string(&WatchNews::Changed(change.clone())).unwrap();
        assert_eq!(serde_json::from_str::<WatchNews>(&text).unwrap(), WatchNews::Changed(change.clone()));
        assert_eq!(change.nodes().collect::<Vec<_>>(), [3, 1 << 60]);
    }
}
