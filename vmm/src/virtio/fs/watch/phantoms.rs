//! What the guest's actor is answered: it makes changes that others have made already, so nothing is to be done.
//!
//! Whatever the actor asks for, no file of the host is changed for it. If it is the change that is armed, its requests
//! succeed; what it needs to find before or afterwards and is not there is made up.

use std::{
    ffi::CStr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, AtomicU64, Ordering},
    },
    time::Duration,
};

use agent::protocol::{BACKSTAGE, Change, ENTRANCE, EXIT, Place, Touch};
use virtiofsd::{
    filesystem::{Context, Entry},
    fuse::Attr,
};

/// Nodes from here on are made up; the file server counts its own from 1. Odd ones are directories.
const MADE_UP: u64 = 1 << 62;
/// The directory [`BACKSTAGE`].
const BACKSTAGE_NODE: u64 = MADE_UP + 1;
/// The handle of a file that the actor has opened; the file server counts its own from 0.
pub const HANDLE: u64 = u64::MAX;

/// The change that the actor is making.
#[derive(Debug, Default)]
pub struct Phantoms {
    /// 0 until there is one, as requests without a process have.
    actor: AtomicI32,
    made_up: AtomicU64,
    scene: Mutex<Scene>,
}

#[derive(Debug, Default)]
struct Scene {
    armed: Option<Change>,
    /// What the actor saw last. Were it told of later attributes in another way, the guest would not notice that the content has
    /// changed again.
    seen: Option<(u64, Attr)>,
}

/// What the actor finds by a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// What is there.
    Real,
    /// What is there, or else something made up.
    RealOrMadeUp { directory: bool },
    /// What has another name, or else something made up.
    Elsewhere { place: Place, directory: bool },
    /// Something made up, whatever is there.
    MadeUp { directory: bool },
    /// This file.
    Node { node: u64, directory: bool },
    /// The directory [`BACKSTAGE`].
    Backstage,
    /// Nothing, whatever is there.
    Nothing,
}

impl Phantoms {
    /// Who it is from now on.
    pub fn set_actor(&self, thread: i32) {
        self.actor.store(thread, Ordering::SeqCst);
    }

    /// Whether a request is the actor's.
    pub fn is_actor(&self, context: Context) -> bool {
        let actor = self.actor.load(Ordering::Relaxed);
        actor != 0 && actor == context.pid
    }

    /// The actor is about to make this change, or none.
    pub fn arm(&self, change: Option<Change>) {
        *self.scene() = Scene { armed: change, seen: None };
    }

    /// What the actor finds by a name.
    pub fn find(&self, parent: u64, name: &CStr) -> Found {
        let name = name.to_bytes();
        if name == BACKSTAGE.as_bytes() {
            return Found::Backstage;
        }
        let here = |place: &Place| place.node == parent && place.name == name;
        let entering = parent == BACKSTAGE_NODE && name == ENTRANCE.as_bytes();
        match &self.scene().armed {
            Some(Change::Created { at, .. }) if here(at) => Found::Nothing,
            Some(Change::Deleted { at, directory }) if here(at) => Found::MadeUp { directory: *directory },
            Some(Change::Touched { at, directory, .. }) if here(at) => {
                Found::RealOrMadeUp { directory: *directory }
            }
            Some(Change::Moved { to: Some(to), .. }) if here(to) => Found::Nothing,
            Some(Change::Moved { from: Some(from), to, directory }) if here(from) => match to {
                Some(to) => Found::Elsewhere { place: to.clone(), directory: *directory },
                None => Found::MadeUp { directory: *directory },
            },
            Some(Change::Moved { to: Some(to), directory, .. }) if entering => {
                Found::Elsewhere { place: to.clone(), directory: *directory }
            }
            Some(Change::DeletedItself { node, directory } | Change::MovedItself { node, directory })
                if entering =>
            {
                Found::Node { node: *node, directory: *directory }
            }
            _ if parent >= MADE_UP => Found::Nothing,
            _ => Found::Real,
        }
    }

