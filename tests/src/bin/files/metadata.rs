//! What is known of files beside their bytes and names.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
    path::Path,
    thread::sleep,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    fs::{XattrFlags, getxattr, listxattr, removexattr, setxattr, statvfs},
    io::Errno,
};

use crate::{Check, expect_error};

pub const CHECKS: &[Check] = &[
    ("modes", modes),
    ("owners", owners),
    ("set-user-id", set_user_id),
    ("times", times),
    ("xattrs", xattrs),
    ("capabilities", capabilities),
    ("sizes", sizes),
    ("inodes", inodes),
    ("statfs", statfs),
];

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::symlink_metadata(path)?.mode() & 0o7777)
}

fn modes(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    fs::write(&path, "x")?;
    for bits in [0, 0o600, 0o1777, 0o2755, 0o4711, 0o7777] {
        fs::set_permissions(&path, Permissions::from_mode(bits))?;
        ensure!(mode(&path)? == bits, "{bits:o} becomes {:o}", mode(&path)?);
    }
    let old = rustix::process::umask(0o027.into());
    let made = fs::create_dir(dir.join("sub")).and_then(|()| fs::write(dir.join("new"), ""));
    rustix::process::umask(old);
    made?;
    ensure!(mode(&dir.join("sub"))? == 0o750 && mode(&dir.join("new"))? == 0o640, "The umask is not heeded");
    // New entries of a set-group-ID directory have its group.
    chown(dir.join("sub"), None, Some(4321))?;
    fs::set_permissions(dir.join("sub"), Permissions::from_mode(0o2755))?;
    fs::write(dir.join("sub/file"), "")?;
    ensure!(fs::metadata(dir.join("sub/file"))?.gid() == 4321, "The directory's group is not inherited");
    fs::create_dir(dir.join("sub/sub"))?;
    ensure!(mode(&dir.join("sub/sub"))? & 0o2000 != 0, "Set-group-ID is not inherited");
    Ok(())
}

fn owners(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    fs::write(&path, "x")?;
    chown(&path, Some(1234), Some(5678))?;
    let metadata = fs::metadata(&path)?;
    ensure!((metadata.uid(), metadata.gid()) == (1234, 5678), "{}:{}", metadata.uid(), metadata.gid());
    chown(&path, None, Some(9))?;
    ensure!(fs::metadata(&path)?.uid() == 1234, "The user changed with the group");
    symlink("file", dir.join("link"))?;
    lchown(dir.join("link"), Some(7), Some(7))?;
    ensure!(fs::symlink_metadata(dir.join("link"))?.uid() == 7, "lchown does not");
    ensure!(fs::metadata(&path)?.uid() == 1234, "lchown follows the link");
    Ok(())
}

/// chown takes set-user-ID away.
fn set_user_id(dir: &Path) -> Result<()> {
    let path = dir.join("program");
    fs::write(&path, "x")?;
    fs::set_permissions(&path, Permissions::from_mode(0o6755))?;
    chown(&path, Some(1000), Some(1000))?;
    ensure!(mode(&path)? == 0o755, "{:o} after chown", mode(&path)?);
    Ok(())
}

fn times(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    fs::write(&path, "x")?;
    let file = OpenOptions::new().write(true).open(&path)?;
    let past = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    let times = fs::FileTimes::new().set_accessed(past).set_modified(past + Duration::from_secs(1));
    file.set_times(times)?;
    drop(file);
    let metadata = fs::metadata(&path)?;
    ensure!(metadata.accessed()? == past, "atime is {:?}", metadata.accessed()?);
    ensure!(metadata.modified()? == past + Duration::from_secs(1), "mtime is {:?}", metadata.modified()?);
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    sleep(Duration::from_millis(20));
    OpenOptions::new().append(true).open(&path)?.write_all(b"y")?;
    let written = fs::metadata(&path)?;
    ensure!(written.modified()? > past + Duration::from_secs(100), "A write does not change mtime");
    ensure!((written.ctime(), written.ctime_nsec()) > changed, "A write does not change ctime");
    let before = fs::metadata(dir)?.modified()?;
    sleep(Duration::from_millis(20));
    fs::write(dir.join("new"), "")?;
    ensure!(fs::metadata(dir)?.modified()? > before, "A new entry does not change its directory's mtime");
    let before = (written.ctime(), written.ctime_nsec());
    sleep(Duration::from_millis(20));
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    let after = fs::metadata(&path)?;
    ensure!((after.ctime(), after.ctime_nsec()) > before, "chmod does not change ctime");
    Ok(())
}

