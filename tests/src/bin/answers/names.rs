//! What names do.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, symlink},
    },
    path::{Path, PathBuf},
};

use anyhow::Result;
use rustix::{
    fs::{
        AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, mkdirat, open, openat, renameat_with, rmdir, unlink,
    },
    io::Errno,
};

use crate::{Question, all, said};

pub const QUESTIONS: &[Question] = &[
    ("longest name", longest_name),
    ("longest path", longest_path),
    ("bytes in names", bytes_in_names),
    ("case of names", case),
    ("names that are not there", missing),
    ("wrong kinds", wrong_kinds),
    ("rename over things", rename_over),
    ("rename into itself", rename_into_itself),
    ("rename of an open file", rename_open),
    ("exchange", exchange),
    ("unlink of an open file", unlink_open),
    ("removed working directory", removed_directory),
    ("link counts", link_counts),
    ("links to links", links_to_links),
    ("loops of links", loops),
    ("trailing slashes", trailing_slashes),
    ("nameless file gets a name", nameless),
    ("entries while they are removed", listing_while_removing),
    ("many entries", many_entries),
    ("hard links to one file", many_links),
];

fn longest_name(dir: &Path) -> Result<String> {
    let name = |length| dir.join("n".repeat(length));
    all([
        said(File::create(name(255))),
        said(File::create(name(256))),
        said(fs::rename(name(255), name(256))),
        said(fs::create_dir(name(254))),
        said(symlink("x".repeat(4095), dir.join("link"))),
        said(symlink("x".repeat(4096), dir.join("link-2"))),
        said(fs::symlink_metadata(dir.join("link")).map(|is| is.len())),
        // Two bytes a letter.
        said(File::create(dir.join("ä".repeat(127)))),
        said(File::create(dir.join("ä".repeat(128)))),
    ])
}

/// Paths of 4 KiB from here, and deeper than that.
fn longest_path(dir: &Path) -> Result<String> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY;
    let mut here = open(dir, flags, Mode::empty())?;
    let name = "d".repeat(250);
    let mut path = PathBuf::new();
    let mut made = 0_u64;
    for _ in 0..20 {
        mkdirat(&here, name.as_str(), Mode::from_raw_mode(0o755))?;
        here = openat(&here, name.as_str(), flags, Mode::empty())?;
        path.push(&name);
        made += 1;
    }
    File::from(openat(&here, "deep", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o644))?)
        .write_all(b"x")?;
    let top = open(dir, flags, Mode::empty())?;
    let long = |length: usize| {
        let mut path = path.as_os_str().as_bytes()[..length].to_vec();
        // A path may not end in the middle of a name.
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        path.truncate(end);
        let pad = length - end;
        path.extend("/".repeat(pad).bytes());
        said(openat(&top, OsStr::from_bytes(&path), flags, Mode::empty()).map(drop))
    };
    let answers = [said(Ok::<_, Errno>(made)), long(4000), long(4095), long(4096)];
    fs::remove_dir_all(dir.join(&name))?;
    all(answers)
}

fn bytes_in_names(dir: &Path) -> Result<String> {
    let names: [&[u8]; 6] = [b"new\nline", b"\xff\xfe", b" ", b"-", b"\x01", "\u{202e}ab".as_bytes()];
    let made = names.map(|name| said(File::create(dir.join(OsStr::from_bytes(name)))));
    let mut found: Vec<_> = fs::read_dir(dir)?.flatten().map(|entry| entry.file_name()).collect();
    found.sort();
    all(made.into_iter().chain([format!("{found:?}"), said(File::create(dir.join("a\0b")))]))
}

fn case(dir: &Path) -> Result<String> {
    for name in ["a", "A", "ä", "a\u{308}"] {
        fs::write(dir.join(name), name)?;
    }
    let read = |name: &str| said(fs::read_to_string(dir.join(name)));
    all([fs::read_dir(dir)?.count().to_string(), read("a"), read("A"), read("ä"), read("Ä")])
}

fn missing(dir: &Path) -> Result<String> {
    let none = dir.join("none");
    all([
        said(File::open(&none)),
        said(fs::remove_file(&none)),
        said(fs::remove_dir(&none)),
        said(fs::rename(&none, dir.join("x"))),
        said(fs::create_dir(none.join("sub"))),
        said(fs::read_link(&none).map(drop)),
        said(fs::set_permissions(&none, fs::metadata(dir)?.permissions())),
        said(rustix::fs::statfs(&none).map(drop)),
    ])
}

fn wrong_kinds(dir: &Path) -> Result<String> {
    let (file, sub) = (dir.join("file"), dir.join("sub"));
    fs::write(&file, "")?;
    fs::create_dir(&sub)?;
    fs::write(sub.join("x"), "")?;
    all([
        said(fs::read_dir(&file).map(drop)),
        said(File::open(file.join("x"))),
        said(fs::write(&sub, "")),
        said(fs::remove_dir(&file)),
        said(unlink(&sub)),
        said(rmdir(&sub)),
        said(fs::read_link(&file).map(drop)),
        said(fs::rename(&file, &sub)),
        said(fs::rename(&sub, &file)),
        said(open(&file, OFlags::DIRECTORY, Mode::empty()).map(drop)),
        said(fs::create_dir(&file)),
        said(rmdir(sub.join("."))),
        said(rmdir(sub.join(".."))),
    ])
}

