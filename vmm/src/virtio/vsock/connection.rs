//! One stream between a socket of the guest and a socket of the host: credit, half closes, resets.

use std::{
    io::{self, ErrorKind, Write},
    net::Shutdown,
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
};

use event_manager::EventSet;
use vm_memory::{ReadVolatile, VolatileMemoryError, VolatileSlice, WriteVolatile};

use super::{
    BUFFER, MAX_PAYLOAD,
    packet::{Header, SHUTDOWN_BOTH, SHUTDOWN_RECEIVE, SHUTDOWN_SEND, op, total_len},
    pending::{Pending, UnreadBytes},
};

/// The guest is told of freed buffer space when this much came together.
const CREDIT_UPDATE_STEP: u32 = BUFFER / 2;

/// A connection the guest opened and the host accepted.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,

    /// Bytes from the guest that the host's socket did not take yet.
    pending: Pending,
    /// Bytes from the guest that went on to the host, modulo 2^32, as are all counters of the protocol.
    forwarded: u32,
    /// The value of `forwarded` that the guest knows.
    announced: u32,

    /// Bytes sent to the guest.
    sent: u32,
    /// How much the guest buffers, and how much of what was sent its reader has taken.
    peer_buffer: u32,
    peer_forwarded: u32,
    /// There may be something to read from the host's socket. While it is set, the event loop need not say so again.
    readable: bool,
    /// The host's socket is closed in both directions.
    hung_up: bool,

    /// What the guest does no more, in flags of `SHUTDOWN`.
    guest_shutdown: u32,
    /// What the host does no more, and how much of that the guest has been told.
    host_shutdown: u32,
    told_shutdown: u32,

    response_due: bool,
    credit_update_due: bool,
    credit_requested: bool,
    ending: Ending,
}

/// How far a connection is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Open,
    /// The guest must be told that the connection is over.
    ResetDue,
    /// The guest knows, so it must hear no more of it. Bytes may still be on their way to the host.
    Reset,
}

/// What the guest did to break the protocol; its connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("Guest sent {0} bytes more than it had credit for")]
    Credit(usize),
    #[error("Guest sent data after it said it would not")]
    DataAfterShutdown,
    #[error("Guest sent operation {0} on an open connection")]
    Operation(u16),
}

impl Connection {
    /// Accepts the connection that `request` asks for. `stream` must be non-blocking; what it does not take is counted in `unread`.
    pub fn new(stream: UnixStream, request: &Header, unread: UnreadBytes) -> Self {
        Connection {
            stream,
            pending: Pending::new(unread),
            forwarded: 0,
            announced: 0,
            sent: 0,
            peer_buffer: request.buf_alloc,
            peer_forwarded: request.fwd_cnt,
            readable: false,
            hung_up: false,
            guest_shutdown: 0,
            host_shutdown: 0,
            told_shutdown: 0,
            response_due: true,
            credit_update_due: false,
            credit_requested: false,
            ending: Ending::Open,
        }
    }

    /// A packet from the guest. On a violation the connection must be `abort`ed.
    pub fn receive(&mut self, header: &Header, payload: &[VolatileSlice]) -> Result<(), Violation> {
        self.peer_buffer = header.buf_alloc;
        self.peer_forwarded = header.fwd_cnt;
        if self.credit() > 0 {
            self.credit_requested = false;
        }
        match header.op {
            op::RW => self.receive_data(payload)?,
            op::SHUTDOWN => self.receive_shutdown(header.flags),
            op::CREDIT_UPDATE => {}
            op::CREDIT_REQUEST => self.credit_update_due = true,
            op::RST => {
                self.guest_shutdown = SHUTDOWN_BOTH;
                self.ending = Ending::Reset;
            }
            other => return Err(Violation::Operation(other)),
        }
        Ok(())
    }

    /// Gives the connection up: whatever is on its way is lost, and the guest gets a reset.
    pub fn abort(&mut self) {
        self.pending.consume(self.pending.len());
        self.guest_shutdown = SHUTDOWN_BOTH;
        self.ending = Ending::ResetDue;
    }

