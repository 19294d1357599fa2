//! What times say.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    thread::sleep,
    time::Duration,
};

use anyhow::Result;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

use crate::{Question, all, said};

pub const QUESTIONS: &[Question] = &[
    ("nanoseconds", nanoseconds),
    ("times before 1970 and after 2038", far_times),
    ("only one of the times", only_one),
    ("times of a link", link_times),
    ("what changes a file's times", file_changes),
    ("what changes a directory's times", directory_changes),
    ("times of an open file", open_file),
    ("time after a write through a mapping", mapping_time),
];

/// More than the kernel's clock tick, by which times are taken.
const TICK: Duration = Duration::from_millis(30);

fn set(path: &Path, access: (i64, i64), modification: (i64, i64), flags: AtFlags) -> String {
    let time = |(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time(access), last_modification: time(modification) };
    said(utimensat(CWD, path, &times, flags))
}

fn shown(path: &Path) -> String {
    let of =
        |is: fs::Metadata| format!("{}.{} {}.{}", is.atime(), is.atime_nsec(), is.mtime(), is.mtime_nsec());
    said(fs::symlink_metadata(path).map(of))
}

fn nanoseconds(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, "")?;
    all([set(&path, (1, 2), (1_000_000_000, 999_999_999), AtFlags::empty()), shown(&path)])
}

fn far_times(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, "")?;
    let mut answers = Vec::new();
    for seconds in [-1, -2_147_483_648, 2_147_483_648, 4_294_967_296, 9_999_999_999] {
        answers.push(set(&path, (seconds, 5), (seconds, 0), AtFlags::empty()));
        answers.push(shown(&path));
    }
    all(answers)
}

fn only_one(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, "")?;
    let omit = (0, UTIME_OMIT);
    all([
        set(&path, (1, 1), (2, 2), AtFlags::empty()),
        set(&path, (3, 3), omit, AtFlags::empty()),
        shown(&path),
        set(&path, omit, (4, 4), AtFlags::empty()),
        shown(&path),
        set(&path, (0, 1_000_000_000), (0, 0), AtFlags::empty()),
        set(&path, (0, UTIME_NOW), omit, AtFlags::empty()),
        said(fs::metadata(&path).map(|is| format!("{}", is.atime() > 1_000_000_000))),
    ])
}

fn link_times(dir: &Path) -> Result<String> {
    let link = dir.join("link");
    symlink("nowhere", &link)?;
    all([
        set(&link, (1, 1), (2, 2), AtFlags::empty()),
        set(&link, (1, 1), (2, 2), AtFlags::SYMLINK_NOFOLLOW),
        shown(&link),
    ])
}

/// Which of modification and change time move: `m`, `c`, `mc` or `-`.
fn moved(path: &Path, act: impl FnOnce() -> Result<()>) -> Result<String> {
    let times = || {
        fs::symlink_metadata(path).map(|is| ((is.mtime(), is.mtime_nsec()), (is.ctime(), is.ctime_nsec())))
    };
    let before = times()?;
    sleep(TICK);
    act()?;
    let after = times()?;
    let mark = |moved: bool, mark: &str| if moved { mark.to_owned() } else { String::new() };
    let marks = mark(before.0 != after.0, "m") + &mark(before.1 != after.1, "c");
    Ok(if marks.is_empty() { "-".to_owned() } else { marks })
}

fn file_changes(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, "content")?;
    all([
        moved(&path, || Ok(OpenOptions::new().append(true).open(&path)?.write_all(b"x")?))?,
        moved(&path, || Ok(fs::set_permissions(&path, Permissions::from_mode(0o600))?))?,
        moved(&path, || Ok(std::os::unix::fs::chown(&path, Some(1), Some(1))?))?,
        moved(&path, || Ok(fs::hard_link(&path, dir.join("link"))?))?,
        moved(&path, || Ok(fs::remove_file(dir.join("link"))?))?,
        moved(&path, || {
            Ok(fs::rename(&path, dir.join("x")).and_then(|()| fs::rename(dir.join("x"), &path))?)
        })?,
        moved(&path, || Ok(OpenOptions::new().write(true).open(&path)?.set_len(3)?))?,
        moved(&path, || Ok(OpenOptions::new().write(true).open(&path)?.set_len(3)?))?,
        moved(&path, || Ok(fs::read(&path).map(drop)?))?,
        moved(&path, || Ok(rustix::fs::setxattr(&path, "user.x", b"1", rustix::fs::XattrFlags::empty())?))?,
        moved(&path, || Ok(OpenOptions::new().write(true).truncate(true).open(&path).map(drop)?))?,
    ])
}

fn directory_changes(dir: &Path) -> Result<String> {
    let (a, b) = (dir.join("a"), dir.join("b"));
    all([
        moved(dir, || Ok(fs::write(&a, "")?))?,
        moved(dir, || Ok(fs::write(&a, "more")?))?,
        moved(dir, || Ok(fs::rename(&a, &b)?))?,
        moved(dir, || Ok(fs::create_dir(&a)?))?,
        moved(dir, || Ok(fs::write(a.join("inside"), "")?))?,
        moved(dir, || Ok(fs::remove_file(&b)?))?,
        moved(dir, || Ok(fs::set_permissions(dir, Permissions::from_mode(0o700))?))?,
        moved(dir, || Ok(fs::read_dir(dir).map(drop)?))?,
    ])
}

fn open_file(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    let mut file = File::create(&path)?;
    let written = moved(&path, || Ok(file.write_all(b"x")?))?;
    let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + Duration::new(7, 8));
    file.set_times(times)?;
    let before = shown(&path);
    drop(file);
    // Closing must not bring back what was written before.
    all([
        written,
        said(Ok::<_, std::io::Error>(before.split(' ').next_back().unwrap_or_default().to_owned())),
        {
            let after = shown(&path);
            after.split(' ').next_back().unwrap_or_default().to_owned()
        },
    ])
}

fn mapping_time(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, [1; 4096])?;
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let change = || -> Result<()> {
        let mut mapping = crate::data::Mapping::new(&file, 4096)?;
        mapping.bytes()[0] = 2;
        mapping.sync()
    };
    moved(&path, change)
}
