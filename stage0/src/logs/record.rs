//! One record: `<time> <stdout or stderr> <F or P> <text>`.

use jiff::Timestamp;

/// Which stream a record came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line of an app's, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was written.
    pub time: Timestamp,
    /// Where to.
    pub stream: Stream,
    /// Whether the line ends here.
    pub whole: bool,
    /// What was written, without the line's end.
    pub text: Vec<u8>,
}

impl Record {
    /// The record in a line of a log, without its end; `None` if it is damaged.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let stream = match fields.next()? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        // More tags may follow the first, after colons.
        let whole = match fields.next()?.split(|byte| *byte == b':').next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        Some(Self { time, stream, whole, text: fields.next()?.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_told_apart() {
        let record = Record::parse(b"2016-10-06T00:17:09.669794202Z stdout F log  line ").unwrap();
        assert_eq!(record.time.to_string(), "2016-10-06T00:17:09.669794202Z");
        assert_eq!((record.stream, record.whole), (Stream::Stdout, true));
        assert_eq!(record.text, b"log  line ");
        let record = Record::parse(b"2016-10-06T02:17:09+02:00 stderr P:x ").unwrap();
        assert_eq!((record.stream, record.whole, record.text.len()), (Stream::Stderr, false, 0));
        for damaged in
            ["", "x", "2016-10-06T00:17:09Z stdout F", "now stdout F x", "2016-10-06T00:17:09Z in F x"]
        {
            assert_eq!(Record::parse(damaged.as_bytes()), None, "{damaged}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            Record::parse(&bytes);
        }
    }
}
