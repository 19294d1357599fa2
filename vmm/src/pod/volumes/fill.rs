//! The first content of a volume: what the image has at the place where the volume hides it.
//!
//! The image chose every name and link, so nothing is followed but the way to the directory itself, and that within the
//! image. Files with several names become as many files.

use std::{
    ffi::CStr,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
        chmodat, chownat, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, futimens, mkdirat,
        mknodat, open, openat, openat2, readlinkat, statat, symlinkat, utimensat,
    },
    io::Errno,
};

/// How deep directories are followed.
const MAX_DEPTH: usize = 200;
/// Extended attributes that mean the same wherever a file is; others are the file system's own.
const KEPT_ATTRIBUTES: [&str; 3] = ["user.", "security.capability", "system.posix_acl_"];

/// Copies what the directory `path` of the image at `rootfs` holds, with the directory's own attributes, into the
/// directory `volume`. An image without that directory has nothing to copy.
pub fn fill(volume: &Path, rootfs: &Path, path: &str) -> io::Result<()> {
    let read = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(rootfs, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let source = match openat2(&root, path, read, Mode::empty(), within) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let target = open(volume, read | OFlags::NOFOLLOW, Mode::empty())?;
    copy_directory(&source, &target, MAX_DEPTH)
}

fn copy_directory(from: &OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<()> {
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy(from, to, name, depth)?;
        }
    }
    copy_attributes(from, to)
}

fn copy(from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> io::Result<()> {
    let status = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(status.st_mode);
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match kind {
        FileType::Directory => {
            let deeper = depth.checked_sub(1).ok_or(Errno::NAMETOOLONG)?;
            mkdirat(to, name, Mode::RWXU)?;
            let source = openat(from, name, read | OFlags::DIRECTORY, Mode::empty())?;
            let target = openat(to, name, read | OFlags::DIRECTORY, Mode::empty())?;
            copy_directory(&source, &target, deeper)
        }
        FileType::RegularFile => {
            let source = openat(from, name, read, Mode::empty())?;
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let target = openat(to, name, create, Mode::RUSR | Mode::WUSR)?;
            let (mut source, mut target) = (File::from(source), File::from(target));
            io::copy(&mut source, &mut target)?;
            copy_attributes(&source, &target)
        }
        FileType::Symlink => {
            symlinkat(readlinkat(from, name, Vec::new())?, to, name)?;
            copy_status(to, name, &status)
        }
        kind => {
            mknodat(to, name, kind, Mode::RUSR | Mode::WUSR, status.st_rdev)?;
            copy_status(to, name, &status)?;
            Ok(chmodat(to, name, Mode::from_raw_mode(status.st_mode), AtFlags::empty())?)
        }
    }
}

/// Owner and times of something that is not opened.
fn copy_status(to: &OwnedFd, name: &CStr, status: &Stat) -> io::Result<()> {
    let owner = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    chownat(to, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(utimensat(to, name, &times(status), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Owner, mode, extended attributes and times; in this order, because each resets some of the next.
fn copy_attributes(from: &impl AsFd, to: &impl AsFd) -> io::Result<()> {
    let status = fstat(from)?;
    fchown(to, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))?;
    fchmod(to, Mode::from_raw_mode(status.st_mode))?;
    copy_extended_attributes(from, to)?;
    Ok(futimens(to, &times(&status))?)
}

fn copy_extended_attributes(from: &impl AsFd, to: &impl AsFd) -> io::Result<()> {
    // As long as the kernel lets lists and values be (XATTR_LIST_MAX, XATTR_SIZE_MAX).
    let mut list = vec![0; 64 << 10];
    let length = match flistxattr(from, list.as_mut_slice()) {
        Err(Errno::NOTSUP) => 0,
        other => other?,
    };
    let mut value = Vec::new();
    for name in list[..length].split(|byte| *byte == 0).filter_map(|name| str::from_utf8(name).ok()) {
        if KEPT_ATTRIBUTES.iter().any(|kept| name.starts_with(kept)) {
            value.resize(64 << 10, 0);
            let length = fgetxattr(from, name, value.as_mut_slice())?;
            fsetxattr(to, name, &value[..length], XattrFlags::empty())?;
        }
    }
    Ok(())
}

fn times(status: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as i64 };
    Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
        process::Command,
    };

    use super::*;

    #[test]
    fn everything_comes_along_with_its_attributes() {
        let image = tempfile::tempdir().unwrap();
        let volume = tempfile::tempdir().unwrap();
        let data = image.path().join("var/lib/data");
        fs::create_dir_all(data.join("deep/er")).unwrap();
        fs::write(data.join("deep/er/file"), "content").unwrap();
        fs::set_permissions(data.join("deep/er/file"), fs::Permissions::from_mode(0o4751)).unwrap();
        symlink("/etc/passwd", data.join("link")).unwrap();
        assert!(Command::new("mkfifo").arg(data.join("fifo")).status().unwrap().success());
        for path in [data.clone(), data.join("deep/er/file"), data.join("fifo")] {
            std::os::unix::fs::lchown(path, Some(70), Some(71)).unwrap();
        }
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(data.join("deep/er/file"), fs::Permissions::from_mode(0o4751)).unwrap();

        fill(volume.path(), image.path(), "/var/lib/data").unwrap();

        let owner = |path: &Path| {
            let metadata = path.symlink_metadata().unwrap();
            (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
        };
        assert_eq!(owner(volume.path()), (70, 71, 0o700));
        let copy = volume.path().join("deep/er/file");
        assert_eq!(owner(&copy), (70, 71, 0o4751));
        assert_eq!(fs::read_to_string(&copy).unwrap(), "content");
        let modified = |path: &Path| path.metadata().unwrap().modified().unwrap();
        assert_eq!(modified(&copy), modified(&data.join("deep/er/file")));
        assert_eq!(fs::read_link(volume.path().join("link")).unwrap(), Path::new("/etc/passwd"));
        let fifo = volume.path().join("fifo");
        assert!(fifo.symlink_metadata().unwrap().file_type().is_fifo());
        assert_eq!(owner(&fifo).0, 70);
    }

    #[test]
    fn links_of_the_image_lead_nowhere_else() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "").unwrap();
        let image = outside.path().join("rootfs");
        fs::create_dir_all(image.join("real")).unwrap();
        fs::write(image.join("real/file"), "").unwrap();
        symlink("../../../real", image.join("relative")).unwrap();
        symlink(outside.path(), image.join("absolute")).unwrap();
        for (path, expected) in
            [("/relative", vec!["file"]), ("/absolute", vec![]), ("/../../..", vec!["absolute", "real"])]
        {
            let volume = tempfile::tempdir().unwrap();
            fill(volume.path(), &image, path).unwrap();
            let names = fs::read_dir(volume.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.retain(|name| name != "relative");
            names.sort();
            assert_eq!(names, expected, "{path}");
        }
    }

    #[test]
    fn depth_has_an_end() {
        let image = tempfile::tempdir().unwrap();
        let mut path = image.path().join("data");
        for _ in 0..MAX_DEPTH + 2 {
            path.push("d");
        }
        fs::create_dir_all(&path).unwrap();
        let volume = tempfile::tempdir().unwrap();
        let error = fill(volume.path(), image.path(), "/data").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENAMETOOLONG));
    }
}
