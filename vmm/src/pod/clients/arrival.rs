//! A stream of a command on its way from the guest to the client that runs the command.

use std::os::unix::net::UnixStream;

use agent::protocol::{CommandHeader, FrameReader};
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};

/// The largest header, in bytes.
const MAX_HEADER: usize = 256;

/// Whose a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongs {
    /// It has not said yet.
    Unknown,
    /// A command's. Its header has been taken from it, and not a byte more: the rest is the client's.
    To(CommandHeader),
    /// It ended before it said, or said what no agent says.
    Nobody,
}

/// Looks whose connection it is, without waiting.
pub fn look(stream: &UnixStream) -> Belongs {
    let mut bytes = [0; MAX_HEADER];
    let there = match recv(stream, &mut bytes, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((1.., length)) => length.min(MAX_HEADER),
        Err(Errno::AGAIN | Errno::INTR) => return Belongs::Unknown,
        Ok(_) | Err(_) => return Belongs::Nobody,
    };
    let mut reader = FrameReader::default();
    reader.push(&bytes[..there]);
    match reader.next_message() {
        Ok(Some(header)) => {
            // The frame says how long it is, and all of it has been seen.
            let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize + 4;
            match recv(stream, &mut bytes[..length], RecvFlags::DONTWAIT) {
                Ok(_) => Belongs::To(header),
                Err(_) => Belongs::Nobody,
            }
        }
        Ok(None) if there < MAX_HEADER => Belongs::Unknown,
        Ok(None) | Err(_) => Belongs::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use agent::protocol::{StreamKind, write_frame};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_in_pieces_is_taken_and_nothing_else() {
        let (host, mut guest) = UnixStream::pair().unwrap();
        let expected = CommandHeader { command: 7, stream: StreamKind::Stdout };
        let mut frame = Vec::new();
        write_frame(&mut frame, &expected).unwrap();
        for byte in &frame {
            assert_eq!(look(&host), Belongs::Unknown);
            guest.write_all(&[*byte]).unwrap();
        }
        guest.write_all(b"output").unwrap();
        assert_eq!(look(&host), Belongs::To(expected));
        drop(guest);
        let mut rest = String::new();
        (&host).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "output");
    }

    #[test]
    fn headers_are_bounded() {
        let (host, mut guest) = UnixStream::pair().unwrap();
        guest.write_all(&1_000_000u32.to_le_bytes()).unwrap();
        assert_eq!(look(&host), Belongs::Unknown);
        guest.write_all(&[b' '; MAX_HEADER]).unwrap();
        assert_eq!(look(&host), Belongs::Nobody);
        let (host, mut guest) = UnixStream::pair().unwrap();
        guest.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert_eq!(look(&host), Belongs::Nobody);
        let (host, guest) = UnixStream::pair().unwrap();
        drop(guest);
        assert_eq!(look(&host), Belongs::Nobody);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let (host, mut guest) = UnixStream::pair().unwrap();
            guest.write_all(&bytes).unwrap();
            look(&host);
        }
    }
}
