//! What is in files.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
    ptr, slice,
    sync::LazyLock,
    thread,
};

use anyhow::{Context, Result, ensure};
use rustix::{
    fs::{FallocateFlags, copy_file_range, fallocate, fdatasync, sync, syncfs},
    io::Errno,
    mm::{MapFlags, MsyncFlags, ProtFlags, mmap, msync, munmap},
};

use crate::{Check, expect_error};

pub const CHECKS: &[Check] = &[
    ("read-back", read_back),
    ("parallel-writers", parallel_writers),
    ("overwrite", overwrite),
    ("append", append),
    ("truncate", truncate),
    ("sparse", sparse),
    ("fallocate", allocate),
    ("sync", sync_all),
    ("mmap-shared", mmap_shared),
    ("mmap-private", mmap_private),
    ("copy-range", copy_range),
    ("direct", direct),
    ("write-only", write_only),
];

const MIB: usize = 1 << 20;

/// Noise from which patterns are cut, made once: this program may be unoptimized, and run on an emulated CPU.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (1..=8192_u64).flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
});

/// Bytes of which every block of 512 says its place and its seed.
fn pattern(seed: usize, len: usize) -> Vec<u8> {
    let start = seed % NOISE.len();
    let mut bytes = NOISE.repeat((start + len).div_ceil(NOISE.len()));
    bytes.drain(..start);
    bytes.truncate(len);
    for (place, block) in bytes.chunks_exact_mut(512).enumerate() {
        block[..8].copy_from_slice(&seed.to_le_bytes());
        block[8..16].copy_from_slice(&place.to_le_bytes());
    }
    bytes
}

fn rw(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("Cannot open {path:?}"))
}

/// Size in MiB from the environment, 64 without.
fn read_back(dir: &Path) -> Result<()> {
    let size: usize = std::env::var("FILES_MIB").ok().and_then(|size| size.parse().ok()).unwrap_or(64);
    let path = dir.join("big");
    let mut file = rw(&path)?;
    for part in 0..size {
        file.write_all(&pattern(part, MIB))?;
    }
    file.sync_all()?;
    drop(file);
    // Where that is allowed, so that the bytes come from the file system and not from memory.
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
    compare(&path, size)
}

/// That a file is what `read_back` wrote with this many MiB.
pub fn compare(path: &Path, size: usize) -> Result<()> {
    let mut file = File::open(path)?;
    let mut read = vec![0; MIB];
    for part in 0..size {
        file.read_exact(&mut read)?;
        ensure!(read == pattern(part, MIB), "MiB {part} differs");
    }
    ensure!(file.read(&mut read)? == 0, "More than was written");
    Ok(())
}

