//! The connection about changes, and what the host watches for it.

use std::{
    fs,
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use agent::protocol::{Change, FrameReader, WatchNews, WatchRequest, write_frame};

/// Questions that are none: nodes from here on are not in use, and each is forgotten once.
const QUESTIONS: u64 = 1 << 50;
/// How long the host may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The guest's end of it.
pub struct Connection {
    stream: UnixStream,
    incoming: FrameReader,
    /// What it said was not all understood: there are no more answers, or the host has closed it.
    pub babbled: bool,
    over: bool,
    questions: u64,
    /// The change it has been told of and is not done with.
    pub told: Option<Change>,
}

impl Connection {
    /// Nothing has been said.
    pub fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let incoming = FrameReader::default();
        Connection { stream, incoming, babbled: false, over: false, questions: 0, told: None }
    }

    /// Whether what is said is heard.
    pub fn is_whole(&self) -> bool {
        !self.babbled && !self.over
    }

    /// Says something, and waits until it has been heard.
    pub fn say(&mut self, request: WatchRequest) {
        if !self.is_whole() {
            return;
        }
        // A change that is on its way is heard before it is done with.
        self.settle();
        if request == WatchRequest::Done {
            self.told = None;
        }
        self.send(&request);
        if matches!(request, WatchRequest::Actor { thread } if i32::try_from(thread).is_err()) {
            self.read_to_end();
        }
        self.settle();
    }

    /// Says what may be no message.
    pub fn babble(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() && self.is_whole() {
            self.babbled = true;
            // It may close while it hears them.
            let _ = self.stream.write_all(bytes);
        }
    }

    /// Waits until the host has seen everything that happened so far, and hears what it says of it.
    pub fn settle(&mut self) {
        if !self.is_whole() {
            return;
        }
        self.questions += 1;
        let node = QUESTIONS + self.questions;
        self.send(&WatchRequest::Forget { node });
        while self.hear() != Some(WatchNews::Forgotten { node }) {}
    }

    /// Ends it, and waits for the host to do the same.
    pub fn close(&mut self) {
        if !self.over {
            // Fails when the host has closed it already.
            let _ = self.stream.shutdown(Shutdown::Write);
            self.read_to_end();
        }
        assert_eq!(self.told, None);
    }

    fn send(&mut self, request: &WatchRequest) {
        write_frame(&mut self.stream, request).expect("The host closed the connection");
    }

    /// The next thing it says; none at the end.
    fn hear(&mut self) -> Option<WatchNews> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(news) = self.incoming.next_message().expect("news") {
                if let WatchNews::Changed(change) = &news {
                    assert!(self.told.is_none() || self.babbled, "A second change before the first was done");
                    self.told = Some(change.clone());
                }
                return Some(news);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.incoming.push(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("The host says nothing: {error}"),
            }
        }
    }

    fn read_to_end(&mut self) {
        while self.hear().is_some() {}
        self.over = true;
        self.told = None;
    }
}

/// How many files this process watches: one by one, as nothing else may be.
pub fn marks() -> usize {
    let mut count = 0;
    for entry in fs::read_dir("/proc/self/fdinfo").expect("descriptors") {
        // Other threads open and close some.
        let text = fs::read_to_string(entry.expect("a descriptor").path()).unwrap_or_default();
        for line in text.lines().filter(|line| line.starts_with("fanotify ") && !line.contains("flags:")) {
            assert!(line.starts_with("fanotify ino:"), "{line}");
            count += 1;
        }
    }
    count
}

/// Waits until the host's thread is gone, which closes the connection before it lets go of what it has.
pub fn wait_for_the_end() {
    let is_relay = |task: io::Result<fs::DirEntry>| {
        let name = fs::read_to_string(task.expect("a thread").path().join("comm"));
        name.is_ok_and(|name| name.trim() == "watcher")
    };
    let until = Instant::now() + PATIENCE;
    while fs::read_dir("/proc/self/task").expect("threads").any(is_relay) {
        assert!(Instant::now() < until, "The relay goes on");
        thread::yield_now();
    }
}
