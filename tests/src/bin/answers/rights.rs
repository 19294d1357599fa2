//! Who may do what.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
};

use anyhow::{Result, bail};
use rustix::{
    fs::{
        Access, AtFlags, CWD, FlockOperation, Mode, OFlags, XattrFlags, accessat, flock, getxattr, open,
        setxattr,
    },
    io::Errno,
};

use crate::{Question, all, as_user, said, text};

pub const QUESTIONS: &[Question] = &[
    ("modes of a file for others", modes),
    ("modes of a directory for others", directory_modes),
    ("sticky directory", sticky),
    ("set-group-ID directory", set_group_id_directory),
    ("set-user-ID after a write by others", set_user_id_write),
    ("set-user-ID after truncation", set_user_id_truncate),
    ("set-user-ID after chown", set_user_id_chown),
    ("set-group-ID by one who is not in the group", set_group_id_stranger),
    ("chown by its owner", chown_by_owner),
    ("chmod by others", chmod_by_others),
    ("times by others", times_by_others),
    ("access", access),
    ("umask", umask),
    ("hard link to a foreign file", foreign_link),
    ("owner of what others make", owner_of_new),
    ("group class before others", group_class),
    ("mode of a link", link_mode),
    ("user attributes", user_attributes),
    ("access control list", access_control_list),
    ("open for reading without the right", read_without_right),
    ("execute bit of a script", execute_bit),
];

/// One operation, in a process of another user's.
pub fn act(words: &[&str]) -> Result<()> {
    match words {
        ["read", path] => drop(fs::read(path)?),
        ["write", path] => drop(OpenOptions::new().write(true).open(path)?),
        ["append", path] => {
            std::io::Write::write_all(&mut OpenOptions::new().append(true).open(path)?, b"x")?
        }
        ["truncate", path] => OpenOptions::new().write(true).open(path)?.set_len(0)?,
        ["create", path] => drop(OpenOptions::new().write(true).create_new(true).open(path)?),
        ["mkdir", path] => fs::create_dir(path)?,
        ["unlink", path] => fs::remove_file(path)?,
        ["rename", from, to] => fs::rename(from, to)?,
        ["link", from, to] => fs::hard_link(from, to)?,
        ["list", path] => drop(fs::read_dir(path)?),
        ["stat", path] => fs::symlink_metadata(path).map(|_| ())?,
        ["chmod", mode, path] => {
            fs::set_permissions(path, Permissions::from_mode(u32::from_str_radix(mode, 8)?))?
        }
        ["chown", user, group, path] => chown(path, user.parse().ok(), group.parse().ok())?,
        ["touch", path] => touch(path)?,
        ["set-times", path] => File::open(path)?.set_modified(std::time::UNIX_EPOCH)?,
        ["access", path] => accessat(CWD, *path, Access::READ_OK | Access::WRITE_OK, AtFlags::empty())?,
        ["lock", path] => flock(&File::open(path)?, FlockOperation::NonBlockingLockExclusive)?,
        ["hold", path] => {
            let file = File::open(path)?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            loop {
                std::thread::park();
            }
        }
        ["execute", path] => drop(std::process::Command::new(path).status()?),
        other => bail!("Unknown: {other:?}"),
    }
    Ok(())
}

fn touch(path: &str) -> Result<(), Errno> {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let now = rustix::fs::Timestamps { last_access: now, last_modification: now };
    rustix::fs::utimensat(CWD, path, &now, AtFlags::empty())
}

fn chmod(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

fn mode(path: &Path) -> String {
    said(fs::symlink_metadata(path).map(|is| format!("{:o}", is.mode())))
}

fn modes(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, "x")?;
    let mut answers = Vec::new();
    for bits in [0o600, 0o604, 0o602, 0o606, 0o000] {
        chmod(&path, bits)?;
        for operation in ["read", "write"] {
            answers.push(as_user(1000, &[operation, text(&path)?])?);
        }
    }
    all(answers)
}

