//! The pod's network namespace on the host, where plugins work: named in the file system, so that it survives this
//! process and what plugins made in it can be undone after a crash.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, OwnedFd},
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    io::Errno,
    mount::{UnmountFlags, mount_bind, unmount},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};

/// Where `ip netns` looks.
const DIRECTORY: &str = "/run/netns";

/// A network namespace with a name.
#[derive(Debug)]
pub struct Namespace {
    path: PathBuf,
    /// The mounts among which its name was made; this process may be in others by now.
    mounts: OwnedFd,
}

/// Why there is no such namespace, or no way into it.
#[derive(Debug, thiserror::Error)]
#[error("Cannot {action} the pod's network namespace {}", path.display())]
pub struct NamespaceError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Namespace {
    /// Makes the namespace of a pod, with nothing but loopback in it. To be called among the host's mounts, not the
    /// pod's own: others must be able to open it by its name.
    pub fn create(uuid: &str) -> Result<Self, NamespaceError> {
        let path = path(uuid);
        let failed = |source| NamespaceError { action: "make", path: path.clone(), source };
        let mounts = File::open("/proc/thread-self/ns/mnt").map_err(failed)?.into();
        fs::create_dir_all(DIRECTORY).and_then(|()| File::create_new(&path)).map_err(failed)?;
        let named = on_a_thread(|| {
            // SAFETY: the thread gets a network stack of its own and ends; it shares no descriptors of the old one.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            Ok(mount_bind("/proc/thread-self/ns/net", &path)?)
        });
        if let Err(source) = named {
            // Best effort: the error is what matters.
            let _ = fs::remove_file(&path);
            return Err(NamespaceError { action: "make", path, source });
        }
        Ok(Namespace { path, mounts })
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does something in it, on a thread that ends with it: this process stays in the host's.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
        let entered = on_a_thread(|| {
            let namespace = File::open(&self.path)?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        });
        entered.map_err(|source| NamespaceError { action: "enter", path: self.path.clone(), source })
    }

    /// Removes it, and with it every interface that is left in it.
    pub fn remove(self) -> Result<(), NamespaceError> {
        let removed = on_a_thread(|| {
            // SAFETY: the thread gets a root and working directory of its own, as changing mounts demands, and ends.
            unsafe { unshare_unsafe(UnshareFlags::FS) }?;
            move_into_link_name_space(self.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
            unname(&self.path)
        });
        // The mounts of this process hold it, too, if the host's changes do not reach them.
        let here = removed.and_then(|()| unmounted(&self.path));
        here.map_err(|source| NamespaceError { action: "remove", path: self.path.clone(), source })
    }

    /// Whether a pod has one.
    pub fn find(uuid: &str) -> Option<PathBuf> {
        Some(path(uuid)).filter(|path| path.exists())
    }

    /// Removes that of a pod whose process is gone; also if there is none.
    pub fn remove_left(uuid: &str) -> Result<(), NamespaceError> {
        let path = path(uuid);
        unname(&path).map_err(|source| NamespaceError { action: "remove", path, source })
    }
}

fn path(uuid: &str) -> PathBuf {
    Path::new(DIRECTORY).join(format!("rkt-{uuid}"))
}

/// Unmounts and removes the name.
fn unname(path: &Path) -> io::Result<()> {
    unmounted(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn unmounted(path: &Path) -> io::Result<()> {
    match unmount(path, UnmountFlags::DETACH) {
        // Not mounted, or not there.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("network".into()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces() -> Vec<String> {
        let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        text.lines().skip(2).map(|line| line.split(':').next().unwrap().trim().to_owned()).collect()
    }

    #[test]
    fn it_is_empty_has_a_name_and_goes() {
        let uuid = format!("test-{}", std::process::id());
        let before = interfaces();
        let namespace = Namespace::create(&uuid).unwrap();
        assert_eq!(Namespace::find(&uuid).as_deref(), Some(namespace.path()));
        assert!(Namespace::create(&uuid).is_err());
        assert_eq!(namespace.enter(interfaces).unwrap(), ["lo"]);
        assert_eq!(interfaces(), before);
        namespace.remove().unwrap();
        assert_eq!(Namespace::find(&uuid), None);
        Namespace::remove_left(&uuid).unwrap();
    }

    #[test]
    fn another_process_can_remove_it() {
        let uuid = format!("left-{}", std::process::id());
        drop(Namespace::create(&uuid).unwrap());
        let path = Namespace::find(&uuid).unwrap();
        Namespace::remove_left(&uuid).unwrap();
        assert!(!path.exists());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(path.to_str().unwrap()));
    }
}
