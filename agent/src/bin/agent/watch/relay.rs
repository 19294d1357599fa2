//! Between the apps that watch, the host, and the threads that may have to wait. This one never does.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use agent::protocol::{Change, WatchNews, WatchRequest};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::actor::{self, Act};
use super::answer::Answer;
use super::host::Host;
use super::listener::Listener;
use super::looks::Looks;
use super::nodes::{Found, Nodes, State};
use super::resolver::{self, Question};
use super::{Bell, STACK};

/// How long a call waits for the host at most.
const PATIENCE: Duration = Duration::from_secs(1);
/// How soon after a call it is checked what is watched: the call may have meant another file.
const CHECK: Duration = Duration::from_millis(100);
/// How soon after a change, or at once if processes have ended.
const SWEEP: Duration = Duration::from_secs(5);
/// How long a watch may be on its way from a call that has been let go on.
const YOUNG: Duration = Duration::from_secs(2);

/// A call that waits.
#[derive(Debug)]
struct Waiting {
    call: u64,
    until: Instant,
    /// The node the host has been asked to watch.
    node: Option<u64>,
}

/// What it knows.
#[derive(Debug)]
pub struct Relay {
    listener: Listener,
    bell: Arc<Bell>,
    answers: Receiver<Answer>,
    questions: Sender<Question>,
    acts: Sender<Act>,
    /// None if it cannot be reached: nothing is relayed.
    host: Option<Host>,
    /// It takes longer than calls can wait.
    slow: bool,
    /// Something has been watched.
    busy: bool,
    nodes: Nodes,
    waiting: Option<Waiting>,
    /// Calls whose files are being found.
    unresolved: usize,
    /// The thread that finds them does not come back.
    stuck: bool,
    acting: Option<Change>,
    looks: Looks,
    /// Apps may have come and gone since the last look.
    refresh: bool,
}

impl Relay {
    /// Starts the other threads.
    pub fn start(listener: OwnedFd, host: OwnedFd, bell: Arc<Bell>) -> io::Result<Self> {
        let (answer, answers) = channel();
        let (questions, asked) = channel();
        let (acts, to_do) = channel();
        let (told, name) = channel();
        let (answer_too, bells) = (answer.clone(), [Arc::clone(&bell), Arc::clone(&bell)]);
        let [resolvers, actors] = bells;
        let builder = |name: &str| Builder::new().name(name.to_owned()).stack_size(STACK);
        builder("watch-resolver").spawn(move || resolver::run(&asked, &answer_too, &resolvers))?;
        builder("watch-actor").spawn(move || {
            if told.send(actor::thread()).is_ok() {
                actor::run(&to_do, &answer, &actors);
            }
        })?;
        let actor = name.recv().map_err(io::Error::other)??;
        let mut host = Host::over(host)?;
        host.send(WatchRequest::Actor { thread: actor })?;
        Ok(Self {
            listener: Listener::new(listener),
            bell,
            answers,
            questions,
            acts,
            host: Some(host),
            slow: false,
            busy: false,
            nodes: Nodes::default(),
            waiting: None,
            unresolved: 0,
            stuck: false,
            acting: None,
            looks: Looks::new(Instant::now()),
            refresh: false,
        })
    }

    /// Relays as long as the machine runs.
    pub fn run(mut self) {
        loop {
            let (call, news) = self.wait();
            let _ = self.bell.event.read();
            if self.bell.look_again.swap(false, Ordering::SeqCst) && self.busy {
                self.refresh = true;
                self.look_after(Duration::ZERO);
            }
            while let Ok(answer) = self.answers.try_recv() {
                self.answered(answer);
            }
            if news {
                self.hear();
            }
            if call && self.waiting.is_none() {
                self.called();
            }
            self.on_time(Instant::now());
        }
    }

