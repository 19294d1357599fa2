//! The client's end of the pod's socket.

use std::{
    collections::VecDeque,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    thread,
    time::{Duration, Instant},
};

use agent::protocol::{FrameError, FrameReader, StreamKind, write_frame};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};

use super::{EnterError, relay::Relay};
use crate::pod::{
    clients::wire::{Reply, Request},
    directory::PodDirectory,
    lock::is_locked,
    signals::Signals,
};

/// How long a pod that has just been started may take to listen.
const LISTEN_LIMIT: Duration = Duration::from_secs(20);
/// How often that is tried.
const LISTEN_INTERVAL: Duration = Duration::from_millis(50);
/// How long a pod may take to answer: to start an app it may have to boot first.
const ANSWER_LIMIT: Duration = Duration::from_secs(150);

/// A connection with a pod.
#[derive(Debug)]
pub struct Call {
    stream: UnixStream,
    incoming: FrameReader,
    descriptors: VecDeque<OwnedFd>,
}

/// What the pod answered.
#[derive(Debug)]
pub enum Answer {
    /// A stream of the command.
    Stream(StreamKind, UnixStream),
    /// A message without a descriptor.
    Other(Reply),
    /// The pod has closed the connection.
    End,
}

/// What there is to do.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// The pod has said something.
    pub call: bool,
    /// A signal has come.
    pub signals: bool,
}

impl Call {
    /// Connects to the pod that runs in a directory.
    pub fn connect(directory: &PodDirectory) -> Result<Self, EnterError> {
        let path = directory.socket();
        let limit = Instant::now() + LISTEN_LIMIT;
        loop {
            let failed = |source| EnterError::NoSocket { path: path.clone(), source };
            let error = match UnixStream::connect(&path) {
                Ok(stream) => {
                    let (incoming, descriptors) = (FrameReader::default(), VecDeque::new());
                    return Ok(Call { stream, incoming, descriptors });
                }
                Err(error) => error,
            };
            let early = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
            if early && !is_locked(directory).map_err(failed)? {
                return Err(EnterError::NotRunning);
            }
            if !early || Instant::now() >= limit {
                return Err(failed(error));
            }
            thread::sleep(LISTEN_INTERVAL);
        }
    }

    /// Sends a request.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        write_frame(&mut self.stream, request).map_err(io_error)
    }

    /// Waits for what the pod says next.
    pub fn receive(&mut self) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        let closed = self.read()? == 0;
        while let Some(reply) = self.incoming.next_message().map_err(io_error)? {
            answers.push(match reply {
                Reply::Stream { stream } => match self.descriptors.pop_front() {
                    Some(descriptor) => Answer::Stream(stream, descriptor.into()),
                    None => return Err(io::ErrorKind::InvalidData.into()),
                },
                other => Answer::Other(other),
            });
        }
        if closed {
            answers.push(Answer::End);
        }
        Ok(answers)
    }

    /// Reads what there is, bytes and descriptors. The kernel never returns descriptors later than their bytes.
    fn read(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let mut buffers = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.stream, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => break received.bytes,
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => break 0,
                Err(error) => return Err(error.into()),
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        self.incoming.push(&bytes[..length]);
        Ok(length)
    }
}

impl AsFd for Call {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Asks the pod for something that has one answer.
pub fn ask(directory: &PodDirectory, request: &Request) -> Result<Reply, EnterError> {
    let mut call = Call::connect(directory)?;
    call.stream.set_read_timeout(Some(ANSWER_LIMIT)).map_err(EnterError::Connection)?;
    call.send(request).map_err(EnterError::Connection)?;
    loop {
        let answers = call.receive().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => EnterError::NoAnswer(ANSWER_LIMIT.as_secs()),
            _ => EnterError::Connection(error),
        })?;
        for answer in answers {
            match answer {
                Answer::Other(Reply::Refused { line }) => return Err(EnterError::Refused(line)),
                Answer::Other(reply) => return Ok(reply),
                Answer::End => return Err(EnterError::PodEnded),
                Answer::Stream(..) => {}
            }
        }
    }
}

/// Waits until there is something to do.
pub fn wait(call: &Call, signals: &Signals, relay: &Relay) -> io::Result<Ready> {
    let mut interest =
        [call.as_fd(), signals.as_fd(), relay.as_fd()].map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN));
    loop {
        match poll(&mut interest, None) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let ready = |at: usize| !interest[at].revents().is_empty();
    Ok(Ready { call: ready(0), signals: ready(1) })
}

fn io_error(error: FrameError) -> io::Error {
    match error {
        FrameError::Io(error) => error,
        other => io::Error::other(other),
    }
}
