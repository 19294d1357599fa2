//! What the benchmark of files does, in a guest or on the host: `file-load DIRECTORY FILES`.
//!
//! Prints a line `NAME MILLISECONDS` for each kind of work, then `file-load: done`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process,
    time::Instant,
};

/// Of the large file, in bytes.
const LARGE: usize = 64 << 20;
const BLOCK: usize = 256 << 10;
/// Of random reads and writes, in bytes and in number.
const PAGE: usize = 4096;
const PAGES: u64 = 2000;
/// Small files, as of an unpacked archive: their number in each directory, and their size in bytes.
const PER_DIRECTORY: usize = 100;
const SMALL: usize = 2048;

type Work = fn(&Path, usize) -> io::Result<()>;

const WORK: &[(&str, Work)] = &[
    ("write", write),
    ("read", read),
    ("random-write", random_write),
    ("random-read", random_read),
    ("unpack", unpack),
    ("stat", stat),
    ("remove", remove),
];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [directory, files] = &arguments[..] else { usage() };
    let Ok(files) = files.parse() else { usage() };
    if let Err(error) = run(Path::new(directory), files) {
        eprintln!("file-load: {directory}: {error}");
        process::exit(1)
    }
    // The first process of a machine must not end.
    if process::id() == 1 {
        loop {
            std::thread::park();
        }
    }
}

fn usage() -> ! {
    eprintln!("usage: file-load DIRECTORY FILES");
    process::exit(2)
}

fn run(directory: &Path, files: usize) -> io::Result<()> {
    for (name, work) in WORK {
        let started = Instant::now();
        work(directory, files)?;
        println!("{name} {:.3}", started.elapsed().as_secs_f64() * 1e3);
    }
    println!("file-load: done");
    Ok(())
}

fn large(directory: &Path) -> PathBuf {
    directory.join("large")
}

fn write(directory: &Path, _: usize) -> io::Result<()> {
    let mut file = File::create(large(directory))?;
    let block = vec![0xa5; BLOCK];
    for _ in 0..LARGE / BLOCK {
        file.write_all(&block)?;
    }
    file.sync_all()
}

fn read(directory: &Path, _: usize) -> io::Result<()> {
    let mut file = File::open(large(directory))?;
    // Not what this guest's own cache still holds.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    let mut block = vec![0; BLOCK];
    while file.read(&mut block)? > 0 {}
    Ok(())
}

/// Pages all over the file: each is the last one times a number that is prime to their number.
fn pages() -> impl Iterator<Item = u64> {
    let all = (LARGE / PAGE) as u64;
    (0..PAGES).map(move |number| number * 7919 % all * PAGE as u64)
}

fn random_write(directory: &Path, _: usize) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(large(directory))?;
    for offset in pages() {
        file.write_all_at(&[0x5a; PAGE], offset)?;
    }
    file.sync_all()
}

fn random_read(directory: &Path, _: usize) -> io::Result<()> {
    let file = File::open(large(directory))?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random)?;
    let mut page = [0; PAGE];
    pages().try_for_each(|offset| file.read_exact_at(&mut page, offset))
}

fn unpack(directory: &Path, files: usize) -> io::Result<()> {
    for number in 0..files {
        let parent = directory.join(format!("tree/{}", number / PER_DIRECTORY));
        if number % PER_DIRECTORY == 0 {
            fs::create_dir_all(&parent)?;
        }
        fs::write(parent.join(number.to_string()), [0x33; SMALL])?;
    }
    Ok(())
}

fn stat(directory: &Path, _: usize) -> io::Result<()> {
    for parent in fs::read_dir(directory.join("tree"))? {
        for file in fs::read_dir(parent?.path())? {
            file?.path().metadata()?;
        }
    }
    Ok(())
}

fn remove(directory: &Path, _: usize) -> io::Result<()> {
    fs::remove_dir_all(directory.join("tree"))?;
    fs::remove_file(large(directory))
}
