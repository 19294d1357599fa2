//! Files between processes and users.

use std::{
    env,
    fs::{self, File, OpenOptions, Permissions},
    io::{Read, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    fs::{CWD, FileType, FlockOperation, Mode, fcntl_lock, flock, mknodat},
    io::Errno,
};

use crate::{Check, data, expect_error};

/// The first argument that makes this program another process of a check.
pub const CHILD: &str = "--child";

pub const CHECKS: &[Check] = &[
    ("flock", flock_excludes),
    ("fcntl-locks", fcntl_locks_exclude),
    ("fifo", fifo),
    ("unix-socket", unix_socket),
    ("device-node", device_node),
    ("execute", execute),
    ("permissions", permissions),
    ("write-clears-set-user-id", write_clears_set_user_id),
    ("user-creates", user_creates),
];

/// What a check's other process does.
pub fn child(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match act(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("files: {error:#}");
            let errno = error.downcast_ref::<std::io::Error>().and_then(|e| e.raw_os_error());
            ExitCode::from(errno.and_then(|errno| u8::try_from(errno).ok()).unwrap_or(255))
        }
    }
}

fn act(words: &[&str]) -> Result<()> {
    match words {
        ["nothing"] => {}
        ["compare", path, size] => data::compare(Path::new(path), size.parse()?)?,
        ["lock", path] => {
            let file = OpenOptions::new().write(true).open(path)?;
            fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(std::io::Error::from)?;
        }
        ["hold", path] => {
            let file = OpenOptions::new().write(true).open(path)?;
            fcntl_lock(&file, FlockOperation::LockExclusive)?;
            println!("held");
            thread::sleep(Duration::from_millis(300));
        }
        ["read", path] => drop(fs::read(path)?),
        ["append", path] => OpenOptions::new().append(true).open(path)?.write_all(b"more")?,
        ["create", path] => fs::write(path, "mine")?,
        ["mkdir", path] => fs::create_dir(path)?,
        ["unlink", path] => fs::remove_file(path)?,
        other => bail!("Unknown: {other:?}"),
    }
    Ok(())
}

fn command(words: &[&str]) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(CHILD).args(words);
    Ok(command)
}

/// What an operation says in another process, of user and group 1000: an error number, 0 for none.
fn as_user(operation: &str, path: &Path) -> Result<i32> {
    let path = path.to_str().context("A path of this check is not UTF-8")?;
    let status = command(&[operation, path])?.uid(1000).gid(1000).current_dir("/").status()?;
    status.code().context("Killed")
}

fn flock_excludes(dir: &Path) -> Result<()> {
    let path = dir.join("lock");
    let (first, second) = (File::create(&path)?, File::open(&path)?);
    flock(&first, FlockOperation::LockShared)?;
    flock(&second, FlockOperation::LockShared)?;
    let upgrade = flock(&second, FlockOperation::NonBlockingLockExclusive);
    expect_error("An exclusive lock beside a shared one", upgrade, Errno::WOULDBLOCK)?;
    flock(&second, FlockOperation::Unlock)?;
    flock(&first, FlockOperation::LockExclusive)?;
    let start = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let waiter = scope.spawn(|| flock(&second, FlockOperation::LockExclusive));
        thread::sleep(Duration::from_millis(200));
        flock(&first, FlockOperation::Unlock)?;
        Ok(waiter.join().unwrap_or(Err(Errno::CANCELED))?)
    })?;
    ensure!(start.elapsed() >= Duration::from_millis(200), "The lock did not wait");
    Ok(())
}

/// fcntl locks, which belong to processes.
fn fcntl_locks_exclude(dir: &Path) -> Result<()> {
    let path = dir.join("lock");
    let file = File::create(&path)?;
    let name = path.to_str().context("A path of this check is not UTF-8")?;
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
    let refused = command(&["lock", name])?.status()?.code();
    ensure!(refused == Some(11), "Another process gets {refused:?} for a locked file");
    fcntl_lock(&file, FlockOperation::Unlock)?;
    ensure!(command(&["lock", name])?.status()?.success(), "An unlocked file stays locked");
    let mut holder = command(&["hold", name])?.stdout(std::process::Stdio::piped()).spawn()?;
    let mut out = holder.stdout.take().context("No output")?;
    out.read_exact(&mut [0; 4])?;
    let start = Instant::now();
    fcntl_lock(&file, FlockOperation::LockExclusive)?;
    ensure!(start.elapsed() >= Duration::from_millis(100), "The lock did not wait for its holder");
    holder.wait()?;
    Ok(())
}

