//! PAX extended header records (POSIX.1-2017, pax, "pax Header Block").

use super::TarError;

/// What the records of one `x` header override.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mtime: Option<(i64, u32)>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// `GNU.sparse.name`: the real name of a sparse file.
    pub sparse_name: Option<Vec<u8>>,
    /// `GNU.sparse.realsize` or `GNU.sparse.size`.
    pub sparse_size: Option<u64>,
    /// Format 1.0: the map is at the start of the data.
    pub sparse_in_data: bool,
    /// Formats 0.0 and 0.1: numbers, offset and length in turn.
    pub sparse_map: Option<Vec<u64>>,
}

/// Splits `data` into `key`, `value` records; each is `LEN KEY=VALUE\n` with LEN counting itself.
fn records(data: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = (|| {
            let space = rest.iter().take(20).position(|b| *b == b' ')?;
            let len: usize = number(&rest[..space])?.try_into().ok()?;
            let body = rest.get(space + 1..len)?;
            let body = body.strip_suffix(b"\n")?;
            let equals = body.iter().position(|b| *b == b'=')?;
            rest = &rest[len..];
            Some((&body[..equals], &body[equals + 1..]))
        })();
        if record.is_none() {
            rest = &[];
        }
        Some(record)
    })
}

/// Decimal digits only: no sign, no blanks.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Seconds with an optional fraction, possibly negative, as seconds and nanoseconds.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    if whole.starts_with('-') && nanos > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos));
    }
    Some((seconds, nanos))
}

impl Overrides {
    /// Parses the body of an `x` header that stands at byte `at`.
    pub fn parse(data: &[u8], at: u64) -> Result<Self, TarError> {
        let mut out = Overrides::default();
        for record in records(data) {
            record.and_then(|(key, value)| out.apply(key, value)).ok_or(TarError::Pax(at))?;
        }
        Ok(out)
    }

    /// Takes one record; `None` when its value is malformed. An empty value deletes an earlier one.
    fn apply(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let text = || (!value.is_empty()).then(|| value.to_vec());
        let count = || if value.is_empty() { Some(None) } else { number(value).map(Some) };
        match key {
            b"path" => self.path = text(),
            b"linkpath" => self.link = text(),
            b"size" => self.size = count()?,
            b"uid" => self.uid = count()?.map(u32::try_from).transpose().ok()?,
            b"gid" => self.gid = count()?.map(u32::try_from).transpose().ok()?,
            b"mtime" => self.mtime = if value.is_empty() { None } else { Some(time(value)?) },
            b"GNU.sparse.name" => self.sparse_name = text(),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => self.sparse_size = count()?,
            b"GNU.sparse.major" => self.sparse_in_data = value == b"1",
            b"GNU.sparse.map" => {
                self.sparse_map =
                    Some(value.split(|b| *b == b',').map(number).collect::<Option<Vec<u64>>>()?);
            }
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                self.sparse_map.get_or_insert_default().push(number(value)?);
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_may_be_fractional_and_negative() {
        assert_eq!(time(b"12"), Some((12, 0)));
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"1.0000000019"), Some((1, 1)));
        for bad in [&b""[..], b"x", b"1.x", b"1e9", b"99999999999999999999"] {
            assert_eq!(time(bad), None);
        }
    }

    #[test]
    fn records_with_wrong_lengths_are_refused() {
        for bad in
            ["5 a=b", "99 a=b\n", "6 ab\n\n", "0 a=b\n", "x a=b\n", "18446744073709551616 a=b\n", "3 \n"]
        {
            assert!(matches!(Overrides::parse(bad.as_bytes(), 7), Err(TarError::Pax(7))), "{bad:?}");
        }
        let ok = Overrides::parse(b"9 path=a\n12 path=a=b\n", 0).unwrap();
        assert_eq!(ok.path.as_deref(), Some(&b"a=b"[..]));
    }
}