fn rename_over(dir: &Path) -> Result<String> {
    let (a, b, empty, full) = (dir.join("a"), dir.join("b"), dir.join("empty"), dir.join("full"));
    fs::write(&a, "a")?;
    fs::write(&b, "b")?;
    fs::create_dir(&empty)?;
    fs::create_dir(&full)?;
    fs::write(full.join("x"), "")?;
    all([
        said(renameat_with(CWD, &a, CWD, &b, RenameFlags::NOREPLACE)),
        said(fs::rename(&a, &b)),
        said(fs::read_to_string(&b)),
        said(fs::rename(&empty, &full)),
        said(fs::rename(&full, &empty)),
        said(fs::read_dir(&empty).map(|entries| entries.count() as u64)),
    ])
}

fn rename_into_itself(dir: &Path) -> Result<String> {
    let sub = dir.join("sub");
    fs::create_dir_all(sub.join("a/b"))?;
    fs::write(dir.join("file"), "")?;
    fs::hard_link(dir.join("file"), dir.join("same"))?;
    all([
        said(fs::rename(&sub, sub.join("a/b/c"))),
        said(fs::rename(&sub, &sub)),
        said(fs::rename(sub.join("a/b"), &sub)),
        // Two names of one file: nothing happens.
        said(fs::rename(dir.join("file"), dir.join("same"))),
        said(fs::symlink_metadata(dir.join("file")).map(|is| is.nlink())),
    ])
}

fn rename_open(dir: &Path) -> Result<String> {
    let (a, b) = (dir.join("a"), dir.join("b"));
    let mut file = File::options().read(true).write(true).create_new(true).open(&a)?;
    let mut old = File::options().read(true).write(true).create_new(true).open(&b)?;
    old.write_all(b"old")?;
    file.write_all(b"one ")?;
    fs::rename(&a, &b)?;
    file.write_all(b"two")?;
    let mut rest = String::new();
    std::os::unix::fs::FileExt::write_at(&old, b"OLD", 0)?;
    std::io::Seek::rewind(&mut old)?;
    old.read_to_string(&mut rest)?;
    all([
        said(fs::read_to_string(&b)),
        rest,
        said(old.metadata().map(|is| is.nlink())),
        said(file.metadata().map(|is| is.nlink())),
        said(fs::metadata(&a).map(drop)),
    ])
}

fn exchange(dir: &Path) -> Result<String> {
    let (file, sub) = (dir.join("file"), dir.join("sub"));
    fs::write(&file, "content")?;
    fs::create_dir(&sub)?;
    all([
        said(renameat_with(CWD, &file, CWD, &sub, RenameFlags::EXCHANGE)),
        said(fs::read_to_string(&sub)),
        said(renameat_with(CWD, &file, CWD, dir.join("none"), RenameFlags::EXCHANGE)),
        said(renameat_with(CWD, &file, CWD, &sub, RenameFlags::EXCHANGE | RenameFlags::NOREPLACE)),
    ])
}

fn unlink_open(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    file.write_all(b"before ")?;
    fs::remove_file(&path)?;
    fs::write(&path, "new")?;
    file.write_all(b"after")?;
    let mut text = String::new();
    std::io::Seek::rewind(&mut file)?;
    file.read_to_string(&mut text)?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o604))?;
    let again = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
    all([
        text,
        said(file.metadata().map(|is| format!("{} {:o} {}", is.nlink(), is.mode(), is.len()))),
        said(again),
        said(fs::read_to_string(&path)),
        said(linkat(&file, "", CWD, dir.join("back"), AtFlags::EMPTY_PATH)),
    ])
}

fn removed_directory(dir: &Path) -> Result<String> {
    let sub = dir.join("sub");
    fs::create_dir(&sub)?;
    let open_sub = open(&sub, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())?;
    fs::remove_dir(&sub)?;
    let create = openat(&open_sub, "x", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o644));
    let entries = rustix::fs::Dir::read_from(&open_sub).map(|entries| entries.count() as u64);
    all([
        said(create.map(drop)),
        said(entries),
        said(mkdirat(&open_sub, "x", Mode::from_raw_mode(0o755))),
        said(rustix::fs::fstat(&open_sub).map(|is| is.st_nlink)),
    ])
}

