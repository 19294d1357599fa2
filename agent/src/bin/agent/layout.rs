//! The agent's own root file system: a tmpfs that no app ever sees.

/// Where the [`agent::protocol::ROOTFS_TAG`] share is mounted.
pub const POD: &str = "/pod";
/// Where the [`agent::protocol::VOLUMES_TAG`] share is mounted, if the pod has volumes.
pub const VOLUMES: &str = "/volumes";
/// The cgroup v2 hierarchy; the agent stays in its root, each app has a child of its own.
pub const CGROUP: &str = "/cgroup";
/// POSIX shared memory, one for the pod as its IPC namespace is.
pub const SHM: &str = "/run/shm";
/// Generated files that are bound over those of images.
pub const FILES: &str = "/run/files";
/// A read-only file system of what is bound over files and directories that apps shall not see.
pub const HIDDEN: &str = "/run/hidden";
/// A file without permissions or content.
pub const HIDDEN_FILE: &str = "/run/hidden/file";
/// A directory without permissions or content.
pub const HIDDEN_DIRECTORY: &str = "/run/hidden/directory";
/// A directory that nobody can list and everyone pass, to what it holds: [`HIDDEN_FS_CGROUP`], to mount on. Programs of whatever user
/// ask their cgroup how much memory there is for them.
pub const HIDDEN_FS: &str = "/run/hidden/fs";
/// See [`HIDDEN_FS`].
pub const HIDDEN_FS_CGROUP: &str = "/run/hidden/fs/cgroup";
/// Where sysfs is mounted for a moment, to set the machine up.
pub const SYSFS: &str = "/run/sysfs";
/// Where the counters of FUSE are mounted for a moment.
pub const FUSECTL: &str = "/run/fusectl";
/// Pseudo-terminal file systems of interactive apps, by app name.
pub const TERMINALS: &str = "/run/pts";

/// Sockets by which apps say that they are ready, by app name.
pub const NOTIFY: &str = "/run/notify";

/// Sockets that apps start with.
pub const SOCKETS: &str = "/run/sockets";

/// Sockets that are `/dev/log` of apps, by app name.
pub const LOGS: &str = "/run/log";

/// Volumes in memory, by name.
pub const MEMORY: &str = "/run/memory";

/// The directories of the agent's root that are there from the start.
pub const DIRECTORIES: &[&str] = &[
    "/proc", "/dev", "/run", POD, VOLUMES, CGROUP, SHM, FILES, HIDDEN, TERMINALS, NOTIFY, SOCKETS, LOGS,
    MEMORY,
];
