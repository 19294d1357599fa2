//! What is in files, and who may lock them.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    ptr, slice,
};

use anyhow::Result;
use rustix::{
    fs::{FallocateFlags, FlockOperation, fallocate, fcntl_lock, flock},
    mm::{MapFlags, MsyncFlags, ProtFlags, mmap, msync, munmap},
};

use crate::{Question, all, said};

pub const QUESTIONS: &[Question] = &[
    ("append and positions", append),
    ("holes", holes),
    ("truncation", truncation),
    ("largest file", largest),
    ("allocation", allocation),
    ("wrong descriptors", wrong_descriptors),
    ("mapping and reading", mapping),
    ("mapping beyond the end", mapping_end),
    ("mapping after unlink", mapping_unlinked),
    ("whole-file locks", whole_locks),
    ("range locks of one process", range_locks),
    ("copy within and between files", copies),
    ("direct input and output", direct),
    ("positions are shared by duplicates", shared_position),
    ("reading what another descriptor writes", two_descriptors),
];

/// A shared mapping of a file's beginning.
pub struct Mapping {
    start: *mut u8,
    length: usize,
}

impl Mapping {
    pub fn new(file: &File, length: usize) -> rustix::io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses where; nothing that exists is replaced.
        let start = unsafe { mmap(ptr::null_mut(), length, protection, MapFlags::SHARED, file, 0)? };
        Ok(Self { start: start.cast(), length })
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is this long and lives as long as `self`; questions touch only what the file has.
        unsafe { slice::from_raw_parts_mut(self.start, self.length) }
    }

    pub fn sync(&self) -> Result<()> {
        // SAFETY: the mapping is this long.
        unsafe { msync(self.start.cast(), self.length, MsyncFlags::SYNC)? };
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and `bytes` borrows from `self`.
        let _ = unsafe { munmap(self.start.cast(), self.length) };
    }
}

pub fn rw(path: &Path) -> Result<File> {
    Ok(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?)
}

fn append(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, "0123456789")?;
    let mut file = OpenOptions::new().read(true).append(true).open(&path)?;
    let at_first = file.stream_position()?;
    file.seek(SeekFrom::Start(2))?;
    file.write_all(b"ab")?;
    let after = file.stream_position()?;
    // pwrite(2), BUGS: appends whatever the offset says.
    file.write_all_at(b"cd", 0)?;
    let mut writer = rw(&path)?;
    writer.seek(SeekFrom::End(5))?;
    writer.write_all(b"x")?;
    all([
        at_first.to_string(),
        after.to_string(),
        said(fs::read_to_string(&path).map(|text| text.escape_debug().to_string())),
    ])
}

fn holes(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    let file = rw(&path)?;
    file.set_len(1 << 30)?;
    file.write_all_at(b"x", 1 << 29)?;
    file.sync_all()?;
    let seek = |position| said(rustix::fs::seek(&file, position));
    let small = file.metadata()?.blocks() < 100;
    let mut bytes = [1; 3];
    file.read_exact_at(&mut bytes, (1 << 29) - 1)?;
    all([
        small.to_string(),
        seek(rustix::fs::SeekFrom::Data(0)),
        seek(rustix::fs::SeekFrom::Hole(1 << 29)),
        seek(rustix::fs::SeekFrom::Data(1 << 30)),
        format!("{bytes:?}"),
    ])
}

fn truncation(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, "0123456789")?;
    let reader = File::open(&path)?;
    let file = rw(&path)?;
    let mut answers = vec![said(reader.set_len(1)), said(file.set_len(4)), said(file.set_len(6))];
    answers.push(said(fs::read_to_string(&path).map(|text| text.escape_debug().to_string())));
    answers.push(said(OpenOptions::new().write(true).truncate(true).open(&path)));
    answers.push(said(file.metadata().map(|is| is.len())));
    let mut rest = Vec::new();
    (&reader).read_to_end(&mut rest)?;
    answers.push(format!("{rest:?}"));
    all(answers)
}

