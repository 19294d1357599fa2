//! How files are named.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    thread,
};

use anyhow::{Context, Result, ensure};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, open, renameat_with, rmdir, unlink},
    io::Errno,
};

use crate::{Check, expect_error};

pub const CHECKS: &[Check] = &[
    ("rename", rename),
    ("rename-flags", rename_flags),
    ("rename-directory", rename_directory),
    ("unlinked", unlinked),
    ("hard-links", hard_links),
    ("symlinks", symlinks),
    ("tmpfile", tmpfile),
    ("tmpfile-exclusive", tmpfile_exclusive),
    ("directories", directories),
    ("many-entries", many_entries),
    ("long-names", long_names),
    ("exclusive-create", exclusive_create),
];

fn rename(dir: &Path) -> Result<()> {
    let (a, b) = (dir.join("a"), dir.join("b"));
    fs::write(&a, "new")?;
    fs::write(&b, "old")?;
    let mut replaced = File::open(&b)?;
    let inode = fs::metadata(&a)?.ino();
    fs::rename(&a, &b)?;
    ensure!(!a.exists() && fs::read(&b)? == b"new", "The name leads to the wrong file");
    ensure!(fs::metadata(&b)?.ino() == inode, "The inode changed");
    let mut old = String::new();
    replaced.read_to_string(&mut old)?;
    ensure!(
        old == "old" && replaced.metadata()?.nlink() == 0,
        "The replaced file is gone before it is closed"
    );
    fs::rename(&b, &b).context("Renaming a file to itself")?;
    Ok(())
}

fn rename_flags(dir: &Path) -> Result<()> {
    let (a, b) = (dir.join("a"), dir.join("b"));
    fs::write(&a, "a")?;
    fs::write(&b, "b")?;
    let refused = renameat_with(CWD, &a, CWD, &b, RenameFlags::NOREPLACE);
    expect_error("RENAME_NOREPLACE over a file", refused, Errno::EXIST)?;
    renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE)?;
    ensure!(fs::read(&a)? == b"b" && fs::read(&b)? == b"a", "RENAME_EXCHANGE does not");
    renameat_with(CWD, &a, CWD, dir.join("c"), RenameFlags::NOREPLACE)?;
    Ok(())
}

fn rename_directory(dir: &Path) -> Result<()> {
    let (from, to) = (dir.join("from"), dir.join("to"));
    fs::create_dir_all(from.join("sub"))?;
    fs::write(from.join("sub/file"), "x")?;
    fs::create_dir(&to)?;
    fs::rename(&from, &to).context("Over an empty directory")?;
    ensure!(fs::read(to.join("sub/file"))? == b"x", "The content stayed behind");
    ensure!(fs::metadata(to.join("sub/.."))?.ino() == fs::metadata(&to)?.ino(), "The parent is another");
    fs::create_dir(&from)?;
    expect_error("Renaming over a full directory", rustix::fs::rename(&from, &to), Errno::NOTEMPTY)?;
    expect_error("Renaming into oneself", rustix::fs::rename(&to, to.join("sub/x")), Errno::INVAL)?;
    Ok(())
}

/// A file lives until it is closed.
fn unlinked(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    file.write_all(b"before ")?;
    fs::remove_file(&path)?;
    file.write_all(b"after")?;
    file.seek(SeekFrom::Start(0))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    ensure!(text == "before after", "Reads {text:?}");
    ensure!(file.metadata()?.nlink() == 0, "{} names", file.metadata()?.nlink());
    file.set_len(3)?;
    fs::write(&path, "another")?;
    ensure!(file.metadata()?.len() == 3, "A new file of the same name is the old one");
    Ok(())
}

