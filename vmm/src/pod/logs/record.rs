//! Kubernetes' log format: `<time> <stream> <F or P> <text>` and a line end.
//!
//! `F` ends a line of the app's, `P` is a part of one that goes on in the stream's next record. A line is cut wherever
//! the bytes were when they came: nothing waits for its end, so nothing of it is lost with stage1.

use std::time::SystemTime;

use agent::protocol::StreamKind;
use jiff::Timestamp;

/// The records of what came over a stream at once.
pub fn records(time: SystemTime, stream: StreamKind, bytes: &[u8]) -> Vec<u8> {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    // Nine digits always, so that times sort as text.
    let start = format!("{time:.9} {} ", name(stream));
    let mut records = Vec::with_capacity(bytes.len() + 2 * start.len());
    for (text, whole) in pieces(bytes) {
        records.extend_from_slice(start.as_bytes());
        records.extend_from_slice(if whole { b"F " } else { b"P " });
        records.extend_from_slice(text);
        records.push(b'\n');
    }
    records
}

/// The lines in `bytes` without their ends, and whether they had one.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(|piece| match piece.strip_suffix(b"\n") {
        Some(line) => (line, true),
        None => (piece, false),
    })
}

/// What a stream is called in logs; a terminal's output is standard output.
pub fn name(stream: StreamKind) -> &'static str {
    match stream {
        StreamKind::Stderr => "stderr",
        StreamKind::Stdin | StreamKind::Stdout | StreamKind::Tty => "stdout",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_are_what_kubernetes_reads() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_475_712_009, 669_794_000);
        let text = String::from_utf8(records(time, StreamKind::Stderr, b"one\n\nrest")).unwrap();
        let start = "2016-10-06T00:00:09.669794000Z stderr";
        assert_eq!(text, format!("{start} F one\n{start} F \n{start} P rest\n"));
        assert!(records(time, StreamKind::Tty, b"").is_empty());
    }

    proptest! {
        #[test]
        fn every_byte_can_be_had_back(chunks in prop::collection::vec(prop::collection::vec(
            prop_oneof![Just(b'\n'), any::<u8>()], 0..40), 0..8))
        {
            let mut back: Vec<u8> = Vec::new();
            for chunk in &chunks {
                let kept = records(SystemTime::now(), StreamKind::Stdout, chunk);
                for record in kept.split_inclusive(|byte| *byte == b'\n') {
                    let mut fields = record.splitn(4, |byte| *byte == b' ');
                    let (_, stream) = (fields.next(), fields.next());
                    prop_assert_eq!(stream, Some(&b"stdout"[..]));
                    let whole = fields.next() == Some(b"F");
                    let text = fields.next().unwrap();
                    back.extend(&text[..text.len() - usize::from(!whole)]);
                }
            }
            prop_assert_eq!(back, chunks.concat());
        }
    }
}
