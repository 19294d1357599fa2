//! The files that are watched.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use nix::libc::dev_t;

/// A file of a volume. While it is open, the guest's kernel knows it by its node, and by the names that led to it.
#[derive(Debug, Clone)]
pub struct Found {
    /// What the host calls it.
    pub node: u64,
    /// The file system.
    pub device: dev_t,
    /// The root of that.
    pub root: Arc<OwnedFd>,
    /// The file, not open for anything.
    pub file: Arc<OwnedFd>,
}

/// How far the host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has been asked to watch.
    Asked,
    /// It does.
    Watched,
    /// It has been asked to do so no more.
    Leaving,
}

/// A file that is or was watched.
#[derive(Debug)]
pub struct Node {
    /// The file.
    pub found: Found,
    /// How far the host is.
    pub state: State,
    /// When an app asked for it last: its watch may not be there yet.
    pub since: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Nodes(HashMap<u64, Node>);

impl Nodes {
    /// Somebody is about to watch a file. Whether the host has to be asked.
    pub fn ask(&mut self, found: Found, now: Instant) -> bool {
        match self.0.get_mut(&found.node) {
            Some(node) if node.state != State::Leaving => {
                node.since = now;
                false
            }
            _ => {
                self.0.insert(found.node, Node { found, state: State::Asked, since: now });
                true
            }
        }
    }

    /// The host watches it.
    pub fn watched(&mut self, node: u64) {
        if let Some(node) = self.0.get_mut(&node).filter(|node| node.state == State::Asked) {
            node.state = State::Watched;
        }
    }

    /// Nobody watches it any more.
    pub fn leave(&mut self, node: u64) {
        if let Some(node) = self.0.get_mut(&node) {
            node.state = State::Leaving;
        }
    }

    /// The host has forgotten it.
    pub fn forgotten(&mut self, node: u64) {
        if self.0.get(&node).is_some_and(|node| node.state == State::Leaving) {
            self.0.remove(&node);
        }
    }

    /// A file, by what the host calls it.
    pub fn get(&self, node: u64) -> Option<&Node> {
        self.0.get(&node)
    }

    /// What the host calls them.
    pub fn known(&self) -> HashSet<u64> {
        self.0.iter().filter(|(_, node)| node.state != State::Leaving).map(|(number, _)| *number).collect()
    }

    /// Those the host is to watch and that have been asked for before some instant.
    pub fn older_than(&self, instant: Instant) -> Vec<u64> {
        let old = self.0.iter().filter(|(_, node)| node.state != State::Leaving && node.since < instant);
        old.map(|(number, _)| *number).collect()
    }

    /// Whether there are some that were asked for since.
    pub fn has_younger_than(&self, instant: Instant) -> bool {
        self.0.values().any(|node| node.since >= instant)
    }

    /// Lets go of all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    fn found(node: u64) -> Found {
        let file: Arc<OwnedFd> = Arc::new(File::open("/").unwrap().into());
        Found { node, device: 1, root: Arc::clone(&file), file }
    }

    #[test]
    fn the_host_is_asked_once_until_it_has_been_told_to_forget() {
        let (mut nodes, start) = (Nodes::default(), Instant::now());
        assert!(nodes.ask(found(5), start));
        nodes.watched(5);
        assert!(!nodes.ask(found(5), start));
        assert_eq!(nodes.older_than(start + Duration::from_secs(1)), [5]);
        assert!(nodes.older_than(start).is_empty() && nodes.has_younger_than(start));
        nodes.leave(5);
        assert!(nodes.older_than(start + Duration::from_secs(1)).is_empty());
        assert!(nodes.ask(found(5), start), "watched again before the host has answered");
        nodes.forgotten(5);
        assert_eq!(nodes.get(5).map(|node| node.state), Some(State::Asked));
        nodes.leave(5);
        nodes.watched(5);
        nodes.forgotten(5);
        assert!(nodes.get(5).is_none());
    }
}