fn hard_links(dir: &Path) -> Result<()> {
    let (a, b, c) = (dir.join("a"), dir.join("b"), dir.join("c"));
    fs::write(&a, "one")?;
    fs::hard_link(&a, &b)?;
    let (of_a, of_b) = (fs::metadata(&a)?, fs::metadata(&b)?);
    ensure!(of_a.ino() == of_b.ino() && of_a.nlink() == 2 && of_b.nlink() == 2, "Not one file of two names");
    OpenOptions::new().append(true).open(&b)?.write_all(b" two")?;
    ensure!(fs::read(&a)? == b"one two", "A change by one name is not seen by the other");
    fs::remove_file(&a)?;
    ensure!(fs::metadata(&b)?.nlink() == 1 && fs::read(&b)? == b"one two", "The other name lost the file");
    expect_error("Linking to a name that exists", rustix::fs::link(&b, &b), Errno::EXIST)?;
    symlink(&b, &c)?;
    rustix::fs::link(&c, dir.join("link-to-link"))?;
    ensure!(
        fs::symlink_metadata(dir.join("link-to-link"))?.is_symlink(),
        "A link to a symlink is no symlink"
    );
    expect_error("Linking a directory", rustix::fs::link(dir, dir.join("d")), Errno::PERM)
}

fn symlinks(dir: &Path) -> Result<()> {
    symlink("target", dir.join("link"))?;
    ensure!(fs::read_link(dir.join("link"))? == Path::new("target"), "The target is another");
    ensure!(
        fs::metadata(dir.join("link")).is_err_and(|e| e.kind() == ErrorKind::NotFound),
        "A dangling link leads on"
    );
    fs::write(dir.join("link"), "through")?;
    ensure!(fs::read(dir.join("target"))? == b"through", "Writing through a link");
    symlink("loop", dir.join("loop"))?;
    expect_error("Opening a loop", open(dir.join("loop"), OFlags::RDONLY, Mode::empty()), Errno::LOOP)?;
    let nofollow = open(dir.join("link"), OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty());
    expect_error("O_NOFOLLOW", nofollow, Errno::LOOP)?;
    let long = "x/".repeat(2000);
    symlink(&long, dir.join("long"))?;
    ensure!(fs::read_link(dir.join("long"))? == Path::new(&long), "A long target is cut");
    Ok(())
}

/// Files without a name, and how they get one.
fn tmpfile(dir: &Path) -> Result<()> {
    let mut file = File::from(open(dir, OFlags::TMPFILE | OFlags::RDWR, Mode::from(0o640))?);
    file.write_all(b"nameless")?;
    file.seek(SeekFrom::Start(0))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    ensure!(text == "nameless", "Reads {text:?}");
    let metadata = file.metadata()?;
    ensure!(
        metadata.nlink() == 0 && metadata.len() == 8,
        "{} names, {} bytes",
        metadata.nlink(),
        metadata.len()
    );
    ensure!(fs::read_dir(dir)?.count() == 0, "It has a name");
    file.set_len(4)?;
    file.sync_all()?;
    let name = dir.join("named");
    linkat(&file, "", CWD, &name, AtFlags::EMPTY_PATH).context("Giving it a name")?;
    let named = fs::metadata(&name)?;
    ensure!(named.nlink() == 1 && named.ino() == metadata.ino() && named.len() == 4, "{named:?}");
    ensure!(named.mode() & 0o7777 == 0o640, "Mode {:o}", named.mode());
    file.seek(SeekFrom::End(0))?;
    file.write_all(b" and named")?;
    ensure!(fs::read(&name)? == b"name and named", "Reads {:?} by its name", fs::read(&name)?);
    fs::write(&name, "by name")?;
    file.seek(SeekFrom::Start(0))?;
    text.clear();
    file.read_to_string(&mut text)?;
    ensure!(text == "by name", "The first descriptor reads {text:?}");
    fs::rename(&name, dir.join("renamed"))?;
    fs::hard_link(dir.join("renamed"), dir.join("second"))?;
    ensure!(file.metadata()?.nlink() == 2, "{} names", file.metadata()?.nlink());
    fs::remove_file(dir.join("renamed"))?;
    drop(file);
    ensure!(fs::read(dir.join("second"))? == b"by name", "Gone when closed");

    // Through /proc, as programs without privilege do it.
    let other = File::from(open(dir, OFlags::TMPFILE | OFlags::WRONLY, Mode::from(0o600))?);
    (&other).write_all(b"by /proc")?;
    let magic = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&other));
    linkat(CWD, magic, CWD, dir.join("third"), AtFlags::SYMLINK_FOLLOW).context("Through /proc")?;
    drop(other);
    ensure!(fs::read(dir.join("third"))? == b"by /proc", "Reads something else");
    Ok(())
}

