//! The thread between the host's events and the guest.
//!
//! Changes are told one at a time: the next one when the guest has made the last. What waits meanwhile is bounded here, and
//! then by the kernel's queue, which says when it has overflowed.

use std::{
    collections::{HashSet, VecDeque},
    ffi::CString,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::Arc,
    time::{Duration, Instant},
};

use agent::protocol::{Change, FrameReader, MAX_WATCHED, Place, Touch, WatchNews, WatchRequest, write_frame};
use libc::{FAN_ATTRIB, FAN_DELETE, FAN_DELETE_SELF, FAN_MOVED_TO, FAN_ONDIR, FAN_Q_OVERFLOW, FAN_RENAME};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{AtFlags, statat},
};

use super::{
    super::share::Share,
    changes::{self, Watched},
    event::{self, Event},
    marks::{Marks, key_of},
    phantoms::Phantoms,
};

/// How many changes wait for the guest.
const MAX_WAITING: usize = 4096;
/// How many bytes do before no more of the guest's requests are read.
const MAX_UNSENT: usize = 64 << 10;
/// How far back a change that is told already is looked for.
const LOOK_BACK: usize = 32;
/// How many moved files are remembered until they say so themselves.
const MAX_MOVED: usize = 64;
/// How often directories are looked for that have gone: the host tells of none while the file server has it open.
const LOOK_FOR_DIRECTORIES: Duration = Duration::from_secs(1);
/// How many times longer than the last look to wait for the next.
const REST: u32 = 50;
/// How often the user is told that changes are lost.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What it knows.
pub struct Relay {
    stream: UnixStream,
    share: Share,
    phantoms: Arc<Phantoms>,
    say: Box<dyn Fn(String) + Send>,
    incoming: FrameReader,
    unsent: Vec<u8>,
    marks: Option<Marks>,
    waiting: VecDeque<Change>,
    /// Whether the guest is making a change.
    acting: bool,
    has_actor: bool,
    /// Files that are watched themselves, and move with a change that tells them so.
    moved: HashSet<u64>,
    /// When directories are to be looked for.
    next_look: Instant,
    said_failure: bool,
    said_loss: Option<Instant>,
}

/// The guest has gone, or does not keep to the protocol.
struct Over;

impl Relay {
    /// Nothing is watched yet.
    pub fn new(
        stream: UnixStream,
        share: Share,
        phantoms: Arc<Phantoms>,
        say: Box<dyn Fn(String) + Send>,
    ) -> Self {
        Relay {
            stream,
            share,
            phantoms,
            say,
            incoming: FrameReader::default(),
            unsent: Vec::new(),
            marks: None,
            waiting: VecDeque::new(),
            acting: false,
            has_actor: false,
            moved: HashSet::new(),
            next_look: Instant::now(),
            said_failure: false,
            said_loss: None,
        }
    }

    /// Relays until the guest closes the connection.
    pub fn run(mut self) {
        while self.turn().is_ok() {}
        self.phantoms.arm(None);
    }

