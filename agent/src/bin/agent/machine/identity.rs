//! What makes this guest a particular one: random numbers, time, name.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;

use agent::protocol::PodSpec;
use nix::libc;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};
use nix::unistd::sethostname;

/// The most that is credited at once, in bytes; the pool holds half of it.
const MAX_ENTROPY: usize = 512;

/// How wrong the clock may be before it is set, in nanoseconds.
const MAX_CLOCK_ERROR_NS: u64 = 1_000_000_000;

/// Why the guest cannot become what the host says.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Not hexadecimal, or too much.
    #[error("The host's entropy is not a hexadecimal number of at most {MAX_ENTROPY} bytes")]
    EntropyForm,
    /// The kernel did not take it.
    #[error("Cannot add the host's entropy to the pool")]
    Entropy(#[source] io::Error),
    /// The clock.
    #[error("Cannot set the clock to {0} ns")]
    Clock(u64, #[source] io::Error),
    /// The host name.
    #[error("Cannot set the host name to \"{0}\"")]
    Hostname(String, #[source] io::Error),
}

/// Takes on entropy, time and name. Entropy first: whatever runs later may need it.
pub fn assume(spec: &PodSpec) -> Result<(), IdentityError> {
    credit(&decode(&spec.entropy).ok_or(IdentityError::EntropyForm)?).map_err(IdentityError::Entropy)?;
    set_clock(spec.clock_ns).map_err(|source| IdentityError::Clock(spec.clock_ns, source))?;
    sethostname(&spec.hostname).map_err(|error| IdentityError::Hostname(spec.hostname.clone(), error.into()))
}

/// Sets the clock to what the host's says, unless it is about there: telling takes time, too.
pub fn follow_clock(ns: u64) -> Result<(), IdentityError> {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |now| {
        u64::try_from(now.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0)
    });
    if now.abs_diff(ns) < MAX_CLOCK_ERROR_NS {
        return Ok(());
    }
    set_clock(ns).map_err(|source| IdentityError::Clock(ns, source))
}

/// Bytes from their hexadecimal form.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0 && digits.len() <= 2 * MAX_ENTROPY)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// `struct rand_pool_info` of `include/uapi/linux/random.h`, with room for [`MAX_ENTROPY`].
#[repr(C)]
struct RandPoolInfo {
    entropy_count: libc::c_int,
    buf_size: libc::c_int,
    buf: [u8; MAX_ENTROPY],
}

nix::ioctl_write_ptr_bad!(
    add_entropy,
    nix::request_code_write!(b'R', 0x03, 2 * size_of::<libc::c_int>()),
    RandPoolInfo
);

/// Adds bytes to the pool and counts every bit of them as random (random(4), RNDADDENTROPY).
fn credit(bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut buf = [0; MAX_ENTROPY];
    buf[..bytes.len()].copy_from_slice(bytes);
    let size = bytes.len() as libc::c_int;
    let info = RandPoolInfo { entropy_count: size * 8, buf_size: size, buf };
    let pool = OpenOptions::new().write(true).open("/dev/random")?;
    // SAFETY: the structure lives through the call and buf_size stays within buf.
    unsafe { add_entropy(pool.as_raw_fd(), &info)? };
    Ok(())
}

fn set_clock(ns: u64) -> io::Result<()> {
    let seconds = i64::try_from(ns / 1_000_000_000).map_err(io::Error::other)?;
    let rest = (ns % 1_000_000_000) as i64;
    Ok(clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::new(seconds, rest))?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_long_and_foreign_entropy_is_refused() {
        assert_eq!(decode(""), Some(vec![]));
        assert_eq!(decode("00fFa5"), Some(vec![0, 255, 0xa5]));
        for hostile in ["0", "0x", "é0", &"00".repeat(MAX_ENTROPY + 1)] {
            assert_eq!(decode(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn a_clock_that_is_about_right_is_left_alone() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let before = std::time::Instant::now();
        follow_clock(now.as_nanos() as u64 + MAX_CLOCK_ERROR_NS / 2).unwrap();
        let later = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!((later - now).abs_diff(before.elapsed()) < std::time::Duration::from_millis(400));
    }

    #[test]
    fn the_pool_takes_bytes() {
        credit(&[1, 2, 3]).unwrap();
        credit(&[0; MAX_ENTROPY]).unwrap();
    }

    proptest! {
        #[test]
        fn hexadecimal_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..MAX_ENTROPY)) {
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(decode(&text), Some(bytes));
        }
    }
}
