//! What a volume is on the host: a path that exists.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, chown},
    path::{Path, PathBuf},
};

use appc::VolumeKind;
use rustix::fs::{Mode, chmod};

use super::{VolumeError, fill, plan::Volume};
use crate::pod::directory::PodDirectory;

/// The path of a volume. Empty ones are made.
pub fn make(volume: &Volume, directory: &PodDirectory) -> Result<PathBuf, VolumeError> {
    match &volume.kind {
        // Whether it exists is seen when it is opened.
        VolumeKind::Host { source } => Ok(PathBuf::from(source)),
        VolumeKind::Empty { mode, uid, gid } => {
            let path = directory.shared_volume(&volume.name);
            let failed = |source| VolumeError::Empty { volume: volume.name.clone(), source };
            make_empty(&path, *mode, *uid, *gid).map_err(failed)?;
            if let Some(content) = &volume.fill {
                fill::fill(&path, &directory.app_rootfs(content.app.as_str()), &content.path).map_err(
                    |source| VolumeError::Fill {
                        volume: volume.name.clone(),
                        app: content.app.clone(),
                        path: content.path.clone(),
                        source,
                    },
                )?;
            }
            Ok(path)
        }
        VolumeKind::Memory { .. } => {
            // No plan has one.
            Err(VolumeError::Empty { volume: volume.name.clone(), source: io::ErrorKind::Unsupported.into() })
        }
    }
}

/// Nobody can look into the parent, so that modes inside matter to nobody but the pod.
fn make_empty(path: &Path, mode: u32, uid: u32, gid: u32) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    fs::create_dir(path)?;
    chown(path, Some(uid), Some(gid))?;
    Ok(chmod(path, Mode::from_raw_mode(mode))?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn empty_volumes_have_owner_and_every_bit_of_their_mode() {
        let pod = tempfile::tempdir().unwrap();
        let directory = PodDirectory::at(pod.path());
        let kind = VolumeKind::Empty { mode: 0o3777, uid: 5, gid: 6 };
        let volume = Volume { name: "v".into(), kind, writable: true, recursive: true, fill: None };
        let path = make(&volume, &directory).unwrap();
        assert_eq!(path, pod.path().join("sharedVolumes/v"));
        let metadata = path.metadata().unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (0o3777, 5, 6));
        let shared = pod.path().join("sharedVolumes").metadata().unwrap();
        assert_eq!(shared.mode() & 0o7777, 0o700);
    }
}