    /// Waits for something to happen: whether a call waits, and whether the host has something to say.
    fn wait(&self) -> (bool, bool) {
        // A look has to wait for the thread that looks.
        let look = self.looks.deadline().filter(|_| !self.stuck);
        let due = [self.waiting.as_ref().map(|waiting| waiting.until), look];
        let timeout = due.into_iter().flatten().min().map_or(PollTimeout::NONE, |at| {
            let millis = at.saturating_duration_since(Instant::now()).as_millis() + 1;
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        let mut interest = vec![PollFd::new(self.bell.event.as_fd(), PollFlags::POLLIN)];
        let calls = if self.waiting.is_none() { PollFlags::POLLIN } else { PollFlags::empty() };
        interest.push(PollFd::new(self.listener.as_fd(), calls));
        if let Some(host) = &self.host {
            let unsent = if host.has_unsent() { PollFlags::POLLOUT } else { PollFlags::empty() };
            interest.push(PollFd::new(host.as_fd(), PollFlags::POLLIN | unsent));
        }
        match poll(&mut interest, timeout) {
            // Descriptors that are open and a list that is there: only memory can be missing, for a while.
            Err(Errno::EINTR | Errno::ENOMEM | Errno::EAGAIN) | Ok(_) => {}
            Err(error) => panic!("Cannot wait for what is watched: {error}"),
        }
        let ready = |index: usize| interest.get(index).is_some_and(|entry| entry.any().unwrap_or(false));
        (ready(1), ready(2))
    }

    /// Somebody is about to watch a file.
    fn called(&mut self) {
        // The caller may have died.
        let Ok(call) = self.listener.receive() else { return };
        if self.host.is_none() || self.stuck || self.questions.send(Question::Which(call)).is_err() {
            self.listener.resume(call.id);
            self.look_after(CHECK);
            return;
        }
        self.unresolved += 1;
        self.waiting = Some(Waiting { call: call.id, until: Instant::now() + PATIENCE, node: None });
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Which { call, found } => {
                self.unresolved = self.unresolved.saturating_sub(1);
                self.stuck &= self.unresolved > 0;
                let node = found.as_ref().map(|found| found.node);
                if let Some(found) = found {
                    self.ask(found);
                }
                // The call may have gone on.
                if self.waiting.as_ref().is_some_and(|waiting| waiting.call == call) {
                    match node.filter(|node| self.is_asked(*node)) {
                        None => self.resume(),
                        node => self.waiting.iter_mut().for_each(|waiting| waiting.node = node),
                    }
                }
                if self.busy {
                    self.look_after(CHECK);
                }
            }
            Answer::All { watched, new } => self.sweep(&watched, new),
            Answer::Acted => {
                if let Some(Change::DeletedItself { node, .. }) = self.acting.take() {
                    self.leave(node);
                }
                self.send(WatchRequest::Done);
            }
        }
    }

    fn is_asked(&self, node: u64) -> bool {
        !self.slow && self.nodes.get(node).is_some_and(|node| node.state == State::Asked)
    }

    /// Lets the waiting call go on.
    fn resume(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.listener.resume(waiting.call);
        }
    }

    /// Has the host watch a file, if it does not.
    fn ask(&mut self, found: Found) {
        let node = found.node;
        self.busy = true;
        if self.nodes.ask(found, Instant::now()) {
            self.send(WatchRequest::Watch { node });
        }
    }

    /// Has the host forget one.
    fn leave(&mut self, node: u64) {
        self.nodes.leave(node);
        self.send(WatchRequest::Forget { node });
    }

    fn sweep(&mut self, watched: &HashSet<u64>, new: Vec<Found>) {
        let now = Instant::now();
        let Some(began) = self.looks.end(now) else { return };
        // What was asked for shortly before may not have been watched yet.
        let Some(old) = began.checked_sub(YOUNG) else { return };
        for node in self.nodes.older_than(old) {
            if !watched.contains(&node) {
                self.leave(node);
            }
        }
        new.into_iter().for_each(|found| self.ask(found));
        if self.nodes.has_younger_than(old) {
            self.look_after(YOUNG);
        }
    }

    /// Looks what is watched, no later than in a while.
    fn look_after(&mut self, pause: Duration) {
        if self.host.is_some() {
            self.looks.want(Instant::now() + pause);
        }
    }

    fn on_time(&mut self, now: Instant) {
        if self.waiting.as_ref().is_some_and(|waiting| waiting.until <= now) {
            match &self.waiting {
                Some(Waiting { node: Some(_), .. }) => self.slow = true,
                _ => self.stuck = true,
            }
            self.resume();
            self.look_after(CHECK);
        }
        if !self.stuck && self.looks.begin(now) {
            let question =
                Question::All { known: self.nodes.known(), refresh: std::mem::take(&mut self.refresh) };
            // That thread lives as long as this one.
            let _ = self.questions.send(question);
        }
    }

    /// What the host says.
    fn hear(&mut self) {
        let heard = self.host.as_mut().map(|host| host.flush().and_then(|()| host.receive()));
        match heard {
            Some(Ok(news)) => news.into_iter().for_each(|news| self.heard(news)),
            Some(Err(_)) => self.give_up(),
            None => {}
        }
    }

    fn heard(&mut self, news: WatchNews) {
        match news {
            WatchNews::Watched { node } => {
                self.slow = false;
                self.nodes.watched(node);
                if self.waiting.as_ref().is_some_and(|waiting| waiting.node == Some(node)) {
                    self.resume();
                }
            }
            WatchNews::Forgotten { node } => self.nodes.forgotten(node),
            WatchNews::Changed(change) => {
                self.look_after(SWEEP);
                let files = change.nodes().map(|node| self.nodes.get(node).map(|node| node.found.clone()));
                match files.collect::<Option<Vec<_>>>() {
                    Some(files) => {
                        self.acting = Some(change.clone());
                        // The actor lives as long as this thread.
                        let _ = self.acts.send(Act { change, files });
                    }
                    None => self.send(WatchRequest::Done),
                }
            }
        }
    }

    fn send(&mut self, request: WatchRequest) {
        if self.host.as_mut().is_some_and(|host| host.send(request).is_err()) {
            self.give_up();
        }
    }

    /// Without the host there is nothing to relay; calls go on as they always did.
    fn give_up(&mut self) {
        self.host = None;
        self.looks.give_up();
        self.nodes.clear();
        self.resume();
    }
}