fn value(path: &Path, name: &str) -> rustix::io::Result<Vec<u8>> {
    let mut value = vec![0; 5000];
    let len = getxattr(path, name, &mut value[..])?;
    value.truncate(len);
    Ok(value)
}

fn xattrs(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    fs::write(&path, "x")?;
    for path in [path.as_path(), dir] {
        expect_error("An attribute that is not there", value(path, "user.none"), Errno::NODATA)?;
        setxattr(path, "user.one", b"1", XattrFlags::empty()).context("Setting")?;
        setxattr(path, "user.empty", b"", XattrFlags::CREATE)?;
        let again = setxattr(path, "user.one", b"2", XattrFlags::CREATE);
        expect_error("XATTR_CREATE of what exists", again, Errno::EXIST)?;
        let missing = setxattr(path, "user.none", b"2", XattrFlags::REPLACE);
        expect_error("XATTR_REPLACE of what does not", missing, Errno::NODATA)?;
        setxattr(path, "user.one", b"\0two\xff", XattrFlags::REPLACE)?;
        ensure!(
            value(path, "user.one")? == b"\0two\xff" && value(path, "user.empty")?.is_empty(),
            "Values differ"
        );
        setxattr(path, "user.long", &[7; 3000], XattrFlags::empty()).context("3000 bytes")?;
        ensure!(value(path, "user.long")? == [7; 3000], "A long value differs");
        expect_error("A buffer too small", getxattr(path, "user.long", &mut [0; 10][..]), Errno::RANGE)?;
        let mut list = vec![0; 5000];
        let len = listxattr(path, &mut list[..])?;
        let names: BTreeSet<&[u8]> = list[..len].split(|&b| b == 0).filter(|name| !name.is_empty()).collect();
        for name in ["user.one", "user.empty", "user.long"] {
            ensure!(names.contains(name.as_bytes()), "{name} is not listed");
        }
        removexattr(path, "user.one")?;
        expect_error("A removed attribute", value(path, "user.one"), Errno::NODATA)?;
        expect_error("Removing it again", removexattr(path, "user.one"), Errno::NODATA)?;
    }
    Ok(())
}

/// File capabilities, which a write takes away.
fn capabilities(dir: &Path) -> Result<()> {
    const NAME: &str = "security.capability";
    let path = dir.join("program");
    fs::write(&path, "x")?;
    // Version 2, CAP_NET_RAW permitted and effective.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    setxattr(&path, NAME, &capability, XattrFlags::empty())?;
    ensure!(value(&path, NAME)? == capability, "The capability is another");
    let mut file = OpenOptions::new().append(true).open(&path)?;
    file.write_all(b"y")?;
    file.sync_all()?;
    expect_error("The capability after a write", value(&path, NAME), Errno::NODATA)
}

/// Size and blocks keep up with writes, whoever asks.
fn sizes(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    let mut file = File::create(&path)?;
    for step in 1..=50_u64 {
        file.write_all(&[1; 777])?;
        ensure!(fs::metadata(&path)?.len() == step * 777, "By name, {} bytes", fs::metadata(&path)?.len());
        ensure!(file.metadata()?.len() == step * 777, "By descriptor, {} bytes", file.metadata()?.len());
    }
    file.sync_all()?;
    // A guest may remember for a moment what its host said of the blocks before.
    sleep(Duration::from_millis(100));
    let blocks = fs::metadata(&path)?.blocks();
    ensure!((76..200).contains(&blocks), "{blocks} blocks for 38850 bytes");
    Ok(())
}

/// Inode numbers tell files apart, and stay.
fn inodes(dir: &Path) -> Result<()> {
    let mut known = Vec::new();
    for name in 0..50 {
        let path = dir.join(name.to_string());
        fs::write(&path, "x")?;
        known.push((fs::metadata(&path)?.ino(), path));
    }
    let distinct: BTreeSet<u64> = known.iter().map(|(inode, _)| *inode).collect();
    ensure!(distinct.len() == 50, "{} inode numbers of 50 files", distinct.len());
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
    for (inode, path) in known {
        ensure!(fs::metadata(&path)?.ino() == inode, "The number of {path:?} changed");
    }
    Ok(())
}

fn statfs(dir: &Path) -> Result<()> {
    let stat = statvfs(dir)?;
    ensure!(
        stat.f_blocks > 0 && stat.f_bfree > 0 && stat.f_namemax == 255,
        "{} blocks, {} free",
        stat.f_blocks,
        stat.f_bfree
    );
    Ok(())
}
