//! A file that starts anew when it has grown, keeping a few of its predecessors.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    sync::Arc,
};

use rustix::{
    fs::{Mode, OFlags, openat, renameat},
    io::Errno,
};

/// How large a file gets, in bytes; Kubernetes' default.
const LIMIT: u64 = 10 << 20;
/// How many predecessors are kept, as `NAME.1`, the youngest, to `NAME.4`.
const KEPT: u32 = 4;
/// Readable by root and the group `rkt`.
const MODE: u32 = 0o640;

/// A file with its predecessors: together at most five times [`LIMIT`], and what was written last.
#[derive(Debug)]
pub struct RotatingFile {
    directory: Arc<OwnedFd>,
    name: String,
    limit: u64,
    file: Option<File>,
    length: u64,
    /// The file may end in the middle of a line.
    torn: bool,
}

impl RotatingFile {
    /// The file `name` in a directory, made when it is first written.
    pub fn new(directory: Arc<OwnedFd>, name: String) -> Self {
        RotatingFile { directory, name, limit: LIMIT, file: None, length: 0, torn: false }
    }

    /// Appends whole lines. When that fails some of them may be there, and the next ones start on a line of their own.
    pub fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.length > 0 && self.length + lines.len() as u64 > self.limit {
            self.rotate()?;
        }
        let (mut file, length) = match self.file.take() {
            Some(file) => (file, self.length),
            None => self.open()?,
        };
        let result = if self.torn { file.write_all(b"\n") } else { Ok(()) };
        let result = result.and_then(|()| file.write_all(lines));
        self.torn = result.is_err();
        self.length = match result {
            Ok(()) => length + lines.len() as u64,
            Err(_) => file.metadata().map_or(length, |metadata| metadata.len()),
        };
        self.file = Some(file);
        result
    }

    fn open(&self) -> io::Result<(File, u64)> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&self.directory, &self.name, flags, Mode::from_raw_mode(MODE))?);
        let length = file.metadata()?.len();
        Ok((file, length))
    }

    fn rotate(&mut self) -> io::Result<()> {
        let name = |number: u32| match number {
            0 => self.name.clone(),
            number => format!("{}.{number}", self.name),
        };
        for number in (0..KEPT).rev() {
            match renameat(&self.directory, name(number), &self.directory, name(number + 1)) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.file = None;
        self.length = 0;
        self.torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(directory: &std::path::Path, limit: u64) -> RotatingFile {
        let directory: OwnedFd = File::open(directory).unwrap().into();
        RotatingFile { limit, ..RotatingFile::new(Arc::new(directory), "web.log".into()) }
    }

    #[test]
    fn the_total_is_bounded_and_the_youngest_stay() {
        let root = tempfile::tempdir().unwrap();
        let mut log = file(root.path(), 100);
        for number in 0..1000 {
            log.write(format!("line {number:04}\n").as_bytes()).unwrap();
        }
        let mut names: Vec<_> =
            fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["web.log", "web.log.1", "web.log.2", "web.log.3", "web.log.4"]);
        let text: String = ["web.log.4", "web.log.3", "web.log.2", "web.log.1", "web.log"]
            .map(|name| fs::read_to_string(root.path().join(name)).unwrap())
            .concat();
        let lines: Vec<_> = text.lines().collect();
        assert!((40..=50).contains(&lines.len()), "{}", lines.len());
        let first = 1000 - lines.len();
        assert!(lines.iter().enumerate().all(|(at, line)| *line == format!("line {:04}", first + at)));
    }

    #[test]
    fn a_full_disk_loses_lines_and_recovers() {
        let root = tempfile::tempdir().unwrap();
        let mut log = file(root.path(), 100);
        log.write(b"kept\n").unwrap();
        log.file = Some(File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(log.write(b"lost\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        log.file = None;
        log.write(b"again\n").unwrap();
        assert_eq!(fs::read_to_string(root.path().join("web.log")).unwrap(), "kept\n\nagain\n");
    }

    #[test]
    fn what_was_there_stays() {
        let root = tempfile::tempdir().unwrap();
        file(root.path(), 100).write(b"before\n").unwrap();
        file(root.path(), 100).write(b"after\n").unwrap();
        assert_eq!(fs::read_to_string(root.path().join("web.log")).unwrap(), "before\nafter\n");
    }
}