fn directory_modes(dir: &Path) -> Result<String> {
    let sub = dir.join("sub");
    fs::create_dir(&sub)?;
    fs::write(sub.join("file"), "x")?;
    let mut answers = Vec::new();
    for bits in [0o700, 0o704, 0o701, 0o705, 0o703] {
        chmod(&sub, bits)?;
        answers.push(as_user(1000, &["list", text(&sub)?])?);
        answers.push(as_user(1000, &["stat", text(&sub.join("file"))?])?);
        answers.push(as_user(1000, &["create", text(&sub.join("new"))?])?);
    }
    all(answers)
}

fn sticky(dir: &Path) -> Result<String> {
    chmod(dir, 0o1777)?;
    let (own, foreign) = (dir.join("own"), dir.join("foreign"));
    fs::write(&foreign, "")?;
    let made = as_user(1000, &["create", text(&own)?])?;
    let by_other = as_user(1001, &["unlink", text(&own)?])?;
    let foreign_gone = as_user(1000, &["unlink", text(&foreign)?])?;
    let renamed = as_user(1001, &["rename", text(&own)?, text(&dir.join("new"))?])?;
    let replaced = as_user(1001, &["rename", text(&foreign)?, text(&own)?])?;
    let by_owner = as_user(1000, &["unlink", text(&own)?])?;
    all([made, by_other, foreign_gone, renamed, replaced, by_owner, mode(dir)])
}

fn set_group_id_directory(dir: &Path) -> Result<String> {
    let sub = dir.join("sub");
    fs::create_dir(&sub)?;
    chown(&sub, Some(1000), Some(4321))?;
    chmod(&sub, 0o2775)?;
    let made = as_user(1000, &["create", text(&sub.join("file"))?])?;
    let nested = as_user(1000, &["mkdir", text(&sub.join("sub"))?])?;
    let group = |name: &str| said(fs::metadata(sub.join(name)).map(|is| u64::from(is.gid())));
    all([made, nested, group("file"), group("sub"), mode(&sub.join("file")), mode(&sub.join("sub"))])
}

fn with_set_ids(dir: &Path, bits: u32) -> Result<std::path::PathBuf> {
    let path = dir.join("program");
    fs::write(&path, "#!/bin/sh\n")?;
    chmod(&path, bits)?;
    Ok(path)
}

fn set_user_id_write(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o6777)?;
    let by_other = as_user(1000, &["append", text(&path)?])?;
    let after = mode(&path);
    chmod(&path, 0o2767)?;
    // Without the right to execute it means mandatory locking.
    let mandatory = as_user(1000, &["append", text(&path)?])?;
    all([by_other, after, mandatory, mode(&path)])
}

fn set_user_id_truncate(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o6777)?;
    all([as_user(1000, &["truncate", text(&path)?])?, mode(&path)])
}

fn set_user_id_chown(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o6755)?;
    chown(&path, Some(1000), Some(1000))?;
    let after = mode(&path);
    chmod(&path, 0o6755)?;
    chown(&path, None, None)?;
    all([after, mode(&path)])
}

fn set_group_id_stranger(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o755)?;
    chown(&path, Some(1000), Some(4321))?;
    all([as_user(1000, &["chmod", "2755", text(&path)?])?, mode(&path)])
}

fn chown_by_owner(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o755)?;
    chown(&path, Some(1000), Some(1000))?;
    let path = text(&path)?;
    let to = |user: &str, group: &str| as_user(1000, &["chown", user, group, path]);
    all([to("1001", "-")?, to("-", "1001")?, to("-", "1000")?, to("1000", "-")?])
}

fn chmod_by_others(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o777)?;
    all([as_user(1000, &["chmod", "700", text(&path)?])?, mode(&path)])
}

fn times_by_others(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o644)?;
    let unwritable = as_user(1000, &["touch", text(&path)?])?;
    chmod(&path, 0o666)?;
    all([unwritable, as_user(1000, &["touch", text(&path)?])?, as_user(1000, &["set-times", text(&path)?])?])
}

fn access(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o640)?;
    let other = as_user(1000, &["access", text(&path)?])?;
    chmod(&path, 0o000)?;
    let root = said(accessat(CWD, &path, Access::READ_OK | Access::WRITE_OK, AtFlags::empty()));
    let execute = said(accessat(CWD, &path, Access::EXEC_OK, AtFlags::empty()));
    all([other, root, execute])
}