fn fifo(dir: &Path) -> Result<()> {
    let path = dir.join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::from(0o600), 0)?;
    let to = path.clone();
    let writer = thread::spawn(move || fs::write(to, "through the fifo"));
    ensure!(fs::read(&path)? == b"through the fifo", "Other bytes");
    writer.join().ok().context("The writer panicked")??;
    Ok(())
}

fn unix_socket(dir: &Path) -> Result<()> {
    let listener = UnixListener::bind(dir.join("socket"))?;
    let mut client = UnixStream::connect(dir.join("socket"))?;
    client.write_all(b"hello")?;
    let mut bytes = [0; 5];
    listener.accept()?.0.read_exact(&mut bytes)?;
    ensure!(&bytes == b"hello", "Other bytes");
    Ok(())
}

fn device_node(dir: &Path) -> Result<()> {
    let path = dir.join("null");
    mknodat(CWD, &path, FileType::CharacterDevice, Mode::from(0o666), rustix::fs::makedev(1, 3))?;
    fs::write(&path, "x").context("Writing to a node of /dev/null")?;
    ensure!(fs::metadata(&path)?.rdev() == rustix::fs::makedev(1, 3), "Other numbers");
    Ok(())
}

/// A program in the directory runs; while it does not run, it can be replaced.
fn execute(dir: &Path) -> Result<()> {
    let path = dir.join("program");
    for _ in 0..2 {
        fs::copy(env::current_exe()?, &path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        ensure!(Command::new(&path).args([CHILD, "nothing"]).status()?.success(), "The program fails");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o644))?;
    ensure!(Command::new(&path).status().is_err(), "What must not be executed is");
    fs::write(dir.join("script"), "#!/does/not/exist\n")?;
    Ok(())
}

fn permissions(dir: &Path) -> Result<()> {
    const EACCES: i32 = 13;
    let path = dir.join("file");
    fs::write(&path, "x")?;
    for (mode, owner, read, append) in [
        (0o600, 0, EACCES, EACCES),
        (0o604, 0, 0, EACCES),
        (0o600, 1000, 0, 0),
        (0o400, 1000, 0, EACCES),
        (0o066, 1000, EACCES, EACCES),
        (0o602, 0, EACCES, 0),
    ] {
        chown(&path, Some(owner), Some(0))?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        ensure!(as_user("read", &path)? == read, "Reading {mode:o} of {owner}");
        ensure!(as_user("append", &path)? == append, "Appending to {mode:o} of {owner}");
    }
    ensure!(as_user("create", &dir.join("new"))? == EACCES, "Creating in root's directory");
    fs::set_permissions(dir, Permissions::from_mode(0o1777))?;
    ensure!(as_user("unlink", &path)? == 1, "Removing another's file from a sticky directory");
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    ensure!(as_user("read", &path)? == EACCES, "Through a closed directory");
    Ok(())
}

fn write_clears_set_user_id(dir: &Path) -> Result<()> {
    let path = dir.join("program");
    fs::write(&path, "x")?;
    fs::set_permissions(&path, Permissions::from_mode(0o6777))?;
    ensure!(as_user("append", &path)? == 0, "Appending fails");
    let mode = fs::metadata(&path)?.mode() & 0o7777;
    ensure!(mode == 0o777, "{mode:o} after a write by another user");
    Ok(())
}

/// What a user makes is the user's.
fn user_creates(dir: &Path) -> Result<()> {
    fs::set_permissions(dir, Permissions::from_mode(0o777))?;
    ensure!(as_user("create", &dir.join("file"))? == 0, "Creating a file");
    ensure!(as_user("mkdir", &dir.join("sub"))? == 0, "Making a directory");
    for name in ["file", "sub"] {
        let metadata = fs::metadata(dir.join(name))?;
        ensure!(
            (metadata.uid(), metadata.gid()) == (1000, 1000),
            "{name} is of {}:{}",
            metadata.uid(),
            metadata.gid()
        );
    }
    Ok(())
}
