//! What a stream is compressed with, told from its first bytes, and the matching decoder.

use std::io::{self, BufRead, BufReader, Read};

/// Window of the largest zstd frame accepted, as a power of two (128 MiB, what `zstd --ultra -22` needs).
const ZSTD_WINDOW_LOG: u32 = 27;
/// Memory one xz stream may ask for (`xz -9` needs 65 MiB).
const XZ_MEMORY: u64 = 192 << 20;
/// Read size of the compressed side.
const BUFFER: usize = 128 << 10;

/// Compression formats understood for ACIs and layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Plain tar.
    None,
    /// gzip (RFC 1952), any number of members.
    Gzip,
    /// bzip2, any number of streams.
    Bzip2,
    /// xz, any number of streams.
    Xz,
    /// Zstandard (RFC 8878), any number of frames.
    Zstd,
}

impl Compression {
    /// Tells the format from the first bytes of a stream (six are enough).
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // A zstd skippable frame may come first (RFC 8878, 3.1.2).
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

/// The compressed side: the bytes looked at, then the rest.
type Input<R> = BufReader<io::Chain<io::Cursor<Vec<u8>>, R>>;

/// A decompressing reader over `R` whose format was detected.
pub struct Decoder<R: Read> {
    format: Compression,
    stream: Stream<Input<R>>,
}

enum Stream<B: BufRead> {
    None(B),
    Gzip(Box<flate2::bufread::MultiGzDecoder<B>>),
    Bzip2(Box<bzip2::bufread::MultiBzDecoder<B>>),
    Xz(Box<liblzma::bufread::XzDecoder<B>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, B>>),
}

impl<R: Read> Decoder<R> {
    /// Looks at the first bytes of `input` and builds the decoder they ask for.
    pub fn new(mut input: R) -> io::Result<Self> {
        let mut head = Vec::with_capacity(6);
        input.by_ref().take(6).read_to_end(&mut head)?;
        let format = Compression::detect(&head);
        let input = BufReader::with_capacity(BUFFER, io::Cursor::new(head).chain(input));
        let stream = match format {
            Compression::None => Stream::None(input),
            Compression::Gzip => Stream::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(input))),
            Compression::Bzip2 => Stream::Bzip2(Box::new(bzip2::bufread::MultiBzDecoder::new(input))),
            Compression::Xz => {
                let stream =
                    liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)
                        .map_err(io::Error::other)?;
                Stream::Xz(Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream)))
            }
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Stream::Zstd(Box::new(decoder))
            }
        };
        Ok(Decoder { format, stream })
    }

    /// The format that was found.
    pub fn format(&self) -> Compression {
        self.format
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::None(s) => s.read(buf),
            Stream::Gzip(s) => s.read(buf),
            Stream::Bzip2(s) => s.read(buf),
            Stream::Xz(s) => s.read(buf),
            Stream::Zstd(s) => s.read(buf),
        }
    }
}

impl<R: Read> std::fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("format", &self.format).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pack(format: Compression, data: &[u8]) -> Vec<u8> {
        match format {
            Compression::None => data.to_vec(),
            Compression::Gzip => {
                let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                e.write_all(data).unwrap();
                e.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut e = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                e.write_all(data).unwrap();
                e.finish().unwrap()
            }
            Compression::Xz => {
                let mut e = liblzma::write::XzEncoder::new(Vec::new(), 1);
                e.write_all(data).unwrap();
                e.finish().unwrap()
            }
            Compression::Zstd => zstd::stream::encode_all(data, 1).unwrap(),
        }
    }

    const ALL: [Compression; 4] = [Compression::Gzip, Compression::Bzip2, Compression::Xz, Compression::Zstd];

    fn noise(len: usize) -> Vec<u8> {
        let mut x = 1u32;
        let step = |x: &mut u32| {
            *x = x.wrapping_mul(1664525).wrapping_add(1013904223);
            (*x >> 24) as u8
        };
        (0..len).map(|_| step(&mut x)).collect()
    }

    #[test]
    fn every_format_is_detected_and_joined_streams_are_read_whole() {
        let (a, b) = (noise(5000), noise(300));
        for format in ALL {
            let mut joined = pack(format, &a);
            joined.extend(pack(format, &b));
            let mut decoder = Decoder::new(&joined[..]).unwrap();
            assert_eq!(decoder.format(), format);
            let mut out = Vec::new();
            decoder.read_to_end(&mut out).unwrap();
            assert_eq!(out, [&a[..], &b[..]].concat(), "{format:?}");
        }
    }

    #[test]
    fn truncation_is_an_error_everywhere() {
        for format in ALL {
            let whole = pack(format, &noise(3000));
            for cut in [whole.len() - 1, whole.len() / 2, 12] {
                let mut out = Vec::new();
                let result = Decoder::new(&whole[..cut]).and_then(|mut d| d.read_to_end(&mut out));
                assert!(result.is_err(), "{format:?} cut at {cut} of {}", whole.len());
            }
        }
    }

    #[test]
    fn short_and_empty_inputs_are_plain() {
        for input in [&b""[..], b"a", b"BZx"] {
            let mut out = Vec::new();
            Decoder::new(input).unwrap().read_to_end(&mut out).unwrap();
            assert_eq!(out, input);
        }
    }

    #[test]
    fn a_huge_zstd_window_is_refused() {
        // Frame header asking for a 2 GiB window, single segment off (RFC 8878, 3.1.1.1).
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        let mut out = Vec::new();
        assert!(Decoder::new(&frame[..]).and_then(|mut d| d.read_to_end(&mut out)).is_err());
    }
}