fn largest(dir: &Path) -> Result<String> {
    let file = rw(&dir.join("file"))?;
    all([
        said(file.set_len(1 << 43)),
        said(file.set_len(1 << 62)),
        said(file.write_all_at(b"x", (1 << 43) - 1)),
    ])
}

fn allocation(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    let file = rw(&path)?;
    let mut answers = Vec::new();
    let keep = FallocateFlags::KEEP_SIZE;
    for (flags, offset, length) in [
        (FallocateFlags::empty(), 0, 1 << 16),
        (keep, 1 << 16, 1 << 16),
        (FallocateFlags::PUNCH_HOLE | keep, 4096, 4096),
        (FallocateFlags::PUNCH_HOLE, 0, 4096),
        (FallocateFlags::ZERO_RANGE, 0, 100),
        (FallocateFlags::COLLAPSE_RANGE, 4096, 4096),
        (FallocateFlags::INSERT_RANGE, 4096, 4096),
        (FallocateFlags::empty(), 0, 0),
    ] {
        answers.push(said(fallocate(&file, flags, offset, length)));
        answers.push(said(file.metadata().map(|is| is.len())));
    }
    all(answers)
}

fn wrong_descriptors(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, "x")?;
    let (mut reader, mut writer) = (File::open(&path)?, OpenOptions::new().write(true).open(&path)?);
    let mut directory = File::open(dir)?;
    let mut byte = [0];
    all([
        said(reader.write(b"x").map(|count| count as u64)),
        said(writer.read(&mut byte).map(|count| count as u64)),
        said(directory.read(&mut byte).map(|count| count as u64)),
        said(directory.sync_all()),
        said(reader.seek(SeekFrom::Current(-1))),
        said(reader.seek(SeekFrom::Start(5))),
        said(reader.read(&mut byte).map(|count| count as u64)),
        said(Mapping::new(&writer, 4096).map(drop)),
        said(Mapping::new(&reader, 4096).map(drop)),
    ])
}

fn mapping(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, [b'a'; 8192])?;
    let (file, other) = (rw(&path)?, rw(&path)?);
    let (mut first, mut second) = (Mapping::new(&file, 8192)?, Mapping::new(&other, 8192)?);
    first.bytes()[5000] = b'b';
    let mapped = second.bytes()[5000];
    let mut read = [0];
    other.read_exact_at(&mut read, 5000)?;
    file.write_all_at(b"c", 6000)?;
    let written = second.bytes()[6000];
    drop((first, second));
    let kept = fs::read(&path)?;
    all([mapped, read[0], written, kept[5000], kept[6000]].map(|byte| (byte as char).to_string()))
}

fn mapping_end(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, [b'a'; 100])?;
    let file = rw(&path)?;
    let mut mapping = Mapping::new(&file, 4096)?;
    let beyond = mapping.bytes()[100];
    mapping.bytes()[200] = b'z';
    mapping.sync()?;
    let length = file.metadata()?.len();
    file.set_len(300)?;
    let mut grown = [1; 1];
    file.read_exact_at(&mut grown, 250)?;
    all([beyond.to_string(), length.to_string(), grown[0].to_string()])
}

fn mapping_unlinked(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, [b'a'; 4096])?;
    let file = rw(&path)?;
    let mut mapping = Mapping::new(&file, 4096)?;
    fs::remove_file(&path)?;
    mapping.bytes()[0] = b'b';
    mapping.sync()?;
    drop(mapping);
    let mut read = [0];
    file.read_exact_at(&mut read, 0)?;
    all([(read[0] as char).to_string(), said(fs::metadata(&path).map(drop))])
}

