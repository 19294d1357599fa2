//! What came of an attack, in the words the test looks for.

use core::fmt;

/// What came of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The device returned the request with so many bytes written.
    Used(u32),
    /// The file server answered with this error number; 0 is success.
    Errno(i32),
    /// So many.
    Count(u64),
    /// Two numbers, of things that went through and of things that were refused.
    Counts(u64, u64),
    /// The device's status field.
    Status(u32),
    /// In words.
    Is(&'static str),
    /// The device did not return the request.
    Silence,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Used(bytes) => write!(f, "used {bytes}"),
            Outcome::Errno(number) => write!(f, "errno {number}"),
            Outcome::Count(count) => write!(f, "{count}"),
            Outcome::Counts(through, refused) => write!(f, "{through} through, {refused} refused"),
            Outcome::Status(bits) => write!(f, "status {bits:#x}"),
            Outcome::Is(words) => f.write_str(words),
            Outcome::Silence => f.write_str("silence"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let all = [Outcome::Errno(22), Outcome::Used(0), Outcome::Counts(1, 2), Outcome::Status(0x4f)];
        let all = all.map(|outcome| outcome.to_string());
        assert_eq!(all, ["errno 22", "used 0", "1 through, 2 refused", "status 0x4f"]);
    }
}
