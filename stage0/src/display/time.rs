//! Times as the original shows them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const MONTH: u64 = 30 * DAY;
const YEAR: u64 = 12 * MONTH;
const LONG_TIME: u64 = 37 * YEAR;

/// Steps of [`since`]: below the first number of seconds, this text, or so many of this unit.
const STEPS: &[(u64, &str, u64)] = &[
    (1, "now", 0),
    (2, "1 second ago", 0),
    (MINUTE, "seconds", 1),
    (2 * MINUTE, "1 minute ago", 0),
    (HOUR, "minutes", MINUTE),
    (2 * HOUR, "1 hour ago", 0),
    (DAY, "hours", HOUR),
    (2 * DAY, "1 day ago", 0),
    (WEEK, "days", DAY),
    (2 * WEEK, "1 week ago", 0),
    (MONTH, "weeks", WEEK),
    (2 * MONTH, "1 month ago", 0),
    (YEAR, "months", MONTH),
    (18 * MONTH, "1 year ago", 0),
    (2 * YEAR, "2 years ago", 0),
    (LONG_TIME, "years", YEAR),
];

/// How long ago something was, in words: `now`, `5 seconds ago`, `1 day ago`.
pub fn since(age: Duration) -> String {
    let seconds = age.as_secs();
    match STEPS.iter().find(|(limit, ..)| seconds < *limit) {
        Some((_, text, 0)) => (*text).to_owned(),
        Some((_, text, unit)) => format!("{} {text} ago", seconds / unit),
        None => "a long while ago".to_owned(),
    }
}

/// How long ago `time` was; a time to come is `now`.
pub fn short_time(time: SystemTime) -> String {
    since(SystemTime::now().duration_since(time).unwrap_or_default())
}

/// Date and time to the millisecond, in the host's time zone: Go's `2006-01-02 15:04:05.999 -0700 MST`.
pub fn full_time(time: SystemTime) -> String {
    format_in(time, TimeZone::system())
}

fn format_in(time: SystemTime, zone: TimeZone) -> String {
    // Times of files on any file system are within jiff's range but for corrupted ones.
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let timestamp = Timestamp::from_millisecond(timestamp.as_millisecond()).unwrap_or(timestamp);
    timestamp.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S%.f %z %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_words() {
        for (seconds, text) in [
            (0, "now"),
            (1, "1 second ago"),
            (5, "5 seconds ago"),
            (60, "1 minute ago"),
            (125, "2 minutes ago"),
            (3 * HOUR, "3 hours ago"),
            (DAY, "1 day ago"),
            (6 * DAY, "6 days ago"),
            (3 * WEEK, "3 weeks ago"),
            (40 * DAY, "1 month ago"),
            (5 * MONTH, "5 months ago"),
            (13 * MONTH, "1 year ago"),
            (20 * MONTH, "2 years ago"),
            (3 * YEAR, "3 years ago"),
            (u64::MAX, "a long while ago"),
        ] {
            assert_eq!(since(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn full_times_have_milliseconds_without_trailing_zeros() {
        let at = |ms| format_in(SystemTime::UNIX_EPOCH + Duration::from_micros(ms), TimeZone::UTC);
        assert_eq!(at(0), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(at(1_500_000), "1970-01-01 00:00:01.5 +0000 UTC");
        assert_eq!(at(1_234_999), "1970-01-01 00:00:01.234 +0000 UTC");
    }
}