fn umask(dir: &Path) -> Result<String> {
    let old = rustix::process::umask(Mode::from_raw_mode(0o137));
    let made = fs::create_dir(dir.join("sub")).and_then(|()| File::create(dir.join("file")).map(drop));
    let special =
        rustix::fs::mknodat(CWD, dir.join("fifo"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o666), 0);
    rustix::process::umask(old);
    all([said(made), said(special), mode(&dir.join("sub")), mode(&dir.join("file")), mode(&dir.join("fifo"))])
}

fn foreign_link(dir: &Path) -> Result<String> {
    chmod(dir, 0o777)?;
    let path = with_set_ids(dir, 0o644)?;
    let missing = as_user(1000, &["link", text(&dir.join("none"))?, text(&dir.join("a"))?])?;
    all([missing, said(fs::hard_link(&path, dir.join("b"))), said(fs::hard_link(dir, dir.join("c")))])
}

fn owner_of_new(dir: &Path) -> Result<String> {
    chmod(dir, 0o777)?;
    let path = dir.join("file");
    let made = as_user(1000, &["create", text(&path)?])?;
    let is = fs::metadata(&path)?;
    all([made, format!("{}:{}", is.uid(), is.gid()), mode(&path)])
}

fn group_class(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o604)?;
    chown(&path, Some(0), Some(1000))?;
    let of_group = as_user(1000, &["read", text(&path)?])?;
    all([of_group, as_user(1001, &["read", text(&path)?])?])
}

fn link_mode(dir: &Path) -> Result<String> {
    fs::write(dir.join("file"), "")?;
    symlink("file", dir.join("link"))?;
    chmod(&dir.join("link"), 0o600)?;
    all([mode(&dir.join("link")), mode(&dir.join("file"))])
}

fn user_attributes(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o644)?;
    let set = |name: &str, value: &[u8], flags| said(setxattr(&path, name, value, flags));
    let mut answers = vec![
        set("user.one", b"1", XattrFlags::CREATE),
        set("user.one", b"2", XattrFlags::CREATE),
        set("user.two", b"2", XattrFlags::REPLACE),
        set("user.", b"x", XattrFlags::empty()),
        set("nonsense.x", b"x", XattrFlags::empty()),
    ];
    let mut value = [0; 8];
    let got = getxattr(&path, "user.one", &mut value);
    answers.push(said(got.map(|length| String::from_utf8_lossy(&value[..length]).into_owned())));
    answers.push(said(getxattr(&path, "user.none", &mut value).map(|length| length as u64)));
    answers.push(said(getxattr(&path, "user.one", &mut [0_u8; 0]).map(|length| length as u64)));
    all(answers)
}

/// Version 2, then tag, rights and id of each entry, as the kernel has them: user 1000 may read.
const ACL: [u8; 44] = [
    2, 0, 0, 0, // version
    1, 0, 6, 0, 255, 255, 255, 255, // owner: rw
    2, 0, 4, 0, 232, 3, 0, 0, // user 1000: r
    4, 0, 0, 0, 255, 255, 255, 255, // group
    16, 0, 4, 0, 255, 255, 255, 255, // mask: r
    32, 0, 0, 0, 255, 255, 255, 255, // others
];

fn access_control_list(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o600)?;
    let set = said(setxattr(&path, "system.posix_acl_access", &ACL, XattrFlags::empty()));
    let reads = as_user(1000, &["read", text(&path)?])?;
    let other = as_user(1001, &["read", text(&path)?])?;
    all([set, reads, other, mode(&path)])
}

fn read_without_right(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o200)?;
    chown(&path, Some(1000), Some(1000))?;
    let by_owner = as_user(1000, &["read", text(&path)?])?;
    let path_only = open(&path, OFlags::PATH, Mode::empty()).map(drop);
    all([by_owner, said(path_only), said(fs::read(&path).map(|bytes| bytes.len() as u64))])
}

fn execute_bit(dir: &Path) -> Result<String> {
    let path = with_set_ids(dir, 0o644)?;
    let without = as_user(0, &["execute", text(&path)?])?;
    chmod(&path, 0o755)?;
    let busy = OpenOptions::new().append(true).open(&path)?;
    let while_open = as_user(0, &["execute", text(&path)?])?;
    drop(busy);
    all([without, while_open, as_user(0, &["execute", text(&path)?])?])
}