fn link_counts(dir: &Path) -> Result<String> {
    let count = |path: &Path| said(fs::symlink_metadata(path).map(|is| is.nlink()));
    let before = count(dir);
    fs::create_dir(dir.join("a"))?;
    fs::create_dir(dir.join("b"))?;
    fs::write(dir.join("file"), "")?;
    let full = count(dir);
    fs::hard_link(dir.join("file"), dir.join("a/file"))?;
    let linked = count(&dir.join("file"));
    fs::rename(dir.join("a"), dir.join("b/a"))?;
    all([before, full, linked, count(dir), count(&dir.join("b"))])
}

fn links_to_links(dir: &Path) -> Result<String> {
    symlink("file", dir.join("link"))?;
    let through = said(fs::write(dir.join("link"), "through"));
    let exclusive =
        open(dir.join("link"), OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY, Mode::from_raw_mode(0o644));
    all([
        through,
        said(fs::read_to_string(dir.join("file"))),
        said(exclusive.map(drop)),
        said(open(dir.join("link"), OFlags::NOFOLLOW, Mode::empty()).map(drop)),
        said(linkat(CWD, dir.join("link"), CWD, dir.join("of-link"), AtFlags::empty())),
        said(linkat(CWD, dir.join("link"), CWD, dir.join("of-file"), AtFlags::SYMLINK_FOLLOW)),
        said(fs::symlink_metadata(dir.join("of-link")).map(|is| format!("{}", is.is_symlink()))),
        said(fs::symlink_metadata(dir.join("of-file")).map(|is| format!("{}", is.is_symlink()))),
        said(symlink("", dir.join("empty"))),
    ])
}

fn loops(dir: &Path) -> Result<String> {
    symlink("b", dir.join("a"))?;
    symlink("a", dir.join("b"))?;
    symlink(".", dir.join("here"))?;
    fs::write(dir.join("file"), "x")?;
    let through = |times: usize| said(File::open(dir.join("here/".repeat(times)).join("file")));
    all([said(File::open(dir.join("a"))), through(40), through(41)])
}

fn trailing_slashes(dir: &Path) -> Result<String> {
    fs::write(dir.join("file"), "")?;
    fs::create_dir(dir.join("sub"))?;
    symlink("sub", dir.join("link"))?;
    let at = |name: &str| format!("{}/{name}", dir.display());
    all([
        said(File::open(at("file/"))),
        said(fs::create_dir(at("new/"))),
        said(File::create(at("other/"))),
        said(fs::rename(at("file"), at("moved/"))),
        said(fs::rename(at("sub"), at("moved/"))),
        said(fs::remove_file(at("link/"))),
        said(rmdir(at("link/"))),
        said(fs::symlink_metadata(at("new/.")).map(|is| format!("{}", is.is_dir()))),
    ])
}

fn nameless(dir: &Path) -> Result<String> {
    let mode = Mode::from_raw_mode(0o640);
    let mut file = File::from(open(dir, OFlags::TMPFILE | OFlags::RDWR, mode)?);
    file.write_all(b"content")?;
    let before = fs::read_dir(dir)?.count();
    let own = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let named = linkat(CWD, own, CWD, dir.join("named"), AtFlags::SYMLINK_FOLLOW);
    file.write_all(b" more")?;
    all([before.to_string(), said(named), said(fs::read_to_string(dir.join("named")))])
}

fn listing_while_removing(dir: &Path) -> Result<String> {
    for number in 0..150 {
        fs::write(dir.join(format!("{number:03}")), "")?;
    }
    let mut seen = BTreeSet::new();
    let mut twice = 0_u64;
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        fs::remove_file(dir.join(&name))?;
        twice += u64::from(!seen.insert(name));
    }
    all([seen.len().to_string(), twice.to_string(), fs::read_dir(dir)?.count().to_string()])
}

fn many_entries(dir: &Path) -> Result<String> {
    let wanted =
        std::env::var("ANSWERS_ENTRIES").ok().and_then(|count| count.parse().ok()).unwrap_or(300_u32);
    for number in 0..wanted {
        File::create(dir.join(format!("entry-{number}")))?;
    }
    let names: BTreeSet<_> = fs::read_dir(dir)?.flatten().map(|entry| entry.file_name()).collect();
    let complete = (0..wanted).all(|number| names.contains(OsStr::new(&format!("entry-{number}"))));
    let last = said(fs::metadata(dir.join(format!("entry-{}", wanted - 1))).map(|is| is.len()));
    for name in &names {
        fs::remove_file(dir.join(name))?;
    }
    all([
        (names.len() == wanted as usize).to_string(),
        complete.to_string(),
        last,
        fs::read_dir(dir)?.count().to_string(),
    ])
}

fn many_links(dir: &Path) -> Result<String> {
    fs::write(dir.join("file"), "")?;
    for number in 0..50 {
        fs::hard_link(dir.join("file"), dir.join(number.to_string()))?;
    }
    let inode = fs::metadata(dir.join("file"))?.ino();
    let same =
        (0..50).all(|number| fs::metadata(dir.join(number.to_string())).is_ok_and(|is| is.ino() == inode));
    all([said(fs::metadata(dir.join("7")).map(|is| is.nlink())), same.to_string()])
}
