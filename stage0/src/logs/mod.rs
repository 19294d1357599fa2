//! What apps wrote, as stage1 keeps it in the pod's directory: `logs/APP.log` and its rotated predecessors
//! `logs/APP.log.1`, `.2`, … in Kubernetes' log format.

mod reader;
mod record;

use std::collections::VecDeque;
use std::io;

pub use reader::LogReader;
pub use record::{Record, Stream};

/// Where logs are in a pod's directory.
pub const DIRECTORY: &str = "logs";

/// The logs of several apps as one.
#[derive(Debug)]
pub struct Merged {
    logs: Vec<Log>,
}

#[derive(Debug)]
struct Log {
    reader: LogReader,
    next: Option<Record>,
}

impl Merged {
    /// These logs, oldest records first.
    pub fn new(readers: Vec<LogReader>) -> Self {
        Self { logs: readers.into_iter().map(|reader| Log { reader, next: None }).collect() }
    }

    /// The next record and the number of its log; `None` when there is none now. More may come later.
    pub fn next_record(&mut self) -> io::Result<Option<(usize, Record)>> {
        for log in self.logs.iter_mut().filter(|log| log.next.is_none()) {
            log.next = log.reader.next_record()?;
        }
        let waiting = self.logs.iter().enumerate();
        let times = waiting.filter_map(|(number, log)| Some((log.next.as_ref()?.time, number)));
        let Some((_, first)) = times.min() else { return Ok(None) };
        Ok(self.logs[first].next.take().map(|record| (first, record)))
    }
}

/// The last lines of a log.
#[derive(Debug)]
pub struct Tail {
    lines: usize,
    records: VecDeque<Record>,
    /// How many of the records begin a line.
    begun: usize,
    /// Whether the next record of standard output, of standard error, goes on with a line.
    within: [bool; 2],
    /// As many entries as records: whether each begins a line.
    begins: VecDeque<bool>,
}

impl Tail {
    /// At most so many lines.
    pub fn new(lines: usize) -> Self {
        Self { lines, records: VecDeque::new(), begun: 0, within: [false; 2], begins: VecDeque::new() }
    }

    /// Adds a record, and drops what is too old by then.
    pub fn push(&mut self, record: Record) {
        let within = &mut self.within[record.stream as usize];
        let begins = !*within;
        *within = !record.whole;
        self.begun += usize::from(begins);
        self.begins.push_back(begins);
        self.records.push_back(record);
        while self.begun > self.lines || self.begins.front() == Some(&false) {
            self.records.pop_front();
            self.begun -= usize::from(self.begins.pop_front() == Some(true));
        }
    }

    /// The records, oldest first.
    pub fn into_records(self) -> impl Iterator<Item = Record> {
        self.records.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &std::path::Path, name: &str, text: &str) {
        std::fs::write(directory.join(name), text).unwrap();
    }

    #[test]
    fn logs_are_merged_by_time() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            "a.log",
            "2026-01-01T00:00:01Z stdout F one\n2026-01-01T00:00:03Z stderr F three\n",
        );
        write(root.path(), "b.log", "2026-01-01T00:00:02Z stdout P two\n");
        let readers = ["a", "b", "none"].map(|app| LogReader::new(root.path(), app));
        let mut merged = Merged::new(readers.into());
        let mut seen = Vec::new();
        while let Some((log, record)) = merged.next_record().unwrap() {
            seen.push((log, String::from_utf8(record.text).unwrap()));
        }
        assert_eq!(seen, [(0, "one".into()), (1, "two".into()), (0, "three".into())]);
    }

    #[test]
    fn a_tail_counts_lines_and_not_their_parts() {
        let text = "2026-01-01T00:00:01Z stdout F 1\n2026-01-01T00:00:01Z stdout P 2a\n\
                    2026-01-01T00:00:01Z stderr F e\n2026-01-01T00:00:01Z stdout F 2b\n\
                    2026-01-01T00:00:01Z stdout P 3\n";
        let tail = |lines| {
            let mut tail = Tail::new(lines);
            text.lines()
                .filter_map(|line| Record::parse(line.as_bytes()))
                .for_each(|record| tail.push(record));
            let texts = tail.into_records().map(|record| String::from_utf8(record.text).unwrap());
            texts.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(tail(0), "");
        assert_eq!(tail(1), "3");
        assert_eq!(tail(3), "2a e 2b 3");
        assert_eq!(tail(9), "1 2a e 2b 3");
    }
}
