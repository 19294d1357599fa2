//! Overlays: the root file systems of a pod, written above trees that all pods share (reference §4.3).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::mount::{MountFlags, mount};

use super::PodError;
use super::pods::make_dir_all;

/// Mount options must fit into a page with the byte that ends them (mount(2)).
const MAX_OPTIONS: usize = 4095;

/// File systems that cannot hold the layers of an overlay, by the type statfs(2) reports.
const UNSUITABLE: &[(u64, &str)] = &[(0x6175_6673, "AUFS"), (0x2fc1_2fc1, "ZFS")];

/// An overlay.
#[derive(Debug)]
pub struct Overlay<'a> {
    /// Read-only directories, topmost first.
    pub lower: &'a [PathBuf],
    /// Where changes go.
    pub upper: PathBuf,
    /// Scratch space of the kernel, on the same file system as `upper`.
    pub work: PathBuf,
    /// Where the whole appears.
    pub target: PathBuf,
}

impl Overlay<'_> {
    /// Makes the directories and mounts the overlay.
    pub fn mount(&self) -> Result<(), PodError> {
        for dir in [&self.upper, &self.work, &self.target] {
            make_dir_all(dir).map_err(PodError::io("make directory", dir))?;
        }
        if let Some(top) = self.lower.first() {
            copy_attributes(top, &self.upper).map_err(PodError::io("set the attributes of", &self.upper))?;
        }
        self.mount_now().map_err(PodError::io("mount an overlay at", &self.target))
    }

    fn mount_now(&self) -> io::Result<()> {
        // Kept open until the mount has been made: the options may name them.
        let opened;
        let mut options = options(self.lower, &self.upper, &self.work);
        if options.len() > MAX_OPTIONS {
            opened = self.open_layers()?;
            options = short_options(&opened);
        }
        let options = CString::new(options).map_err(|_| io::ErrorKind::InvalidFilename)?;
        mount("overlay", &self.target, "overlay", MountFlags::empty(), options.as_c_str())?;
        Ok(())
    }

    fn open_layers(&self) -> io::Result<Vec<OwnedFd>> {
        let open = |path: &PathBuf| {
            Ok(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
        };
        [&self.upper, &self.work].into_iter().chain(self.lower).map(open).collect()
    }
}

/// The root of an overlay has the attributes of the upper directory, so that one takes them from below.
pub fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(from)?;
    std::os::unix::fs::chown(to, Some(metadata.uid()), Some(metadata.gid()))?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(metadata.mode() & 0o7777))
}

fn options(lower: &[PathBuf], upper: &Path, work: &Path) -> Vec<u8> {
    let mut options = b"lowerdir=".to_vec();
    for (position, dir) in lower.iter().enumerate() {
        if position > 0 {
            options.push(b':');
        }
        escape(dir, b"\\:,", &mut options);
    }
    for (name, dir) in [("upperdir", upper), ("workdir", work)] {
        options.extend_from_slice(format!(",{name}=").as_bytes());
        escape(dir, b"\\,", &mut options);
    }
    options
}

fn escape(path: &Path, special: &[u8], out: &mut Vec<u8>) {
    for byte in path.as_os_str().as_bytes() {
        if special.contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

/// Upper, work and lower directories by descriptor: a few bytes each, however long their paths are.
fn short_options(opened: &[OwnedFd]) -> Vec<u8> {
    let name = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let lower: Vec<_> = opened.iter().skip(2).map(name).collect();
    let pair: Vec<_> = opened.iter().take(2).zip(["upperdir", "workdir"]).collect();
    let pair: String = pair.iter().map(|(fd, option)| format!(",{option}={}", name(fd))).collect();
    format!("lowerdir={}{pair}", lower.join(":")).into_bytes()
}

/// Why pods of a data directory cannot use overlays, if they cannot.
pub fn unsupported(data_dir: &Path) -> Option<String> {
    if !kernel_has_overlay() {
        return Some("the kernel has no overlayfs (load its module: modprobe overlay)".to_owned());
    }
    let file_system = rustix::fs::statfs(data_dir).ok()?.f_type;
    let unsuitable = UNSUITABLE.iter().find(|(magic, _)| u64::try_from(file_system) == Ok(*magic));
    if let Some((_, name)) = unsuitable {
        return Some(format!("\"{}\" is on {name}, which cannot hold overlays", data_dir.display()));
    }
    (!reports_types(data_dir))
        .then(|| format!("the file system of \"{}\" does not report file types (d_type)", data_dir.display()))
}

fn kernel_has_overlay() -> bool {
    let listed = || {
        let list = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        list.lines().any(|line| line.split_whitespace().last() == Some("overlay"))
    };
    if listed() {
        return true;
    }
    // A module that nobody has used yet is not listed; where there is no modprobe there are no modules.
    let _ = Command::new("modprobe").arg("overlay").stdout(Stdio::null()).stderr(Stdio::null()).status();
    listed()
}

fn reports_types(dir: &Path) -> bool {
    let Ok(dir) = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    else {
        return true;
    };
    let Ok(entries) = Dir::read_from(dir) else { return true };
    !entries.flatten().any(|entry| entry.file_type() == FileType::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_paths_are_escaped() {
        let options = options(&["/a:b".into(), "/c,d".into()], Path::new("/u:\\"), Path::new("/w,"));
        assert_eq!(
            String::from_utf8(options).unwrap(),
            "lowerdir=/a\\:b:/c\\,d,upperdir=/u:\\\\,workdir=/w\\,"
        );
    }

    #[test]
    fn many_layers_are_named_by_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let layers: Vec<PathBuf> = (0..3).map(|_| dir.path().to_owned()).collect();
        let overlay = Overlay {
            lower: &layers,
            upper: dir.path().to_owned(),
            work: dir.path().to_owned(),
            target: dir.path().to_owned(),
        };
        let opened = overlay.open_layers().unwrap();
        let options = String::from_utf8(short_options(&opened)).unwrap();
        let fd = |position: usize| opened[position].as_raw_fd();
        assert_eq!(
            options,
            format!(
                "lowerdir=/proc/self/fd/{}:/proc/self/fd/{}:/proc/self/fd/{},upperdir=/proc/self/fd/{},workdir=/proc/self/fd/{}",
                fd(2),
                fd(3),
                fd(4),
                fd(0),
                fd(1)
            )
        );
    }
}