fn tmpfile_exclusive(dir: &Path) -> Result<()> {
    let file = open(dir, OFlags::TMPFILE | OFlags::RDWR | OFlags::EXCL, Mode::from(0o600))?;
    let refused = linkat(&file, "", CWD, dir.join("named"), AtFlags::EMPTY_PATH);
    expect_error("Naming an O_EXCL file", refused, Errno::NOENT)
}

fn directories(dir: &Path) -> Result<()> {
    let sub = dir.join("sub");
    fs::create_dir(&sub)?;
    ensure!(fs::metadata(dir)?.nlink() >= 2, "{} links", fs::metadata(dir)?.nlink());
    fs::write(sub.join("file"), "x")?;
    expect_error("Removing a full directory", rmdir(&sub), Errno::NOTEMPTY)?;
    expect_error("unlink of a directory", unlink(&sub), Errno::ISDIR)?;
    expect_error("rmdir of a file", rmdir(sub.join("file")), Errno::NOTDIR)?;
    expect_error("mkdir of what exists", rustix::fs::mkdir(&sub, Mode::from(0o755)), Errno::EXIST)?;
    fs::remove_file(sub.join("file"))?;
    let open = File::open(&sub)?;
    fs::remove_dir(&sub)?;
    let create = rustix::fs::openat(&open, "new", OFlags::CREATE | OFlags::WRONLY, Mode::from(0o644));
    expect_error("Creating in a removed directory", create, Errno::NOENT)?;
    let deep = (0..100).fold(dir.join("deep"), |path, level| path.join(format!("level-{level}")));
    fs::create_dir_all(&deep)?;
    fs::write(deep.join("file"), "deep")?;
    ensure!(fs::read(deep.join("file"))? == b"deep", "Lost in the deep");
    Ok(())
}

/// Every entry is read once, while some are removed; removing all works.
fn many_entries(dir: &Path) -> Result<()> {
    const ENTRIES: usize = 600;
    for entry in 0..ENTRIES {
        fs::write(dir.join(format!("entry-{entry}")), [])?;
    }
    let mut names = BTreeSet::new();
    let mut inodes = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        ensure!(names.insert(entry.file_name()), "{:?} comes twice", entry.file_name());
        inodes.insert(entry.metadata()?.ino());
    }
    ensure!(
        names.len() == ENTRIES && inodes.len() == ENTRIES,
        "{} names, {} inodes",
        names.len(),
        inodes.len()
    );
    let mut seen = 0;
    for entry in fs::read_dir(dir)? {
        fs::remove_file(entry?.path())?;
        seen += 1;
    }
    ensure!(seen == ENTRIES && fs::read_dir(dir)?.count() == 0, "{seen} removed, of {ENTRIES}");
    Ok(())
}

fn long_names(dir: &Path) -> Result<()> {
    let longest = "ä".repeat(127) + "x";
    fs::write(dir.join(&longest), "x")?;
    ensure!(
        fs::read_dir(dir)?.next().context("No entry")??.file_name() == longest.as_str(),
        "The name changed"
    );
    let longer = open(dir.join("x".repeat(256)), OFlags::CREATE | OFlags::WRONLY, Mode::from(0o644));
    expect_error("A name of 256 bytes", longer, Errno::NAMETOOLONG)?;
    for odd in [" ", "a\nb", "\\", "*", "\u{1}", "-", "..."] {
        fs::write(dir.join(odd), odd)?;
        ensure!(fs::read_to_string(dir.join(odd))? == odd, "Lost {odd:?}");
    }
    Ok(())
}

/// Of many that create a file with O_EXCL, one wins.
fn exclusive_create(dir: &Path) -> Result<()> {
    for round in 0..5 {
        let path = dir.join(format!("lock-{round}"));
        let winners = thread::scope(|scope| {
            let create = || OpenOptions::new().write(true).create_new(true).open(&path).is_ok();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|won| *won).count()
        });
        ensure!(winners == 1, "{winners} winners");
    }
    Ok(())
}