    /// The event loop saw `events` on the host's socket.
    pub fn socket_ready(&mut self, events: EventSet) {
        if events.intersects(EventSet::HANG_UP | EventSet::ERROR) {
            self.hung_up = true;
            self.host_shutdown |= SHUTDOWN_RECEIVE;
        }
        // A socket that hung up may still hold data, and its end has to be found either way.
        if events.contains(EventSet::IN) || self.hung_up {
            self.readable = true;
        }
        if events.contains(EventSet::OUT) || self.hung_up {
            self.write_pending();
        }
    }

    /// Whether `next_packet` has, as far as is known, a packet for the guest.
    pub fn has_packet(&self) -> bool {
        match self.ending {
            Ending::Reset => false,
            Ending::ResetDue => true,
            Ending::Open => {
                self.response_due
                    || self.credit_update_due
                    || self.shutdown_due()
                    || (self.may_read() && (self.credit() > 0 || !self.credit_requested))
            }
        }
    }

    /// The next packet for the guest. Data, if it carries any, is in `room` already; the caller completes addresses
    /// and type.
    pub fn next_packet(&mut self, room: &[VolatileSlice]) -> Option<Header> {
        let mut header = match self.ending {
            Ending::Reset => return None,
            Ending::ResetDue => {
                self.ending = Ending::Reset;
                return Some(Header { op: op::RST, ..Header::default() });
            }
            Ending::Open if self.response_due => {
                self.response_due = false;
                Header { op: op::RESPONSE, ..Header::default() }
            }
            Ending::Open => self.next_stream_packet(room)?,
        };
        header.buf_alloc = BUFFER;
        header.fwd_cnt = self.forwarded;
        self.announced = self.forwarded;
        self.credit_update_due = false;
        Some(header)
    }

    /// Which events the loop should wait for; `None` when it must not watch the socket at all, because one that hung
    /// up is always ready.
    pub fn interest(&self) -> Option<EventSet> {
        let mut events = EventSet::empty();
        if self.host_sends() && !self.readable {
            events |= EventSet::IN;
        }
        if !self.pending.is_empty() {
            events |= EventSet::OUT;
        }
        let expects_hang_up = !self.hung_up && self.ending == Ending::Open;
        (expects_hang_up || !events.is_empty()).then_some(events)
    }

    /// Whether the guest knows that the connection is over, so that it may use its port anew.
    pub fn is_reset(&self) -> bool {
        self.ending == Ending::Reset
    }

    /// Whether nothing is left to do.
    pub fn is_finished(&self) -> bool {
        self.ending == Ending::Reset && self.pending.is_empty()
    }

    /// How many bytes the guest has room for (virtio 1.2 §5.10.6.3).
    fn credit(&self) -> u32 {
        self.peer_buffer.saturating_sub(self.sent.wrapping_sub(self.peer_forwarded))
    }

    fn host_sends(&self) -> bool {
        self.host_shutdown & SHUTDOWN_SEND == 0 && self.guest_shutdown & SHUTDOWN_RECEIVE == 0
    }

    fn may_read(&self) -> bool {
        self.readable && self.host_sends()
    }

    fn shutdown_due(&self) -> bool {
        self.host_shutdown != self.told_shutdown
    }

    fn receive_data(&mut self, payload: &[VolatileSlice]) -> Result<(), Violation> {
        if self.guest_shutdown & SHUTDOWN_SEND != 0 {
            return Err(Violation::DataAfterShutdown);
        }
        let excess = (self.pending.len() + total_len(payload)).saturating_sub(BUFFER as usize);
        if excess > 0 {
            return Err(Violation::Credit(excess));
        }
        for slice in payload {
            let written = if self.pending.is_empty() { self.write_slice(slice) } else { 0 };
            if let Ok(rest) = slice.offset(written) {
                // Written through a buffer: guest memory may change at any time, so it cannot be lent as bytes.
                let mut bytes = vec![0; rest.len()];
                rest.copy_to(&mut bytes);
                self.pending.push(&bytes);
            }
        }
        if self.host_shutdown & SHUTDOWN_RECEIVE != 0 {
            self.discard_pending();
        }
        Ok(())
    }