    fn turn(&mut self) -> Result<(), Over> {
        let has_room = self.waiting.len() < MAX_WAITING;
        let until_look = self
            .until_look()
            .filter(|_| has_room)
            .map(|wait| Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() });
        let mut on_stream = PollFlags::empty();
        on_stream.set(PollFlags::IN, self.unsent.len() < MAX_UNSENT);
        on_stream.set(PollFlags::OUT, !self.unsent.is_empty());
        let (heard, happened) = {
            let mut interest = vec![PollFd::from_borrowed_fd(self.stream.as_fd(), on_stream)];
            let group = self.marks.as_ref().filter(|_| has_room);
            interest.extend(group.map(|marks| PollFd::from_borrowed_fd(marks.as_fd(), PollFlags::IN)));
            match poll(&mut interest, until_look.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(Over),
            }
            let is_ready = |entry: Option<&PollFd>| entry.is_some_and(|entry| !entry.revents().is_empty());
            (is_ready(interest.first()), is_ready(interest.get(1)))
        };
        if happened {
            self.collect();
        } else if has_room && self.until_look() == Some(Duration::ZERO) {
            self.look_for_directories();
        }
        if heard {
            self.listen()?;
        }
        self.tell_next()?;
        self.flush()
    }

    /// Takes what has happened on the host.
    fn collect(&mut self) {
        let mut buffer = [0; 16 << 10];
        let Some(marks) = &mut self.marks else { return };
        // Nothing but a moment without events can be the reason.
        let Ok(length) = marks.read(&mut buffer) else { return };
        let own = std::process::id() as i32;
        for mut event in event::events(&buffer[..length]) {
            if event.mask & FAN_Q_OVERFLOW != 0 {
                self.say_loss();
            } else if event.process != own {
                if event.mask & (FAN_RENAME | FAN_MOVED_TO) != 0 {
                    self.expect_moved(&event);
                }
                let ends = self.ends(&event);
                if ends {
                    event.mask |= FAN_DELETE_SELF;
                }
                self.end_directory(&event);
                let known = Known { marks: self.marks.as_ref(), share: &self.share };
                for change in changes::changes(&event, &known) {
                    self.note(change);
                }
                if let (Some(marks), Some(key)) = (&mut self.marks, event.itself()) {
                    if ends {
                        marks.end(key, &self.share);
                    } else if event.mask & FAN_DELETE_SELF != 0 {
                        marks.gone(key);
                    }
                }
            }
        }
    }

    /// Whether a file that is watched itself has lost its last name. The host says that it has gone only when nobody has it
    /// open any more, as the file server does.
    fn ends(&self, event: &Event<'_>) -> bool {
        let Some(marks) = &self.marks else { return false };
        let of_directory = event
            .named
            .is_some_and(|(key, name)| !matches!(name, b"" | b".") && !marks.nodes(key).is_empty());
        let node = event.itself().and_then(|key| marks.nodes(key).first());
        event.mask & FAN_ATTRIB != 0 && !of_directory && node.is_some_and(|node| self.share.has_gone(*node))
    }

    /// A directory that is watched and removed ends before its name does, as the host has it.
    fn end_directory(&mut self, event: &Event<'_>) {
        let (Some(marks), Some(key)) = (&mut self.marks, event.file) else { return };
        if event.mask & FAN_DELETE != 0 && event.mask & FAN_ONDIR != 0 {
            for node in marks.end(key, &self.share) {
                self.note(Change::DeletedItself { node, directory: true });
            }
        }
    }

    /// How long until directories are to be looked for, if any is watched.
    fn until_look(&self) -> Option<Duration> {
        let watched = self.marks.as_ref().is_some_and(Marks::has_directories);
        watched.then(|| self.next_look.saturating_duration_since(Instant::now()))
    }

    /// Tells of directories that have gone since the last time.
    fn look_for_directories(&mut self) {
        let begun = Instant::now();
        let Some(marks) = &mut self.marks else { return };
        for node in marks.gone_directories(&self.share) {
            self.note(Change::DeletedItself { node, directory: true });
        }
        self.next_look = Instant::now() + LOOK_FOR_DIRECTORIES.max(REST * begun.elapsed());
    }

    /// Lets a change wait for its turn, unless it adds nothing.
    fn note(&mut self, change: Change) {
        match &change {
            Change::MovedItself { node, .. } if self.moved.remove(node) => return,
            Change::Touched { how: Touch::Content | Touch::Attributes, .. }
            | Change::TouchedItself { how: Touch::Content | Touch::Attributes, .. }
                if self.waiting.iter().rev().take(LOOK_BACK).any(|waiting| *waiting == change) =>
            {
                return;
            }
            _ => {}
        }
        self.waiting.push_back(change);
    }

    /// A file that has just got a name and is watched itself is told so by the same change.
    fn expect_moved(&mut self, event: &Event<'_>) {
        let Some(marks) = &self.marks else { return };
        let Some((directory, name)) = event.new.or(event.named) else { return };
        let Some(directory) = marks.nodes(directory).first() else { return };
        let key = match event.file {
            Some(key) => Ok(key.to_owned()),
            None => self.key_in(*directory, name),
        };
        if self.moved.len() >= MAX_MOVED {
            self.moved.clear();
        }
        self.moved.extend(key.iter().flat_map(|key| marks.nodes(key)));
    }

    /// Which file has a name now.
    fn key_in(&self, directory: u64, name: &[u8]) -> io::Result<Vec<u8>> {
        let (directory, _) = self.share.open_watched(directory)?;
        key_of(&directory, &CString::new(name)?)
    }

    /// Hears what the guest asks for.
    fn listen(&mut self) -> Result<(), Over> {
        let mut buffer = [0; 8 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(Over),
            Ok(length) => self.incoming.push(&buffer[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => return Err(Over),
        }
        while let Some(request) = self.incoming.next_message().map_err(|_| Over)? {
            self.obey(request)?;
        }
        Ok(())
    }

    fn obey(&mut self, request: WatchRequest) -> Result<(), Over> {
        match request {
            WatchRequest::Actor { thread } => {
                self.phantoms.set_actor(i32::try_from(thread).map_err(|_| Over)?);
                self.has_actor = true;
                Ok(())
            }
            WatchRequest::Watch { node } => {
                if let Err(error) = self.watch(node) {
                    self.say_failure(&error);
                }
                self.send(&WatchNews::Watched { node })
            }
            WatchRequest::Forget { node } => {
                if let Some(marks) = &mut self.marks {
                    marks.remove(node, &self.share);
                }
                self.waiting.retain(|change| change.nodes().all(|of| of != node));
                self.send(&WatchNews::Forgotten { node })
            }
            WatchRequest::Done => {
                self.acting = false;
                self.phantoms.arm(None);
                Ok(())
            }
        }
    }

    fn watch(&mut self, node: u64) -> io::Result<()> {
        let marks = match &mut self.marks {
            Some(marks) => marks,
            none => none.insert(Marks::new()?),
        };
        if marks.len() >= MAX_WATCHED {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        match marks.add(node, &self.share) {
            // What the guest made up, or has gone, and what can have no content and no names.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EBADF | libc::ENOENT | libc::ESTALE | libc::EOPNOTSUPP)
                ) && self.share.open_watched(node).is_err() =>
            {
                Ok(())
            }
            added => added,
        }
    }

    /// Tells the guest of the next change, if it is done with the last.
    fn tell_next(&mut self) -> Result<(), Over> {
        if self.acting || !self.has_actor {
            return Ok(());
        }
        let Some(change) = self.waiting.pop_front() else { return Ok(()) };
        self.phantoms.arm(Some(change.clone()));
        self.acting = true;
        self.send(&WatchNews::Changed(change))
    }

    fn send(&mut self, news: &WatchNews) -> Result<(), Over> {
        write_frame(&mut self.unsent, news).map_err(|_| Over)
    }

    fn flush(&mut self) -> Result<(), Over> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Over),
            }
        }
        Ok(())
    }

    fn say_failure(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.said_failure, true) {
            (self.say)(format!("Changes of a volume cannot be told to inotify in the pod: {error}"));
        }
    }

    fn say_loss(&mut self) {
        if self.said_loss.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            self.said_loss = Some(Instant::now());
            (self.say)(
                "Volumes changed faster than inotify in the pod could be told: some changes were not".into(),
            );
        }
    }
}

/// The files that are watched, and the share they are in.
struct Known<'a> {
    marks: Option<&'a Marks>,
    share: &'a Share,
}

impl Watched for Known<'_> {
    fn nodes(&self, key: &[u8]) -> &[u64] {
        self.marks.map_or(&[], |marks| marks.nodes(key))
    }

    fn is_there(&self, place: &Place) -> bool {
        let directory = self.share.open_watched(place.node);
        directory.is_ok_and(|(directory, _)| {
            statat(&directory, place.name.as_slice(), AtFlags::SYMLINK_NOFOLLOW).is_ok()
        })
    }
}