/// Sixteen writers to one file, each its own pieces, in no order, and to a file of its own each.
fn parallel_writers(dir: &Path) -> Result<()> {
    const WRITERS: usize = 16;
    const PIECE: usize = 10_000;
    const PIECES: usize = 16;
    let shared = dir.join("shared");
    thread::scope(|scope| {
        let write = |writer: usize| -> Result<()> {
            let (file, own) = (rw(&shared)?, rw(&dir.join(format!("own-{writer}")))?);
            for piece in (0..PIECES).map(|piece| piece * 7 % PIECES) {
                let at = piece * WRITERS + writer;
                file.write_all_at(&pattern(at, PIECE), (at * PIECE) as u64)?;
                own.write_all_at(&pattern(at, PIECE), (piece * PIECE) as u64)?;
            }
            Ok(own.sync_all()?)
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
    })?;
    let bytes = fs::read(&shared)?;
    ensure!(bytes.len() == WRITERS * PIECES * PIECE, "Length {}", bytes.len());
    for (at, piece) in bytes.chunks(PIECE).enumerate() {
        ensure!(piece == pattern(at, PIECE), "Piece {at} differs");
    }
    for writer in 0..WRITERS {
        for (piece, bytes) in fs::read(dir.join(format!("own-{writer}")))?.chunks(PIECE).enumerate() {
            ensure!(bytes == pattern(piece * WRITERS + writer, PIECE), "Piece {piece} of {writer} differs");
        }
    }
    Ok(())
}

/// Small writes at odd places, seen through another descriptor at once.
fn overwrite(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    let mut expected = pattern(1, 100_000);
    fs::write(&path, &expected)?;
    let (writer, reader) = (rw(&path)?, File::open(&path)?);
    for step in 0..100 {
        let (at, len) = (step * 497 % 99_000, 1 + step * 13 % 900);
        let data = pattern(step, len);
        writer.write_all_at(&data, at as u64)?;
        expected[at..at + len].copy_from_slice(&data);
        let mut read = vec![0; len];
        reader.read_exact_at(&mut read, at as u64)?;
        ensure!(read == data, "Step {step} is not seen through another descriptor");
    }
    ensure!(fs::read(&path)? == expected, "Not what was written");
    Ok(())
}

/// Appending never overwrites, however many do it.
fn append(dir: &Path) -> Result<()> {
    let path = dir.join("log");
    thread::scope(|scope| {
        let write = |writer: usize| -> Result<()> {
            let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
            for line in 0..50 {
                file.write_all(format!("{writer:02} {line:04}\n").as_bytes())?;
            }
            Ok(())
        };
        let writers: Vec<_> = (0..8).map(|writer| scope.spawn(move || write(writer))).collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
    })?;
    let text = fs::read_to_string(&path)?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    ensure!(lines.len() == 400, "{} lines of 400 are there", lines.len());
    Ok(())
}

fn truncate(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    fs::write(&path, pattern(1, 10_000))?;
    let file = rw(&path)?;
    file.set_len(5000)?;
    file.set_len(20_000)?;
    let bytes = fs::read(&path)?;
    ensure!(bytes.len() == 20_000 && bytes[..5000] == pattern(1, 10_000)[..5000], "Kept bytes differ");
    ensure!(bytes[5000..].iter().all(|&byte| byte == 0), "What was cut off came back");
    drop(OpenOptions::new().write(true).truncate(true).open(&path)?);
    ensure!(file.metadata()?.len() == 0, "O_TRUNC leaves {} bytes", file.metadata()?.len());
    file.write_all_at(b"x", 3)?;
    ensure!(fs::read(&path)? == b"\0\0\0x", "A hole is not zero");
    Ok(())
}

/// Holes cost nothing, read as zero, and can be found.
fn sparse(dir: &Path) -> Result<()> {
    let path = dir.join("sparse");
    let mut file = rw(&path)?;
    file.set_len(1 << 40)?;
    file.write_all_at(&[1; 4096], 1 << 30)?;
    file.sync_all()?;
    ensure!(file.metadata()?.blocks() < 1000, "{} blocks", file.metadata()?.blocks());
    let data = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(0))?;
    ensure!(data == 1 << 30, "SEEK_DATA finds {data}");
    let hole = rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(data))?;
    ensure!(hole == (1 << 30) + 4096, "SEEK_HOLE finds {hole}");
    expect_error(
        "SEEK_DATA in the last hole",
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(hole)),
        Errno::NXIO,
    )?;
    file.seek(SeekFrom::Start((1 << 30) - 10))?;
    let mut bytes = [9; 20];
    file.read_exact(&mut bytes)?;
    ensure!(bytes[..10] == [0; 10] && bytes[10..] == [1; 10], "The edge of the hole reads {bytes:?}");
    Ok(())
}

fn allocate(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    let file = rw(&path)?;
    fallocate(&file, FallocateFlags::empty(), 0, 1 << 20)?;
    ensure!(file.metadata()?.len() == 1 << 20, "Length after fallocate: {}", file.metadata()?.len());
    ensure!(file.metadata()?.blocks() >= 2048, "Blocks after fallocate: {}", file.metadata()?.blocks());
    fallocate(&file, FallocateFlags::KEEP_SIZE, 1 << 20, 1 << 20)?;
    ensure!(file.metadata()?.len() == 1 << 20, "KEEP_SIZE changes the size");
    file.write_all_at(&pattern(1, 1 << 20), 0)?;
    fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 8192, 4096)?;
    let bytes = fs::read(&path)?;
    ensure!(bytes[8192..12288].iter().all(|&byte| byte == 0), "A punched hole is not zero");
    ensure!(
        bytes[..8192] == pattern(1, 8192)[..] && bytes.len() == 1 << 20,
        "Punching a hole hits its neighbours"
    );
    fallocate(&file, FallocateFlags::ZERO_RANGE, 0, 100)?;
    ensure!(fs::read(&path)?[..100].iter().all(|&byte| byte == 0), "A zeroed range is not zero");
    Ok(())
}

fn sync_all(dir: &Path) -> Result<()> {
    let mut file = rw(&dir.join("file"))?;
    file.write_all(b"durable")?;
    file.sync_all()?;
    file.write_all(b" too")?;
    fdatasync(&file)?;
    let directory = File::open(dir)?;
    directory.sync_all().context("fsync of a directory")?;
    syncfs(directory.as_fd())?;
    sync();
    Ok(())
}

/// A mapping of a whole file, unmapped when dropped.
struct Mapping {
    start: *mut u8,
    len: usize,
}

