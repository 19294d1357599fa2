//! What is watched now, by any process.

use std::collections::HashSet;
use std::fs::{File, read_dir, read_link};
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::fdinfo::{Watched, watched};

/// The files that the processes of the machine watch. Descriptors are found wherever they are: they may have been inherited.
pub fn scan() -> HashSet<Watched> {
    let processes = read_dir("/proc").into_iter().flatten().flatten();
    let processes = processes.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    let mut all = HashSet::new();
    for process in processes {
        of_process(&process.path(), &mut all);
    }
    all
}

fn of_process(process: &Path, all: &mut HashSet<Watched>) {
    for descriptor in read_dir(process.join("fd")).into_iter().flatten().flatten() {
        let target = read_link(descriptor.path());
        let is_watching = target.is_ok_and(|target| {
            matches!(target.as_os_str().as_encoded_bytes(), b"anon_inode:inotify" | b"anon_inode:[fanotify]")
        });
        if is_watching && let Ok(file) = File::open(process.join("fdinfo").join(descriptor.file_name())) {
            all.extend(BufReader::new(file).lines().map_while(Result::ok).filter_map(|line| watched(&line)));
        }
    }
}
