//! Quantities of memory, CPU and bandwidth: decimal numbers with a suffix.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ValueError;

/// How a quantity is written: in powers of 1000 or of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityFormat {
    /// `m`, none, `k`, `M`, `G`, `T`, `P`, `E`.
    Decimal,
    /// `Ki`, `Mi`, `Gi`, `Ti`, `Pi`, `Ei`.
    Binary,
}

/// An amount in thousandths of the base unit (bytes, CPUs, bytes per second).
///
/// Smaller fractions are rounded up when read. Two quantities are equal if their amounts are.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    milli: i128,
    format: QuantityFormat,
}

const MILLI: i128 = 1000;

/// Suffixes with their value in thousandths. `K` is read as `k`, as users write it.
const DECIMAL: &[(&str, i128)] = &[
    ("m", 1),
    ("", MILLI),
    ("k", 1000 * MILLI),
    ("K", 1000 * MILLI),
    ("M", 1_000_000 * MILLI),
    ("G", 1_000_000_000 * MILLI),
    ("T", 1_000_000_000_000 * MILLI),
    ("P", 1_000_000_000_000_000 * MILLI),
    ("E", 1_000_000_000_000_000_000 * MILLI),
];
const BINARY: &[(&str, i128)] = &[
    ("", MILLI),
    ("Ki", MILLI << 10),
    ("Mi", MILLI << 20),
    ("Gi", MILLI << 30),
    ("Ti", MILLI << 40),
    ("Pi", MILLI << 50),
    ("Ei", MILLI << 60),
];

/// More digits than any amount in range needs; keeps the arithmetic below within 128 bits.
const MAX_DIGITS: usize = 18;

impl Quantity {
    /// An amount of whole base units.
    pub fn from_value(value: i64) -> Self {
        Self { milli: i128::from(value) * MILLI, format: QuantityFormat::Decimal }
    }

    /// The amount in base units, rounded up.
    pub fn value(&self) -> i64 {
        let up = self.milli.div_euclid(MILLI) + i128::from(self.milli.rem_euclid(MILLI) != 0);
        i64::try_from(up).unwrap_or(if up < 0 { i64::MIN } else { i64::MAX })
    }

    /// The amount in thousandths of the base unit, as CPU time is counted; saturates.
    pub fn milli_value(&self) -> i64 {
        i64::try_from(self.milli).unwrap_or(if self.milli < 0 { i64::MIN } else { i64::MAX })
    }
}

fn parse(text: &str) -> Result<Quantity, ValueError> {
    let malformed = || ValueError::Quantity(text.to_owned());
    let range = || ValueError::QuantityRange(text.to_owned());
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(malformed());
    }
    let (format, unit) = unit(suffix).ok_or_else(malformed)?;
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    if whole.len() > MAX_DIGITS + 1 || fraction.len() > MAX_DIGITS {
        return Err(range());
    }
    let milli = digits(whole)
        .checked_mul(unit)
        .and_then(|milli| milli.checked_add(fraction_of(fraction, unit)?))
        .filter(|milli| *milli <= i128::from(i64::MAX) * MILLI)
        .ok_or_else(range)?;
    Ok(Quantity { milli: if negative { -milli } else { milli }, format })
}

fn unit(suffix: &str) -> Option<(QuantityFormat, i128)> {
    let find = |table: &[(&str, i128)]| table.iter().find(|(name, _)| *name == suffix).map(|(_, unit)| *unit);
    find(DECIMAL)
        .map(|unit| (QuantityFormat::Decimal, unit))
        .or_else(|| find(BINARY).map(|unit| (QuantityFormat::Binary, unit)))
}

/// The value of at most 19 digits.
fn digits(text: &str) -> i128 {
    text.bytes().fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'))
}

/// `0.fraction * unit`, rounded up.
fn fraction_of(fraction: &str, unit: i128) -> Option<i128> {
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let product = match digits(fraction).checked_mul(unit) {
        Some(product) => product,
        // Too fine for the unit: both are cut by the same factor, at most one thousandth is lost.
        None => {
            return Some(digits(fraction).checked_mul(unit / 1_000_000)?.checked_div(scale / 1_000_000)? + 1);
        }
    };
    Some(product / scale + i128::from(product % scale != 0))
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.milli == other.milli
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.milli.cmp(&other.milli)
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: the largest suffix that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = match self.format {
            QuantityFormat::Binary if self.milli % MILLI == 0 => BINARY,
            _ => DECIMAL,
        };
        let fitting = table
            .iter()
            .filter(|(suffix, unit)| *suffix != "K" && self.milli % unit == 0)
            .max_by_key(|(_, unit)| if self.milli == 0 { -(unit - MILLI).abs() } else { *unit });
        match fitting {
            Some((suffix, unit)) => write!(f, "{}{suffix}", self.milli / unit),
            None => write!(f, "{}m", self.milli),
        }
    }
}

impl FromStr for Quantity {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        parse(text)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// Reads text or, as the original did, a bare number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(serde_json::Number),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
        };
        parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