impl Mapping {
    fn new(file: &File, len: usize, flags: MapFlags) -> Result<Self> {
        // SAFETY: the kernel chooses where; nothing that exists is replaced.
        let start =
            unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags, file, 0)? };
        Ok(Mapping { start: start.cast(), len })
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is this long and lives as long as `self`. No other thread touches the file meanwhile.
        unsafe { slice::from_raw_parts_mut(self.start, self.len) }
    }

    fn sync(&self) -> Result<()> {
        // SAFETY: the mapping is this long.
        unsafe { msync(self.start.cast(), self.len, MsyncFlags::SYNC)? };
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and `bytes` borrows from `self`.
        let _ = unsafe { munmap(self.start.cast(), self.len) };
    }
}

/// Mappings, reads and writes see each other.
fn mmap_shared(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    let data = pattern(1, 200_000);
    fs::write(&path, &data)?;
    let file = rw(&path)?;
    let mut mapping = Mapping::new(&file, data.len(), MapFlags::SHARED)?;
    let mut second =
        Mapping::new(&File::options().read(true).write(true).open(&path)?, data.len(), MapFlags::SHARED)?;
    ensure!(mapping.bytes() == data, "The mapping differs from the file");
    mapping.bytes()[100_000..100_005].copy_from_slice(b"hello");
    ensure!(&second.bytes()[100_000..100_005] == b"hello", "Another mapping does not see a change");
    let mut read = [0; 5];
    file.read_exact_at(&mut read, 100_000)?;
    ensure!(&read == b"hello", "read does not see a change of a mapping");
    file.write_all_at(b"world", 150_000)?;
    ensure!(&mapping.bytes()[150_000..150_005] == b"world", "A mapping does not see a write");
    mapping.sync()?;
    drop((mapping, second, file));
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
    let bytes = fs::read(&path)?;
    ensure!(&bytes[100_000..100_005] == b"hello" && &bytes[150_000..150_005] == b"world", "A change is lost");
    Ok(())
}

fn mmap_private(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    fs::write(&path, [1; 8192])?;
    let file = rw(&path)?;
    let mut mapping = Mapping::new(&file, 8192, MapFlags::PRIVATE)?;
    mapping.bytes()[..4].copy_from_slice(&[2; 4]);
    ensure!(fs::read(&path)? == [1; 8192], "A private change reached the file");
    Ok(())
}

fn copy_range(dir: &Path) -> Result<()> {
    let data = pattern(1, 300_000);
    fs::write(dir.join("from"), &data)?;
    let (from, to) = (File::open(dir.join("from"))?, rw(&dir.join("to"))?);
    let (mut at_from, mut at_to) = (1000, 0);
    while at_from < 300_000 {
        let rest = 300_000 - at_from as usize;
        let count = copy_file_range(&from, Some(&mut at_from), &to, Some(&mut at_to), rest)?;
        ensure!(count > 0, "copy_file_range stops at {at_from}");
    }
    ensure!(fs::read(dir.join("to"))? == data[1000..], "The copied range differs");
    fs::copy(dir.join("from"), dir.join("whole"))?;
    ensure!(fs::read(dir.join("whole"))? == data, "The copy differs");
    Ok(())
}

/// O_DIRECT works, and is coherent with what is cached.
fn direct(dir: &Path) -> Result<()> {
    const O_DIRECT: i32 = 0o40000;
    let path = dir.join("file");
    fs::write(&path, [1; 16384])?;
    let file = OpenOptions::new().read(true).write(true).custom_flags(O_DIRECT).open(&path)?;
    let mut buffer = vec![0; 8192 + 4096];
    let aligned = buffer.as_ptr().align_offset(4096);
    let block = &mut buffer[aligned..aligned + 8192];
    file.read_exact_at(block, 4096)?;
    ensure!(block.iter().all(|&byte| byte == 1), "A direct read does not see what is cached");
    block.fill(2);
    file.write_all_at(block, 8192)?;
    ensure!(fs::read(&path)? == [[1; 8192], [2; 8192]].concat(), "A direct write is not seen");
    Ok(())
}

/// Partial pages of a file that may only be written.
fn write_only(dir: &Path) -> Result<()> {
    let path = dir.join("file");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o200).open(&path)?;
    file.write_all_at(&[1; 10_000], 0)?;
    file.sync_all()?;
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
    file.write_all_at(&[2; 10], 5000)?;
    drop(file);
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
    let bytes = fs::read(&path)?;
    ensure!(
        bytes.len() == 10_000 && bytes[4999..5011] == [[1].as_slice(), &[2; 10], &[1]].concat(),
        "Bytes differ"
    );
    Ok(())
}
