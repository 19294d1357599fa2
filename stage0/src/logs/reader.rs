//! Reads the log of an app from its oldest file to the end of the youngest, and on as that grows and is rotated.

use std::fs::{File, metadata};
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Record;

/// The longest line that is read, in bytes; longer ones are no records and passed over.
const MAX_LINE: usize = 1 << 20;
/// As many rotated files as are looked for.
const MAX_FILES: u32 = 100;

/// A log that is being read.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    current: Option<Current>,
    line: Vec<u8>,
}

/// A file, which keeps its identity when it gets another name.
#[derive(Debug)]
struct Current {
    file: BufReader<File>,
    identity: (u64, u64),
}

impl LogReader {
    /// The log of the app `app` in the directory `logs`. It need not be there yet.
    pub fn new(logs: &Path, app: &str) -> Self {
        Self { path: logs.join(format!("{app}.log")), current: None, line: Vec::new() }
    }

    /// The next record; `None` at the end, where more may come later.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(current) = &mut self.current else {
                self.current = self.open_oldest()?;
                if self.current.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if read_line(&mut current.file, &mut self.line)? {
                let record = self.line.strip_suffix(b"\n").and_then(Record::parse);
                self.line.clear();
                if record.is_some() {
                    return Ok(record);
                }
            } else if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// At the end of a file: goes on to the next one; false if there is none.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(current) = &mut self.current else { return Ok(false) };
        let place = (0..MAX_FILES).find(|number| {
            metadata(name(&self.path, *number))
                .is_ok_and(|found| (found.dev(), found.ino()) == current.identity)
        });
        if place == Some(0) {
            return Ok(false);
        }
        // It is not written any more, but may have been between the last look and its end as the youngest.
        if !current.file.fill_buf()?.is_empty() {
            return Ok(true);
        }
        let next = match place {
            // The youngest is only made when there is something to write.
            Some(number) => open(&name(&self.path, number - 1))?,
            // Rotated away while it was read.
            None => self.open_oldest()?,
        };
        let found = next.is_some();
        if found || place.is_none() {
            self.line.clear();
            self.current = next;
        }
        Ok(found)
    }

    fn open_oldest(&self) -> io::Result<Option<Current>> {
        let exists = |number: &u32| name(&self.path, *number).exists();
        let oldest = (1..MAX_FILES).take_while(exists).last().unwrap_or(0);
        open(&name(&self.path, oldest))
    }
}

/// The file with so many younger ones.
fn name(path: &Path, number: u32) -> PathBuf {
    match number {
        0 => path.to_owned(),
        number => path.with_extension(format!("log.{number}")),
    }
}

fn open(path: &Path) -> io::Result<Option<Current>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    Ok(Some(Current { file: BufReader::new(file), identity: (found.dev(), found.ino()) }))
}

/// Adds to `line` up to its end; false if the file ends before.
fn read_line(file: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let there = match file.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            there => there?,
        };
        if there.is_empty() {
            return Ok(false);
        }
        let end = there.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let length = end.unwrap_or(there.len());
        if line.len() + length <= MAX_LINE {
            line.extend_from_slice(&there[..length]);
        }
        file.consume(length);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{OpenOptions, rename, write};
    use std::io::Write;

    use super::*;

    fn line(text: &str) -> String {
        format!("2026-01-01T00:00:00.000000000Z stdout F {text}\n")
    }

    fn texts(reader: &mut LogReader) -> Vec<String> {
        let next = || reader.next_record().unwrap().map(|record| String::from_utf8(record.text).unwrap());
        std::iter::from_fn(next).collect()
    }

    fn append(path: &Path, text: &str) {
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn files_are_read_oldest_first() {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [("web.log", "3"), ("web.log.1", "2"), ("web.log.2", "1"), ("web.log.4", "lost")]
        {
            write(root.path().join(name), line(text)).unwrap();
        }
        assert_eq!(texts(&mut LogReader::new(root.path(), "web")), ["1", "2", "3"]);
    }

    #[test]
    fn a_growing_log_is_followed_through_rotations() {
        let root = tempfile::tempdir().unwrap();
        let (log, first, second) =
            (root.path().join("web.log"), root.path().join("web.log.1"), root.path().join("web.log.2"));
        let mut reader = LogReader::new(root.path(), "web");
        assert!(texts(&mut reader).is_empty());
        append(&log, &line("a"));
        assert_eq!(texts(&mut reader), ["a"]);
        // The second half of a line comes later.
        let whole = line("b");
        append(&log, &whole[..40]);
        assert!(texts(&mut reader).is_empty());
        append(&log, &whole[40..]);
        append(&log, &line("c"));
        rename(&log, &first).unwrap();
        assert_eq!(texts(&mut reader), ["b", "c"]);
        append(&log, &line("d"));
        rename(&first, &second).unwrap();
        rename(&log, &first).unwrap();
        append(&log, &line("e"));
        assert_eq!(texts(&mut reader), ["d", "e"]);
        // What it reads is removed.
        rename(&log, &second).unwrap();
        std::fs::remove_file(&second).unwrap();
        std::fs::remove_file(&first).unwrap();
        append(&log, &line("f"));
        assert_eq!(texts(&mut reader), ["f"]);
    }

    #[test]
    fn damage_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let text =
            format!("{}half a li\n{}{}\n{}", line("a"), line("b"), "x".repeat(2 * MAX_LINE), line("c"));
        write(root.path().join("web.log"), text).unwrap();
        assert_eq!(texts(&mut LogReader::new(root.path(), "web")), ["a", "b", "c"]);
    }
}
