//! Mounts below a directory, and getting rid of them.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};

/// Where this process sees its mounts.
const MOUNT_INFO: &str = "/proc/self/mountinfo";

/// Mount points at and below `dir`, those made last first: they may hide earlier ones.
pub fn mounts_below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut points = mount_points(&std::fs::read(MOUNT_INFO)?);
    points.retain(|point| point.starts_with(dir));
    points.reverse();
    Ok(points)
}

/// Whether something is mounted exactly at `dir`.
pub fn is_mount_point(dir: &Path) -> io::Result<bool> {
    Ok(mount_points(&std::fs::read(MOUNT_INFO)?).iter().any(|point| point == dir))
}

/// Unmounts everything at and below `dir`. What is busy is detached: it goes when its last user does. No other
/// mount namespace is affected.
pub fn unmount_below(dir: &Path) -> io::Result<()> {
    let points = mounts_below(dir)?;
    for point in &points {
        ignore_unmounted(mount_change(point, MountPropagationFlags::PRIVATE))?;
    }
    for point in &points {
        match unmount(point, UnmountFlags::NOFOLLOW) {
            Err(Errno::BUSY) => {
                ignore_unmounted(unmount(point, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH))?
            }
            result => ignore_unmounted(result)?,
        }
    }
    Ok(())
}

/// Somebody else may have unmounted it meanwhile.
fn ignore_unmounted(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        other => Ok(other?),
    }
}

/// The fifth field of each line of mountinfo (proc(5)).
fn mount_points(mount_info: &[u8]) -> Vec<PathBuf> {
    let lines = mount_info.split(|byte| *byte == b'\n');
    lines.filter_map(|line| Some(unescape(line.split(|byte| *byte == b' ').nth(4)?))).collect()
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        match tail.first_chunk::<3>().filter(|_| byte == b'\\').and_then(octal) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &tail[3..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn octal(digits: &[u8; 3]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mount_points_are_the_fifth_field() {
        let info = b"22 1 0:21 / /sys rw - sysfs sysfs rw\n23 22 0:6 / /a\\040b\\134c\\0 rw - x y\nbroken\n";
        assert_eq!(mount_points(info), [PathBuf::from("/sys"), PathBuf::from("/a b\\c\\0")]);
    }

    #[test]
    fn this_process_has_mounts() {
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        assert!(mounts_below(Path::new("/")).unwrap().contains(&PathBuf::from("/proc")));
        assert!(mounts_below(Path::new("/no/such/dir")).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = mount_points(&line);
        }
    }
}
