//! Durations as the original's flags took them (`1h30m`, `500ms`, `0`) and its messages showed them (`30m0s`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration with a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoDuration {
    /// Whether it is less than zero.
    pub negative: bool,
    /// Its length.
    pub length: Duration,
}

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid duration \"{0}\": must be numbers with units (h, m, s, ms, us, ns), like 1h30m")]
pub struct InvalidDuration(String);

const SECOND: u128 = 1_000_000_000;
const UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];

/// Longest fraction read; more digits are below a nanosecond of an hour.
const MAX_FRACTION: usize = 15;

fn parse(text: &str) -> Option<GoDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(GoDuration { negative: false, length: Duration::ZERO });
    }
    let mut total: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        total = total.checked_add(nanoseconds(number, unit)?)?;
        rest = tail;
    }
    let total = u64::try_from(total).ok().filter(|total| i64::try_from(*total).is_ok())?;
    Some(GoDuration { negative: negative && total > 0, length: Duration::from_nanos(total) })
}

fn nanoseconds(number: &str, unit: &str) -> Option<u128> {
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 20 {
        return None;
    }
    let digits = |text: &str| text.bytes().fold(0_u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    let fraction = &fraction[..fraction.len().min(MAX_FRACTION)];
    let divisor = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    digits(whole).checked_mul(*scale)?.checked_add(digits(fraction) * scale / divisor)
}

impl FromStr for GoDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        parse(text).ok_or_else(|| InvalidDuration(text.to_owned()))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        let seconds = self.length.as_secs();
        let fraction = self.length.subsec_nanos();
        if seconds == 0 && fraction > 0 {
            let (unit, scale) = match fraction {
                1_000_000.. => ("ms", 6),
                1_000.. => ("µs", 3),
                _ => ("ns", 0),
            };
            return write!(f, "{}{unit}", decimal(u64::from(fraction), scale));
        }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if seconds >= 60 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal((seconds % 60) * 1_000_000_000 + u64::from(fraction), 9))
    }
}

/// `value` with `places` decimal places, without trailing zeros.
fn decimal(value: u64, places: usize) -> String {
    let divisor = 10_u64.pow(u32::try_from(places).unwrap_or(0));
    let fraction = format!("{:0places$}", value % divisor);
    let fraction = fraction.trim_end_matches('0');
    let whole = value / divisor;
    if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn duration(text: &str) -> GoDuration {
        text.parse().unwrap()
    }

    #[test]
    fn units_add_up() {
        for (text, millis) in
            [("0", 0), ("30m", 1_800_000), ("1h30m", 5_400_000), ("1.5s", 1500), (".5m", 30_000), ("+2ms", 2)]
        {
            assert_eq!(
                duration(text),
                GoDuration { negative: false, length: Duration::from_millis(millis) },
                "{text}"
            );
        }
        assert_eq!(duration("-1s"), GoDuration { negative: true, length: Duration::from_secs(1) });
        for bad in ["", "-", "1", "s", "1x", "1.2.3s", ".s", "1s-", "99999999999h", "1 s"] {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
        }
    }

    #[test]
    fn messages_show_them_like_the_original() {
        for (text, shown) in [
            ("0", "0s"),
            ("30m", "30m0s"),
            ("24h", "24h0m0s"),
            ("90s", "1m30s"),
            ("1.5s", "1.5s"),
            ("2500us", "2.5ms"),
            ("3us", "3µs"),
            ("7ns", "7ns"),
            ("-1m", "-1m0s"),
        ] {
            assert_eq!(duration(text).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(nanos in 0..i64::MAX.unsigned_abs()) {
            let duration = GoDuration { negative: false, length: Duration::from_nanos(nanos) };
            prop_assert_eq!(duration.to_string().parse::<GoDuration>().unwrap(), duration);
        }

        #[test]
        fn nothing_panics(text in "[-+0-9.hmsnuµ ]{0,40}") {
            let _ = text.parse::<GoDuration>();
        }
    }
}