    /// Whether the armed change is of a name in this directory.
    pub fn is_in(&self, directory: u64) -> bool {
        let scene = self.scene();
        let places = match &scene.armed {
            Some(Change::Created { at, .. } | Change::Deleted { at, .. } | Change::Touched { at, .. }) => {
                [Some(at), None]
            }
            Some(Change::Moved { from, to, .. }) => [from.as_ref(), to.as_ref()],
            _ => [None, None],
        };
        places.into_iter().flatten().any(|place| place.node == directory)
    }

    /// Whether the armed change makes this name.
    pub fn creates(&self, parent: u64, name: &CStr, is_directory: bool) -> bool {
        let scene = self.scene();
        matches!(&scene.armed, Some(Change::Created { at, directory })
            if *directory == is_directory && is(at, parent, name))
    }

    /// Whether it removes this one.
    pub fn deletes(&self, parent: u64, name: &CStr, is_directory: bool) -> bool {
        let scene = self.scene();
        match &scene.armed {
            Some(Change::Deleted { at, directory }) => *directory == is_directory && is(at, parent, name),
            Some(Change::DeletedItself { directory, .. }) => {
                *directory == is_directory && is(&backstage(ENTRANCE), parent, name)
            }
            _ => false,
        }
    }

    /// Whether it is this move, or half of it: the two places may be in two file systems of the guest.
    pub fn moves(&self, from: (u64, &CStr), to: (u64, &CStr)) -> bool {
        let scene = self.scene();
        let (expected_from, expected_to) = match &scene.armed {
            Some(Change::Moved { from, to, .. }) => (from.as_ref(), to.as_ref()),
            Some(Change::MovedItself { .. }) => (None, None),
            _ => return false,
        };
        let is_either = |expected: Option<&Place>, outside, (parent, name): (u64, &CStr)| {
            expected.is_some_and(|place| is(place, parent, name)) || is(&backstage(outside), parent, name)
        };
        is_either(expected_from, ENTRANCE, from) && is_either(expected_to, EXIT, to)
    }

    /// Whether it closes a file.
    pub fn closes(&self) -> bool {
        let scene = self.scene();
        matches!(
            &scene.armed,
            Some(
                Change::Touched { how: Touch::Closed, .. } | Change::TouchedItself { how: Touch::Closed, .. }
            )
        )
    }

    /// The actor is told of these attributes.
    pub fn see(&self, node: u64, attr: &Attr) {
        self.scene().seen = Some((node, *attr));
    }

    /// What it was told of a node's last.
    pub fn seen(&self, node: u64) -> Option<Attr> {
        self.scene().seen.filter(|(seen, _)| *seen == node).map(|(_, attr)| attr)
    }

