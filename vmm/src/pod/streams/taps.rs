//! Who else listens to the apps, or gives them input: the clients that are attached.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agent::protocol::{AppSpec, StreamHeader, StreamKind};

use super::{registry::headers, spawn};

/// How long one that does not read may hold an app back before it is given up.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much input is moved at once, in bytes.
const CHUNK: usize = 16 << 10;

/// The attached clients of a pod, by the streams they share.
#[derive(Debug, Default)]
pub struct Taps {
    streams: Mutex<HashMap<StreamHeader, Tapped>>,
}

/// A stream of an app's that has not ended.
#[derive(Debug, Default)]
struct Tapped {
    listeners: Vec<Listener>,
    /// The way to the app, once the guest has opened it.
    input: Option<UnixStream>,
    /// Clients that came before that.
    early: Vec<UnixStream>,
}

#[derive(Debug)]
struct Listener {
    client: u32,
    stream: UnixStream,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Its input may still be waited for; already closed is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Taps {
    /// Has the streams of an app that is about to be started, with nobody attached.
    pub fn expect(&self, app: &AppSpec) {
        self.lock().extend(headers(app).map(|header| (header, Tapped::default())));
    }

    /// The guest has opened a stream.
    pub fn open(&self, header: &StreamHeader, stream: &UnixStream) -> io::Result<()> {
        let mut streams = self.lock();
        let Some(tapped) = streams.get_mut(header) else { return Ok(()) };
        if matches!(header.stream, StreamKind::Stdin | StreamKind::Tty) {
            for early in std::mem::take(&mut tapped.early) {
                start_pump(early, stream.try_clone()?)?;
            }
            tapped.input = Some(stream.try_clone()?);
        }
        Ok(())
    }

    /// It has ended, and so do those of everybody attached to it.
    pub fn close(&self, header: &StreamHeader) {
        self.lock().remove(header);
    }

    /// Attaches a client to a stream and gives it its end; `None` if the app has no such stream, or it
    /// has ended.
    pub fn attach(&self, header: &StreamHeader, client: u32) -> io::Result<Option<UnixStream>> {
        let mut streams = self.lock();
        let Some(tapped) = streams.get_mut(header) else { return Ok(None) };
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(PATIENCE))?;
        if matches!(header.stream, StreamKind::Stdin | StreamKind::Tty) {
            let from = ours.try_clone()?;
            match &tapped.input {
                Some(input) => start_pump(from, input.try_clone()?)?,
                None => tapped.early.push(from),
            }
        }
        if header.stream != StreamKind::Stdin {
            tapped.listeners.push(Listener { client, stream: ours });
        }
        Ok(Some(theirs))
    }

    /// A client has gone.
    pub fn detach(&self, client: u32) {
        self.lock().values_mut().for_each(|tapped| tapped.listeners.retain(|other| other.client != client));
    }

    /// Shows what came over a stream to everybody attached to it. Whoever does not keep up is detached.
    pub fn write(&self, header: &StreamHeader, bytes: &[u8]) {
        // Not written under the lock, which the event loop takes, too.
        let listeners = self.lock().get_mut(header).map(|tapped| std::mem::take(&mut tapped.listeners));
        let mut listeners = listeners.unwrap_or_default();
        if listeners.is_empty() {
            return;
        }
        listeners.retain(|listener| (&listener.stream).write_all(bytes).is_ok());
        if let Some(tapped) = self.lock().get_mut(header) {
            tapped.listeners.append(&mut listeners);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamHeader, Tapped>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start_pump(from: UnixStream, to: UnixStream) -> io::Result<()> {
    spawn("attached", move || pump(&from, &to)).map_err(io::Error::other)
}

/// Moves what a client types to the app. The client's end is not the app's: others may have more.
fn pump(mut from: &UnixStream, mut to: &UnixStream) {
    let mut buffer = [0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(length @ 1..) if to.write_all(&buffer[..length]).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use agent::protocol::{Stdio, WindowSize};

    use super::*;
    use crate::pod::spec::app_spec;

    fn taps(stdio: Stdio) -> Taps {
        let taps = Taps::default();
        taps.expect(&app_spec("web", stdio));
        taps
    }

    fn header(stream: StreamKind) -> StreamHeader {
        StreamHeader { app: "web".into(), stream }
    }

    fn read(mut stream: &UnixStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn everybody_hears_what_comes_from_then_on() {
        let (taps, (host, _guest)) = (taps(Stdio::Output), UnixStream::pair().unwrap());
        let stdout = header(StreamKind::Stdout);
        assert!(taps.attach(&header(StreamKind::Tty), 1).unwrap().is_none());
        taps.open(&stdout, &host).unwrap();
        taps.write(&stdout, b"unheard");
        let first = taps.attach(&stdout, 1).unwrap().unwrap();
        taps.write(&stdout, b"a");
        let second = taps.attach(&stdout, 2).unwrap().unwrap();
        taps.write(&stdout, b"b");
        assert_eq!((read(&first, 2), read(&second, 1)), (b"ab".to_vec(), b"b".to_vec()));
        taps.detach(1);
        taps.write(&stdout, b"c");
        assert_eq!(read(&second, 1), b"c");
        assert_eq!((&first).read(&mut [0]).unwrap(), 0);
        taps.close(&stdout);
        assert_eq!((&second).read(&mut [0]).unwrap(), 0);
        assert!(taps.attach(&stdout, 3).unwrap().is_none());
    }

    #[test]
    fn input_of_all_comes_together_and_ends_with_none() {
        let size = WindowSize { rows: 1, columns: 1 };
        let (taps, (host, guest)) = (taps(Stdio::Terminal { size }), UnixStream::pair().unwrap());
        let tty = header(StreamKind::Tty);
        let mut early = taps.attach(&tty, 3).unwrap().unwrap();
        early.write_all(b"c").unwrap();
        taps.open(&tty, &host).unwrap();
        assert_eq!(read(&guest, 1), b"c");
        for (client, text) in [(1, b"a"), (2, b"b")] {
            let mut stream = taps.attach(&tty, client).unwrap().unwrap();
            stream.write_all(text).unwrap();
            assert_eq!(read(&guest, 1), text);
        }
        // A terminal that ends, ends for those who type, too.
        taps.close(&tty);
        assert_eq!(early.read(&mut [0]).unwrap(), 0);
        guest.set_nonblocking(true).unwrap();
        assert_eq!((&guest).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn who_does_not_read_is_detached_and_holds_the_app_back_once() {
        let (taps, (host, _guest)) = (taps(Stdio::Output), UnixStream::pair().unwrap());
        let stdout = header(StreamKind::Stdout);
        taps.open(&stdout, &host).unwrap();
        let stuck = taps.attach(&stdout, 1).unwrap().unwrap();
        let begun = Instant::now();
        (0..100).for_each(|_| taps.write(&stdout, &[0; 64 << 10]));
        assert!(begun.elapsed() < 5 * PATIENCE, "{:?}", begun.elapsed());
        let mut all = Vec::new();
        (&stuck).read_to_end(&mut all).unwrap();
        assert!(all.len() < 100 * (64 << 10));
    }
}
