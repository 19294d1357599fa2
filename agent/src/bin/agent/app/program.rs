//! Which file an app's command names, and why it cannot be executed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::failure::reason;

/// How many interpreters of interpreters the kernel follows (`bprm_execve`, five levels of `search_binary_handler`).
const MAX_SCRIPTS: usize = 5;
/// What the kernel reads of a program to recognize its format (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;
/// The longest path of an interpreter (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// Most program headers that are searched; the kernel reads at most one page of them on x86-64.
const MAX_PROGRAM_HEADERS: usize = 73;
/// Program header type of an interpreter's path (ELF specification).
const PT_INTERP: u32 = 3;

/// Files a command may name, best first: itself if it has a slash, else one for each directory of `path`.
pub fn candidates(command: &str, path: &str) -> Vec<PathBuf> {
    if command.contains('/') {
        return vec![command.into()];
    }
    // An empty entry is the working directory (POSIX, "PATH").
    let directories = path.split(':').map(|entry| if entry.is_empty() { "." } else { entry });
    directories.map(|directory| Path::new(directory).join(command)).collect()
}

/// The line for a command that could not be executed.
///
/// `tried` is the file whose execution failed with `error`, none if the search path had no such file.
pub fn explain(command: &str, tried: Option<&Path>, error: &io::Error) -> String {
    let Some(file) = tried else {
        return unable(OsStr::new(command), "No such file or directory");
    };
    match (error.kind(), missing_interpreter(file)) {
        (io::ErrorKind::NotFound, Some((interpreter, error))) => {
            unable(interpreter.as_os_str(), &reason(&error))
        }
        _ => unable(file.as_os_str(), &reason(error)),
    }
}

/// The line [`explain`] would give, before anything is tried; none if the command can be executed as far as can be told.
pub fn foresee(command: &str, path: &str) -> Option<String> {
    let absent = || io::Error::from(nix::errno::Errno::ENOENT);
    let files = candidates(command, path);
    let found = files.iter().find(|file| file.exists());
    match found.or(files.first().filter(|_| command.contains('/'))) {
        Some(file) if file.exists() && missing_interpreter(file).is_none() => None,
        tried => Some(explain(command, tried.map(PathBuf::as_path), &absent())),
    }
}

fn unable(path: &OsStr, reason: &str) -> String {
    format!("Error: Unable to open \"{}\": {reason}", path.to_string_lossy())
}

/// The interpreter a program needs and that cannot be opened.
fn missing_interpreter(program: &Path) -> Option<(PathBuf, io::Error)> {
    let mut program = program.to_owned();
    for _ in 0..MAX_SCRIPTS {
        let interpreter = interpreter(&File::open(&program).ok()?)?;
        if let Err(error) = File::open(&interpreter) {
            return Some((interpreter, error));
        }
        program = interpreter;
    }
    None
}

/// The interpreter a program names: after `#!`, or in its ELF headers.
fn interpreter(program: &File) -> Option<PathBuf> {
    if !program.metadata().ok()?.is_file() {
        return None;
    }
    let mut head = Vec::new();
    program.take(HEAD as u64).read_to_end(&mut head).ok()?;
    match head.as_slice() {
        [b'#', b'!', line @ ..] => script_interpreter(line),
        [0x7f, b'E', b'L', b'F', ..] => {
            elf_interpreter(&head, |buffer, offset| program.read_exact_at(buffer, offset))
        }
        _ => None,
    }
}

fn script_interpreter(line: &[u8]) -> Option<PathBuf> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words =
        line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | 0)).filter(|word| !word.is_empty());
    Some(PathBuf::from(OsStr::from_bytes(words.next()?)))
}

/// `read` fills a buffer from an offset of the file. Only little-endian files run here.
fn elf_interpreter(head: &[u8], read: impl Fn(&mut [u8], u64) -> io::Result<()>) -> Option<PathBuf> {
    let wide = *head.get(4)? == 2;
    // e_phoff, e_phentsize and e_phnum; p_offset and p_filesz (ELF specification, "ELF header", "Program header").
    let (table, entry_size, count, offset_at, size_at, width) = match wide {
        true => (integer(head, 32, 8)?, integer(head, 54, 2)?, integer(head, 56, 2)?, 8, 32, 8),
        false => (integer(head, 28, 4)?, integer(head, 42, 2)?, integer(head, 44, 2)?, 4, 16, 4),
    };
    for index in 0..count.min(MAX_PROGRAM_HEADERS as u64) {
        let mut entry = [0; 56];
        let entry = &mut entry[..if wide { 56 } else { 32 }];
        read(entry, table.checked_add(index * entry_size)?).ok()?;
        if integer(entry, 0, 4)? != u64::from(PT_INTERP) {
            continue;
        }
        let size = usize::try_from(integer(entry, size_at, width)?).ok().filter(|size| *size <= MAX_PATH)?;
        let mut path = vec![0; size];
        read(&mut path, integer(entry, offset_at, width)?).ok()?;
        let path = path.split(|byte| *byte == 0).next().filter(|path| !path.is_empty())?;
        return Some(PathBuf::from(OsStr::from_bytes(path)));
    }
    None
}

fn integer(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let mut value = [0; 8];
    value[..width].copy_from_slice(bytes.get(at..at + width)?);
    Some(u64::from_le_bytes(value))
}

#[cfg(test)]
mod tests;
