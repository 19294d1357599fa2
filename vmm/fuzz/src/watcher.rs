//! A guest that watches, keeps to no rule, and knows what it has been told: what its actor may bring about is checked here.

mod follow;
mod relayed;
mod requests;

use std::{
    collections::HashSet,
    fs,
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use agent::protocol::{Change, WatchRequest, read_frame};
use arbitrary::Arbitrary;
use virtiofsd::fuse::Opcode;
use vmm::virtio::fs::{CachePolicy, Fs, IoLimits, ShareConfig, Watches};

use crate::{
    fuse::{self, Client},
    host::{Act, Host},
};
use relayed::Connection;
pub use requests::Request;

/// The thread that it calls its actor, as a rule, and others: one that cannot be, and none.
const ACTOR: u32 = 77;
const THREADS: [u32; 3] = [u32::MAX, 0, 78];
/// A thread that never is.
const APP: u32 = 9;
/// Nodes that no file server gave to a file; 1 << 62 is where it makes them up.
const NO_NODES: [u64; 6] = [0, 999, (1 << 62) + 1, (1 << 62) + 2, (1 << 62) + 3, u64::MAX];
/// How often the host does something at a time at most.
const BURST: u8 = 20;

/// Something that happens.
#[derive(Debug, Arbitrary)]
pub enum Step {
    /// Bytes, or a frame of anything: seldom, as they may be the last that is heard.
    Babble(u8, bool, Vec<u8>),
    Actor(u8),
    Watch(u8),
    Forget(u8),
    Done,
    /// The host changes files, several times.
    Host(u8, [Act; 3]),
    /// Requests of the file system.
    App(Request),
    ByActor(Request),
    /// The actor does what it is there for.
    Follow,
}

/// The guest.
struct Guest<'a> {
    client: Client,
    connection: Connection,
    /// Everything that may change, and more.
    directory: &'a Path,
    actor: u32,
    /// The nodes and handles it has been told of.
    nodes: Vec<u64>,
    handles: Vec<u64>,
    asked: HashSet<u64>,
}

/// Lets it all happen in a directory, whose `share` is shared with the guest and where the host works. A guest that is prepared
/// watches all there is at first.
pub fn run(directory: &Path, host: &mut Host, prepared: bool, steps: Vec<Step>) {
    prepare(directory);
    let watches = Watches::default();
    let config = ShareConfig {
        tag: "volumes".into(),
        directory: directory.join("share"),
        cache: CachePolicy::Volume,
        read_only: false,
        files: 1000,
        limits: IoLimits::default(),
        watches: watches.clone(),
    };
    let client = Client::new(Fs::new(&config, 1).expect("a device"));
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let said = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&said);
    watches.serve(theirs, move |line| lines.lock().unwrap().push(line)).expect("a relay");
    let mut guest = Guest {
        client,
        connection: Connection::new(ours),
        directory,
        actor: 0,
        nodes: vec![1],
        handles: vec![0, u64::MAX],
        asked: HashSet::new(),
    };
    if prepared {
        guest.prepare();
    }
    for step in steps {
        guest.take(step, host);
    }
    assert!(relayed::marks() <= guest.asked.len(), "More is watched than was asked for");
    guest.connection.close();
    relayed::wait_for_the_end();
    let said = said.lock().unwrap();
    assert!(said.is_empty(), "{said:?}");
}

fn prepare(directory: &Path) {
    let share = directory.join("share");
    for path in entries(&share).into_iter().chain([directory.join("out")]) {
        let kind = fs::symlink_metadata(&path).map(|file| file.is_dir());
        match kind {
            Ok(true) => fs::remove_dir_all(&path).expect("removed"),
            Ok(false) => fs::remove_file(&path).expect("removed"),
            Err(_) => {}
        }
    }
    fs::create_dir(share.join("d")).expect("a directory");
    for name in ["a", "d/a"] {
        fs::write(share.join(name), "content").expect("a file");
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

impl Guest<'_> {
    fn prepare(&mut self) {
        for name in ["a", "d"] {
            let answer = self.client.ask(APP, Opcode::Lookup, 1, &[&fuse::name(name.as_bytes())]);
            self.nodes.extend(fuse::node_of(&answer.expect("a file")));
        }
        self.say(WatchRequest::Actor { thread: ACTOR });
        for node in self.nodes.clone() {
            self.say(WatchRequest::Watch { node });
        }
    }

    fn take(&mut self, step: Step, host: &mut Host) {
        match step {
            Step::Babble(0, false, bytes) => self.connection.babble(&bytes),
            Step::Babble(0, true, body) => {
                let frame = [&(body.len() as u32).to_le_bytes(), body.as_slice()].concat();
                match read_frame::<WatchRequest>(&mut frame.as_slice()) {
                    Ok(Some(request)) => self.say(request),
                    _ => self.connection.babble(&frame),
                }
            }
            Step::Babble(..) => {}
            Step::Actor(which) => {
                self.say(WatchRequest::Actor { thread: *THREADS.get(usize::from(which)).unwrap_or(&ACTOR) });
            }
            Step::Watch(node) => self.say(WatchRequest::Watch { node: self.node(node) }),
            Step::Forget(node) => self.say(WatchRequest::Forget { node: self.node(node) }),
            Step::Done => self.say(WatchRequest::Done),
            Step::Host(times, acts) => {
                acts.iter().cycle().take(usize::from(times % BURST) + 1).for_each(|act| host.act(*act));
                self.connection.settle();
            }
            Step::App(request) => drop(self.ask(APP, &request)),
            Step::ByActor(request) => drop(self.ask(self.actor, &request)),
            Step::Follow => self.follow(),
        }
    }

    fn say(&mut self, request: WatchRequest) {
        match request {
            // A connection that is over has no effect on it.
            WatchRequest::Actor { thread } if self.connection.is_whole() && i32::try_from(thread).is_ok() => {
                self.actor = thread;
            }
            WatchRequest::Watch { node } => drop(self.asked.insert(node)),
            _ => {}
        }
        self.connection.say(request);
    }

    fn node(&self, number: u8) -> u64 {
        let number = usize::from(number) % (self.nodes.len() + NO_NODES.len());
        self.nodes.get(number).copied().unwrap_or_else(|| NO_NODES[number - self.nodes.len()])
    }

    /// Whether a thread is the actor, as far as that is known.
    fn is_actor(&self, thread: u32) -> bool {
        thread != 0 && thread == self.actor && !self.connection.babbled
    }

    fn told(&self) -> Option<&Change> {
        self.connection.told.as_ref()
    }

    /// All that can be seen of the files, but when they were read.
    fn everything(&self) -> Vec<(PathBuf, [i64; 10], Vec<u8>)> {
        let mut found = Vec::new();
        let mut paths = entries(self.directory);
        while let Some(path) = paths.pop() {
            let file = fs::symlink_metadata(&path).expect("a file");
            let numbers = [
                file.ino() as i64,
                file.mode().into(),
                file.size() as i64,
                file.nlink() as i64,
                file.uid().into(),
                file.gid().into(),
                file.mtime(),
                file.mtime_nsec(),
                file.ctime(),
                file.ctime_nsec(),
            ];
            let content = if file.is_file() { fs::read(&path).expect("content") } else { Vec::new() };
            if file.is_dir() {
                paths.extend(entries(&path));
            }
            found.push((path, numbers, content));
        }
        found.sort();
        found
    }
}
