//! `hog KIND [DIRECTORY]`: takes all it can get of one thing, and more, until it is killed. `hog guard KIND [DIRECTORY]` has a
//! child do it, again and again, and stays itself: the kernel would rather kill the child.
//!
//! Says `ready KIND` when it has met a limit, or has been at it for a while.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    mem::forget,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// How long one that meets no limit is at it before it says so.
const A_WHILE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["guard", ref words @ ..] => guard(words),
        ["forks"] => forks(),
        ["memory"] => memory(),
        ["descriptors"] => descriptors(),
        ["log"] => log(),
        ["mounts", directory] => mounts(Path::new(directory)),
        ["disk", directory] => disk(&Path::new(directory).join("disk")),
        ["inodes", directory] => inodes(Path::new(directory)),
        _ => eprintln!(
            "hog [guard] forks|memory|descriptors|log|mounts DIRECTORY|disk DIRECTORY|inodes DIRECTORY"
        ),
    }
}

fn ready(kind: &str) {
    let mut out = std::io::stdout();
    // Nobody to tell when this fails.
    let _ = writeln!(out, "ready {kind}").and_then(|()| out.flush());
}

/// The child is the first that the kernel kills when memory runs out.
fn guard(words: &[&str]) -> ! {
    loop {
        match again(words) {
            Ok(mut child) => {
                let _ = fs::write(format!("/proc/{}/oom_score_adj", child.id()), "1000");
                let _ = child.wait();
            }
            Err(_) => sleep(PAUSE),
        }
    }
}

fn again(words: &[&str]) -> std::io::Result<Child> {
    Command::new("/proc/self/exe").args(words).spawn()
}

/// Every process starts others for as long as it lives.
fn forks() -> ! {
    let started = Instant::now();
    let mut told = std::process::id() > 100;
    loop {
        let child = Command::new("/proc/self/exe").arg("forks").stdout(Stdio::null()).spawn();
        if child.is_err() || started.elapsed() > A_WHILE {
            if !told {
                ready("forks");
                told = true;
            }
            sleep(PAUSE);
        }
        forget(child);
    }
}

/// Dies of it, again and again if it is guarded.
fn memory() -> ! {
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; 1 << 20]);
        if taken.len() == 16 {
            ready("memory");
        }
    }
}

fn descriptors() -> ! {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let (started, mut told) = (Instant::now(), false);
    let mut open = Vec::new();
    loop {
        match File::open("/proc/self/exe") {
            Ok(file) => open.push(file),
            Err(_) => sleep(PAUSE),
        }
        if !told && started.elapsed() > A_WHILE {
            ready("descriptors");
            told = true;
        }
    }
}

fn log() -> ! {
    let mut out = std::io::stdout();
    ready("log");
    loop {
        let _ = out.write_all(&[b'x'; 4095]).and_then(|()| out.write_all(b"\n"));
    }
}

/// Mounts on mounts, and takes every third away again.
fn mounts(directory: &Path) -> ! {
    let (started, mut told, mut count) = (Instant::now(), false, 0_u64);
    loop {
        let mounted = mount("tmpfs", directory, "tmpfs", MountFlags::empty(), None);
        count += 1;
        if count.is_multiple_of(3) {
            let _ = unmount(directory, UnmountFlags::DETACH);
        }
        if mounted.is_err() || started.elapsed() > A_WHILE {
            if !told {
                ready("mounts");
                told = true;
            }
            sleep(PAUSE);
        }
    }
}

fn disk(path: &PathBuf) -> ! {
    let mut told = false;
    loop {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let full = file.and_then(|mut file| loop_until_full(&mut file));
        if full.is_err() && !told {
            ready("disk");
            told = true;
        }
        sleep(PAUSE);
    }
}

fn loop_until_full(file: &mut File) -> std::io::Result<()> {
    let block = vec![7; 1 << 20];
    loop {
        file.write_all(&block)?;
        // What is only in memory meets no limit.
        file.sync_data()?;
    }
}

fn inodes(directory: &Path) -> ! {
    let mut told = false;
    for number in 0_u64.. {
        if File::create(directory.join(number.to_string())).is_err() {
            if !told {
                ready("inodes");
                told = true;
            }
            sleep(PAUSE);
        }
    }
    unreachable!("there are not that many")
}