    fn receive_shutdown(&mut self, flags: u32) {
        let new = flags & SHUTDOWN_BOTH & !self.guest_shutdown;
        self.guest_shutdown |= new;
        if new & SHUTDOWN_RECEIVE != 0 {
            // An error means that the socket is closed already.
            let _ = self.stream.shutdown(Shutdown::Read);
        }
        self.after_writing();
    }

    /// Writes straight from guest memory; returns how many bytes the socket took.
    fn write_slice(&mut self, slice: &VolatileSlice) -> usize {
        let mut written = 0;
        while let Ok(rest) = slice.offset(written)
            && !rest.is_empty()
        {
            match (&self.stream).write_volatile(&rest) {
                Ok(count) => {
                    written += count;
                    self.forwarded(count);
                }
                Err(VolatileMemoryError::IOError(error)) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => break,
                    _ => {
                        self.host_shutdown |= SHUTDOWN_RECEIVE;
                        break;
                    }
                },
                Err(_) => break,
            }
        }
        written
    }

    fn write_pending(&mut self) {
        while !self.pending.is_empty() {
            match (&self.stream).write(self.pending.front()) {
                Ok(count) => {
                    self.pending.consume(count);
                    self.forwarded(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.host_shutdown |= SHUTDOWN_RECEIVE;
                    self.discard_pending();
                }
            }
        }
        self.after_writing();
    }

    fn discard_pending(&mut self) {
        let count = self.pending.len();
        self.pending.consume(count);
        self.forwarded(count);
    }

    fn forwarded(&mut self, count: usize) {
        // Bounded by `BUFFER`, so the cast loses nothing.
        self.forwarded = self.forwarded.wrapping_add(count as u32);
        if self.forwarded.wrapping_sub(self.announced) >= CREDIT_UPDATE_STEP {
            self.credit_update_due = true;
        }
    }

    /// Passes the guest's end of data on, once all of it has been written.
    fn after_writing(&mut self) {
        if !self.pending.is_empty() {
            return;
        }
        if self.guest_shutdown & SHUTDOWN_SEND != 0 {
            // An error means that the socket is closed already.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        if self.guest_shutdown == SHUTDOWN_BOTH && self.ending == Ending::Open {
            self.ending = Ending::ResetDue;
        }
    }

    fn next_stream_packet(&mut self, room: &[VolatileSlice]) -> Option<Header> {
        if self.may_read() {
            if self.credit() == 0 {
                if !self.credit_requested {
                    self.credit_requested = true;
                    return Some(Header { op: op::CREDIT_REQUEST, ..Header::default() });
                }
            } else if let Some(len) = self.read(room) {
                self.sent = self.sent.wrapping_add(len);
                return Some(Header { op: op::RW, len, ..Header::default() });
            }
        }
        if self.shutdown_due() {
            self.told_shutdown = self.host_shutdown;
            return Some(Header { op: op::SHUTDOWN, flags: self.told_shutdown, ..Header::default() });
        }
        self.credit_update_due.then(|| Header { op: op::CREDIT_UPDATE, ..Header::default() })
    }

    /// Reads from the host's socket straight into guest memory, as much as there is credit for.
    fn read(&mut self, room: &[VolatileSlice]) -> Option<u32> {
        let limit = self.credit().min(MAX_PAYLOAD) as usize;
        let mut total = 0;
        for slice in room {
            let Ok(mut target) = slice.subslice(0, slice.len().min(limit - total)) else { break };
            if target.is_empty() {
                continue;
            }
            match self.read_slice(&mut target) {
                Ok(0) => {
                    self.host_shutdown |= SHUTDOWN_SEND;
                    break;
                }
                Ok(count) => {
                    total += count;
                    if count < target.len() {
                        self.readable = false;
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    break;
                }
                // The host closed its end without reading all it got.
                Err(_) => {
                    self.host_shutdown = SHUTDOWN_BOTH;
                    break;
                }
            }
        }
        (total > 0).then_some(total as u32)
    }

    fn read_slice(&mut self, target: &mut VolatileSlice) -> io::Result<usize> {
        loop {
            match (&self.stream).read_volatile(target) {
                Ok(count) => return Ok(count),
                Err(VolatileMemoryError::IOError(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(VolatileMemoryError::IOError(error)) => return Err(error),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
