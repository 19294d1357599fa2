//! What an app that has ended leaves in the agent's own file systems.

use std::fs;
use std::path::Path;

use nix::mount::{MntFlags, umount2};

use super::cgroup::Cgroup;
use crate::layout::{CGROUP, LOGS, NOTIFY, TERMINALS};

/// Makes way for an app of the name `app`. Whatever cannot be removed will be in the way, and be named then.
pub fn clear(app: &str) {
    let _ = Cgroup::remove(Path::new(CGROUP), app);
    let _ = fs::remove_file(Path::new(NOTIFY).join(app));
    let _ = fs::remove_file(Path::new(LOGS).join(app));
    let devpts = Path::new(TERMINALS).join(app);
    let _ = umount2(&devpts, MntFlags::MNT_DETACH);
    let _ = fs::remove_dir(devpts);
}
