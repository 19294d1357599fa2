//! Bodies of responses.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// Slowest transfer that is waited for: so many bytes in each period of waiting.
const LEAST_BYTES: u64 = 4 << 10;
const PERIOD: Duration = Duration::from_secs(60);

/// A response's body. Gives up on servers that send next to nothing; what the reader does between reads does not
/// count.
pub struct Body {
    input: Box<dyn Read + Send>,
    /// After so much waiting it is looked at how much came.
    period: Duration,
    waited: Duration,
    received: u64,
}

impl Body {
    pub(super) fn new(input: impl Read + Send + 'static) -> Self {
        Self::with_period(input, PERIOD)
    }

    fn with_period(input: impl Read + Send + 'static, period: Duration) -> Self {
        Body { input: Box::new(input), period, waited: Duration::ZERO, received: 0 }
    }

    /// The whole body if it is not longer than `limit`.
    pub fn read_all(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::other(format!("Response is longer than {limit} bytes")));
        }
        Ok(bytes)
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let start = Instant::now();
        let got = self.input.read(buf)?;
        self.waited += start.elapsed();
        self.received += got as u64;
        if self.waited >= self.period {
            if got > 0 && self.received < LEAST_BYTES {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "Server sends too slowly"));
            }
            (self.waited, self.received) = (Duration::ZERO, 0);
        }
        Ok(got)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `.0` bytes every few milliseconds, without end.
    struct Trickle(usize);

    impl Read for Trickle {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_millis(2));
            let count = self.0.min(buf.len());
            buf[..count].fill(b'x');
            Ok(count)
        }
    }

    #[test]
    fn a_body_that_trickles_is_given_up() {
        let period = Duration::from_millis(50);
        let mut body = Body::with_period(Trickle(1), period);
        let error = io::copy(&mut body, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        let mut body = Body::with_period(Trickle(4096), period).take(1 << 20);
        assert_eq!(io::copy(&mut body, &mut io::sink()).unwrap(), 1 << 20);
    }
}