fn whole_locks(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    let (first, second) = (rw(&path)?, rw(&path)?);
    let reader = File::open(&path)?;
    let lock = |file: &File, operation| said(flock(file, operation));
    all([
        lock(&first, FlockOperation::NonBlockingLockExclusive),
        lock(&second, FlockOperation::NonBlockingLockShared),
        lock(&first, FlockOperation::NonBlockingLockShared),
        lock(&second, FlockOperation::NonBlockingLockShared),
        lock(&second, FlockOperation::NonBlockingLockExclusive),
        lock(&first, FlockOperation::Unlock),
        lock(&reader, FlockOperation::NonBlockingLockExclusive),
        lock(&second, FlockOperation::NonBlockingLockExclusive),
        lock(&File::open(dir)?, FlockOperation::NonBlockingLockExclusive),
    ])
}

fn range_locks(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    let (first, second, reader) = (rw(&path)?, rw(&path)?, File::open(&path)?);
    let lock = |file: &File, operation| said(fcntl_lock(file, operation));
    all([
        lock(&first, FlockOperation::NonBlockingLockExclusive),
        // One process has one lock, whatever its descriptors.
        lock(&second, FlockOperation::NonBlockingLockExclusive),
        lock(&reader, FlockOperation::NonBlockingLockExclusive),
        lock(&reader, FlockOperation::NonBlockingLockShared),
        lock(&first, FlockOperation::Unlock),
    ])
}

fn copies(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, "0123456789")?;
    let (file, mut other) = (rw(&path)?, rw(&dir.join("other"))?);
    let copy = |from: u64, to: u64, length| {
        let (mut from, mut to) = (from, to);
        said(
            rustix::fs::copy_file_range(&file, Some(&mut from), &file, Some(&mut to), length)
                .map(|count| count as u64),
        )
    };
    let answers = [copy(0, 10, 5), copy(0, 2, 5), copy(100, 0, 5)];
    let between = std::io::copy(&mut File::open(&path)?, &mut other)?;
    all(answers.into_iter().chain([between.to_string(), said(fs::read_to_string(dir.join("other")))]))
}

fn direct(dir: &Path) -> Result<String> {
    const O_DIRECT: i32 = 0o40000;
    let path = dir.join("file");
    fs::write(&path, [1; 8192])?;
    let file =
        std::os::unix::fs::OpenOptionsExt::custom_flags(OpenOptions::new().read(true).write(true), O_DIRECT)
            .open(&path)?;
    let mut buffer = vec![0; 8192 + 4096];
    let aligned = buffer.as_ptr().align_offset(4096);
    let read = said(file.read_at(&mut buffer[aligned..aligned + 4096], 4096).map(|count| count as u64));
    let first = buffer[aligned];
    let written = said(file.write_at(&buffer[aligned..aligned + 4096], 8192).map(|count| count as u64));
    all([read, first.to_string(), written, said(fs::metadata(&path).map(|is| is.len()))])
}

fn shared_position(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    fs::write(&path, "0123456789")?;
    let mut file = rw(&path)?;
    let mut duplicate = file.try_clone()?;
    let mut again = rw(&path)?;
    file.seek(SeekFrom::Start(4))?;
    let mut bytes = [0; 2];
    duplicate.read_exact(&mut bytes)?;
    let by_duplicate = String::from_utf8_lossy(&bytes).into_owned();
    again.read_exact(&mut bytes)?;
    all([by_duplicate, String::from_utf8_lossy(&bytes).into_owned(), file.stream_position()?.to_string()])
}

fn two_descriptors(dir: &Path) -> Result<String> {
    let path = dir.join("file");
    let (writer, reader) = (rw(&path)?, rw(&path)?);
    let mut answers = Vec::new();
    for round in 0..5_u64 {
        writer.write_all_at(&[b'a' + round as u8; 3000], round * 3000)?;
        let mut last = [0];
        reader.read_exact_at(&mut last, round * 3000 + 2999)?;
        answers.push(format!("{}{}", last[0] as char, reader.metadata()?.len()));
    }
    all(answers)
}