    /// A file that is not there.
    pub fn make_up(&self, directory: bool) -> Entry {
        // Not the number of backstage.
        let number = self.made_up.fetch_add(1, Ordering::Relaxed) % (1 << 60) + 1;
        made_up(MADE_UP + 2 * number + u64::from(directory))
    }

    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The directory that only the actor finds.
pub fn backstage_entry() -> Entry {
    made_up(BACKSTAGE_NODE)
}

/// The attributes of what is made up.
pub fn made_up_attributes(node: u64) -> Option<Attr> {
    (node >= MADE_UP).then(|| attributes(node, node % 2 == 1))
}

/// A file under a name that is good for one look.
pub fn passing(inode: u64, attr: Attr) -> Entry {
    Entry { inode, generation: 0, attr, attr_timeout: Duration::ZERO, entry_timeout: Duration::ZERO }
}

/// Attributes of something of which nothing else is known.
pub fn attributes(node: u64, directory: bool) -> Attr {
    let mode = if directory { libc::S_IFDIR | 0o700 } else { libc::S_IFREG | 0o600 };
    Attr { ino: node, mode, nlink: 1, blksize: 4096, ..Attr::default() }
}

fn made_up(node: u64) -> Entry {
    passing(node, attributes(node, node % 2 == 1))
}

fn backstage(name: &str) -> Place {
    Place { node: BACKSTAGE_NODE, name: name.as_bytes().to_owned() }
}

fn is(place: &Place, parent: u64, name: &CStr) -> bool {
    place.node == parent && place.name == name.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(node: u64, name: &str) -> Place {
        Place { node, name: name.as_bytes().to_owned() }
    }

    #[test]
    fn what_is_armed_and_nothing_else() {
        let phantoms = Phantoms::default();
        assert_eq!(phantoms.find(5, c"new"), Found::Real);
        phantoms.arm(Some(Change::Created { at: place(5, "new"), directory: false }));
        assert_eq!(phantoms.find(5, c"new"), Found::Nothing);
        assert_eq!(phantoms.find(5, c"other"), Found::Real);
        assert_eq!(phantoms.find(6, c"new"), Found::Real);
        assert!(phantoms.creates(5, c"new", false));
        assert!(!phantoms.creates(5, c"new", true));
        assert!(!phantoms.creates(5, c"other", false) && !phantoms.creates(6, c"new", false));
        assert!(!phantoms.deletes(5, c"new", false) && !phantoms.closes());
        assert!(!phantoms.moves((5, c"new"), (5, c"other")));
        phantoms.arm(None);
        assert!(!phantoms.creates(5, c"new", false));
    }

    #[test]
    fn moves_from_and_to_places_nobody_watches_pass_backstage() {
        let phantoms = Phantoms::default();
        let (here, there) = (place(5, "a"), place(6, "b"));
        let moved = |from: Option<&Place>, to: Option<&Place>| Change::Moved {
            from: from.cloned(),
            to: to.cloned(),
            directory: true,
        };
        phantoms.arm(Some(moved(Some(&here), Some(&there))));
        let elsewhere = || Found::Elsewhere { place: there.clone(), directory: true };
        assert_eq!((phantoms.find(5, c"a"), phantoms.find(6, c"b")), (elsewhere(), Found::Nothing));
        assert!(phantoms.moves((5, c"a"), (6, c"b")) && !phantoms.moves((6, c"b"), (5, c"a")));
        assert!(phantoms.moves((5, c"a"), (BACKSTAGE_NODE, c"exit")));
        assert!(phantoms.moves((BACKSTAGE_NODE, c"entrance"), (6, c"b")));

        phantoms.arm(Some(moved(Some(&here), None)));
        assert_eq!(phantoms.find(5, c"a"), Found::MadeUp { directory: true });
        assert_eq!(phantoms.find(BACKSTAGE_NODE, c"exit"), Found::Nothing);
        assert!(phantoms.moves((5, c"a"), (BACKSTAGE_NODE, c"exit")));

        phantoms.arm(Some(moved(None, Some(&there))));
        assert_eq!(phantoms.find(BACKSTAGE_NODE, c"entrance"), elsewhere());
        assert!(phantoms.moves((BACKSTAGE_NODE, c"entrance"), (6, c"b")));
        assert!(!phantoms.moves((5, c"a"), (6, c"b")));

        phantoms.arm(Some(Change::DeletedItself { node: 9, directory: true }));
        assert_eq!(phantoms.find(BACKSTAGE_NODE, c"entrance"), Found::Node { node: 9, directory: true });
        assert!(phantoms.deletes(BACKSTAGE_NODE, c"entrance", true));
        assert!(!phantoms.deletes(9, c"entrance", true));
    }

    #[test]
    fn what_is_made_up_is_of_its_kind_and_nobody_elses() {
        let phantoms = Phantoms::default();
        let nodes: Vec<u64> = [true, false, true].map(|directory| phantoms.make_up(directory).inode).into();
        for (node, kind) in nodes.iter().zip([libc::S_IFDIR, libc::S_IFREG, libc::S_IFDIR]) {
            assert!(*node != BACKSTAGE_NODE);
            assert_eq!(made_up_attributes(*node).unwrap().mode & libc::S_IFMT, kind);
        }
        assert!(nodes[0] != nodes[2]);
        assert!(made_up_attributes(MADE_UP - 1).is_none());
    }
}
