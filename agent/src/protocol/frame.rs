//! Framing: a little-endian `u32` length, then that many bytes of JSON.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// The largest frame either side accepts, in bytes. A pod manifest is the largest thing ever sent.
pub const MAX_FRAME: usize = 4 << 20;

/// Why a frame could not be sent or understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer announced or we built a frame above [`MAX_FRAME`].
    #[error("Frame of {0} bytes exceeds the limit of {MAX_FRAME} bytes")]
    TooLarge(usize),
    /// The frame is not the message expected.
    #[error("Cannot decode frame")]
    Decode(#[source] serde_json::Error),
    /// The message does not serialize.
    #[error("Cannot encode frame")]
    Encode(#[source] serde_json::Error),
    /// The connection failed.
    #[error("Connection failed")]
    Io(#[from] io::Error),
}

/// Writes one message as a frame, in a single write.
pub fn write_frame<T: Serialize>(writer: &mut impl Write, message: &T) -> Result<(), FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message).map_err(FrameError::Encode)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge(length));
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    writer.write_all(&frame)?;
    Ok(writer.flush()?)
}

/// Reads one message from a blocking connection; `None` when the peer closed it between frames.
pub fn read_frame<T: DeserializeOwned>(reader: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut length = [0; 4];
    let first = loop {
        match reader.read(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if first == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut length[first..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge(length));
    }
    let mut body = Vec::new();
    let read = reader.take(length as u64).read_to_end(&mut body)?;
    if read < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    serde_json::from_slice(&body).map(Some).map_err(FrameError::Decode)
}

/// Reassembles frames from a non-blocking connection: bytes go in as they arrive, messages come out when whole.
///
/// Holds at most one partial frame of [`MAX_FRAME`] bytes plus what the last [`FrameReader::push`] brought.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
}

impl FrameReader {
    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next whole message, if there is one. After an error the connection is beyond repair.
    pub fn next_message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*header) as usize;
        if length > MAX_FRAME {
            return Err(FrameError::TooLarge(length));
        }
        let Some(body) = self.buffer.get(4..4 + length) else { return Ok(None) };
        let message = serde_json::from_slice(body).map_err(FrameError::Decode)?;
        self.buffer.drain(..4 + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn messages_survive_any_fragmentation(texts in prop::collection::vec(".{0,40}", 0..8), step in 1usize..9) {
            let mut wire = Vec::new();
            for text in &texts {
                write_frame(&mut wire, text).unwrap();
            }
            let mut reader = FrameReader::default();
            let mut seen = Vec::new();
            for piece in wire.chunks(step) {
                reader.push(piece);
                while let Some(text) = reader.next_message::<String>().unwrap() {
                    seen.push(text);
                }
            }
            prop_assert_eq!(&seen, &texts);
            let mut blocking = wire.as_slice();
            for text in &texts {
                let read: Option<String> = read_frame(&mut blocking).unwrap();
                prop_assert_eq!(read.as_ref(), Some(text));
            }
            prop_assert!(read_frame::<String>(&mut blocking).unwrap().is_none());
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = FrameReader::default();
            reader.push(&bytes);
            let _ = reader.next_message::<serde_json::Value>();
            let _ = read_frame::<serde_json::Value>(&mut bytes.as_slice());
        }
    }

    #[test]
    fn an_announced_giant_is_refused_before_it_is_buffered() {
        let wire = u32::MAX.to_le_bytes();
        let mut reader = FrameReader::default();
        reader.push(&wire);
        assert!(matches!(reader.next_message::<String>(), Err(FrameError::TooLarge(_))));
        assert!(matches!(read_frame::<String>(&mut wire.as_slice()), Err(FrameError::TooLarge(_))));
    }

    #[test]
    fn a_frame_cut_short_is_an_error() {
        let wire = [9, 0, 0, 0, b'"'];
        assert!(matches!(read_frame::<String>(&mut wire.as_slice()), Err(FrameError::Io(_))));
    }
}
