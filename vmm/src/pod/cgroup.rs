//! The cgroup of a pod: what its VMM does is seen, limited and killed there as one (cgroups(7)).
//!
//! A unit of a service manager that holds nothing but `rkt run` is one already, and is left as it is. For others, `rkt-UUID` is made in
//! the cgroup of whoever called, whose limits so hold on. The keeper stays outside: it removes the cgroup, which it could not
//! from within. Where there is no cgroup v2, or none that may be written, the pod runs in its caller's.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Component, Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    directory::{DirectoryError, PodDirectory},
    host_share::{self, HIERARCHY},
};

/// The file of the pod's directory that names the cgroup (`rkt-reference` §3.3).
const RECORD: &str = "subcgroup";
/// The longest path that is read.
const MAX_RECORD: u64 = 4096;
/// Threads of a VMM: far more than CPUs, file servers, and the streams of the most clients ask for.
const MOST_THREADS: u32 = 4096;
/// How long what was killed may take to go.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// A pod's own cgroup.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    directory: File,
}

impl Cgroup {
    /// Makes the cgroup of pod `uuid`. `None` where the pod has one, or there can be none.
    pub fn make(uuid: &str, pod: &PodDirectory) -> io::Result<Option<Self>> {
        let Some(caller) = host_share::own_group() else { return Ok(None) };
        // A process of another namespace is a line, too.
        if fs::read_to_string(caller.join("cgroup.procs"))?.lines().count() == 1 {
            return Ok(None);
        }
        let path = caller.join(name(uuid));
        let record = path.strip_prefix(HIERARCHY).unwrap_or(&path);
        // First, so that none is left that nobody knows of. A crash of the host takes both.
        fs::write(pod.root().join(RECORD), record.as_os_str().as_encoded_bytes())?;
        fs::create_dir(&path)?;
        // Where the controller is not handed down there is no such file.
        let _ = fs::write(path.join("pids.max"), MOST_THREADS.to_string());
        Ok(Some(Cgroup { directory: File::open(&path)?, path }))
    }

    /// Removes it when the VMM is gone.
    pub fn remove(self) -> io::Result<()> {
        remove(&self.path)
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Removes the cgroup that a pod left when its keeper was killed, and kills what is left in it.
pub fn remove_left(uuid: &str, pod: &PodDirectory) -> Result<(), DirectoryError> {
    let Some(record) = pod.read_file(RECORD, MAX_RECORD)? else { return Ok(()) };
    match recorded(Path::new(HIERARCHY), &record, uuid) {
        Some(path) => remove(&path).map_err(|source| DirectoryError::Write { path, source }),
        None => Ok(()),
    }
}

/// The cgroup that a record names, if it can be the pod's.
fn recorded(hierarchy: &Path, record: &str, uuid: &str) -> Option<PathBuf> {
    let path = Path::new(record);
    let within = path.components().all(|component| matches!(component, Component::Normal(_)));
    (within && path.file_name()? == name(uuid).as_str()).then(|| hierarchy.join(path))
}

fn name(uuid: &str) -> String {
    format!("rkt-{uuid}")
}

fn remove(path: &Path) -> io::Result<()> {
    let mut killed: Option<Instant> = None;
    loop {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // There, that is said of what does not exist, too.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem && !path.exists() => {
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => match killed {
                None => {
                    fs::write(path.join("cgroup.kill"), "1")?;
                    killed = Some(Instant::now());
                }
                Some(since) if since.elapsed() > LAST_BREATH => return Err(error),
                Some(_) => thread::sleep(Duration::from_millis(10)),
            },
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount};

    use super::*;

    #[test]
    fn only_the_pods_own_cgroup_is_removed() {
        let found = |record: &str| recorded(Path::new("/h"), record, "a-b");
        assert_eq!(found("user.slice/rkt-a-b"), Some("/h/user.slice/rkt-a-b".into()));
        assert_eq!(found("rkt-a-b"), Some("/h/rkt-a-b".into()));
        for other in ["", "user.slice", "/rkt-a-b", "../rkt-a-b", "x/../rkt-a-b", "rkt-a-c", "rkt-a-b/x"] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn where_none_can_be_made_none_is_left() {
        let hierarchy = tempfile::tempdir().unwrap();
        fs::create_dir(hierarchy.path().join("there")).unwrap();
        mount_bind(hierarchy.path(), hierarchy.path()).unwrap();
        mount_remount(hierarchy.path(), MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
        let absent = remove(&hierarchy.path().join("rkt-a-b"));
        let there = remove(&hierarchy.path().join("there"));
        unmount(hierarchy.path(), UnmountFlags::DETACH).unwrap();
        absent.unwrap();
        assert_eq!(there.unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    }

    #[test]
    fn a_pod_that_made_none_leaves_none() {
        let pod = tempfile::tempdir().unwrap();
        remove_left("a-b", &PodDirectory::at(pod.path())).unwrap();
        fs::write(pod.path().join(RECORD), "no-such-cgroup/rkt-a-b").unwrap();
        remove_left("a-b", &PodDirectory::at(pod.path())).unwrap();
    }
}
