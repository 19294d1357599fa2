//! The control connection, without waiting for the guest.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
};

use agent::protocol::{FrameError, FrameReader, GuestMessage, HostMessage, MAX_FRAME, write_frame};

/// How much may wait for a guest that does not read, in bytes: the pod, and many small messages after it.
const MAX_WAITING: usize = 2 * MAX_FRAME;
/// How much is read before other events get their turn, in bytes.
const READ_AT_ONCE: usize = 256 << 10;

/// The host's end of the control connection.
#[derive(Debug)]
pub struct Control {
    stream: UnixStream,
    incoming: FrameReader,
    outgoing: VecDeque<u8>,
}

/// Why there is no talking to the guest.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// What came is no message.
    #[error("Agent of the guest does not speak the protocol")]
    Frame(#[source] FrameError),
    /// A message could not be made.
    #[error("Cannot send to the agent of the guest")]
    Send(#[source] FrameError),
    /// The connection broke.
    #[error("Lost the agent of the guest")]
    Io(#[source] io::Error),
    /// The guest does not read what it is told.
    #[error("Agent of the guest does not listen: {0} bytes wait for it")]
    Deaf(usize),
}

/// What a look at the connection brought.
#[derive(Debug, Default)]
pub struct Heard {
    /// Messages, in order.
    pub messages: Vec<GuestMessage>,
    /// What is wrong with what followed them.
    pub error: Option<ControlError>,
    /// Whether the guest has closed the connection.
    pub closed: bool,
    /// Whether there may be more to read at once.
    pub more: bool,
}

impl Control {
    /// Takes a connection the guest opened.
    pub fn new(stream: UnixStream) -> Result<Self, ControlError> {
        stream.set_nonblocking(true).map_err(ControlError::Io)?;
        Ok(Control { stream, incoming: FrameReader::default(), outgoing: VecDeque::new() })
    }

    /// Reads what has come.
    pub fn receive(&mut self) -> Heard {
        let mut heard = Heard::default();
        let mut buffer = [0; 8 << 10];
        let mut total = 0;
        loop {
            if total >= READ_AT_ONCE {
                heard.more = true;
                return heard;
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => heard.closed = true,
                Ok(length) => {
                    total += length;
                    self.incoming.push(&buffer[..length]);
                    self.decode(&mut heard);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return heard,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A guest that goes away with unread data resets the connection.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => heard.closed = true,
                Err(error) => heard.error = Some(ControlError::Io(error)),
            }
            if heard.closed || heard.error.is_some() {
                return heard;
            }
        }
    }

    /// Whether so little waits for the guest that there is room for what is not needed to run the pod.
    pub fn has_room(&self) -> bool {
        self.outgoing.len() < MAX_FRAME / 4
    }

    /// Sends a message, now or when the guest has room.
    pub fn send(&mut self, message: &HostMessage) -> Result<(), ControlError> {
        write_frame(&mut self.outgoing, message).map_err(ControlError::Send)?;
        if self.outgoing.len() > MAX_WAITING {
            return Err(ControlError::Deaf(self.outgoing.len()));
        }
        self.flush()
    }

    /// Sends what waits, as far as the guest has room.
    pub fn flush(&mut self) -> Result<(), ControlError> {
        while !self.outgoing.is_empty() {
            let (front, _) = self.outgoing.as_slices();
            match self.stream.write(front) {
                Ok(length) => drop(self.outgoing.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Reading will tell the same, after the guest's last words.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.outgoing.clear();
                    return Ok(());
                }
                Err(error) => return Err(ControlError::Io(error)),
            }
        }
        Ok(())
    }

    fn decode(&mut self, heard: &mut Heard) {
        loop {
            match self.incoming.next_message() {
                Ok(Some(message)) => heard.messages.push(message),
                Ok(None) => return,
                Err(error) => {
                    heard.error = Some(ControlError::Frame(error));
                    return;
                }
            }
        }
    }
}

impl AsRawFd for Control {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use agent::protocol::read_frame;
    use proptest::prelude::*;

    use super::*;

    fn pair() -> (Control, UnixStream) {
        let (host, guest) = UnixStream::pair().unwrap();
        (Control::new(host).unwrap(), guest)
    }

    #[test]
    fn messages_arrive_and_then_the_end() {
        let (mut control, mut guest) = pair();
        assert!(control.receive().messages.is_empty());
        write_frame(&mut guest, &GuestMessage::Hello { version: 1 }).unwrap();
        write_frame(&mut guest, &GuestMessage::Ready).unwrap();
        drop(guest);
        let heard = control.receive();
        assert_eq!(heard.messages, [GuestMessage::Hello { version: 1 }, GuestMessage::Ready]);
        assert!(heard.closed && heard.error.is_none());
    }

    #[test]
    fn nonsense_after_a_message_is_an_error_after_the_message() {
        let (mut control, mut guest) = pair();
        write_frame(&mut guest, &GuestMessage::Ready).unwrap();
        guest.write_all(&[2, 0, 0, 0, b'{', b'{']).unwrap();
        let heard = control.receive();
        assert_eq!(heard.messages, [GuestMessage::Ready]);
        assert!(matches!(heard.error, Some(ControlError::Frame(FrameError::Decode(_)))));
    }

    #[test]
    fn a_flood_leaves_others_their_turn() {
        let (mut control, guest) = pair();
        let mut writer = guest.try_clone().unwrap();
        let flood = std::thread::spawn(move || {
            let mut frames = Vec::new();
            (0..20_000).for_each(|_| write_frame(&mut frames, &GuestMessage::Ready).unwrap());
            let _ = writer.write_all(&frames);
        });
        let mut seen = 0;
        while seen < 20_000 {
            let heard = control.receive();
            assert!(heard.messages.len() <= READ_AT_ONCE / 8 + 1024);
            seen += heard.messages.len();
        }
        flood.join().unwrap();
    }

    #[test]
    fn a_guest_that_does_not_read_costs_bounded_memory() {
        let (mut control, guest) = pair();
        let message = HostMessage::Signal { app: "a".repeat(1 << 20), signal: 15 };
        let refused = (0..20).find_map(|_| control.send(&message).err());
        assert!(matches!(refused, Some(ControlError::Deaf(_))));
        drop(guest);
    }

    #[test]
    fn what_waited_is_sent_when_there_is_room() {
        let (mut control, mut guest) = pair();
        let message = HostMessage::Signal { app: "a".repeat(1 << 20), signal: 15 };
        control.send(&message).unwrap();
        let reader = std::thread::spawn(move || read_frame::<HostMessage>(&mut guest).unwrap());
        while !control.outgoing.is_empty() {
            control.flush().unwrap();
        }
        assert_eq!(reader.join().unwrap(), Some(message));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let (mut control, mut guest) = pair();
            guest.write_all(&bytes).unwrap();
            drop(guest);
            let heard = control.receive();
            prop_assert!(heard.closed || heard.error.is_some());
        }
    }
}
