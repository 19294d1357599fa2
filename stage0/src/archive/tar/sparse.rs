//! Sparse files: where the stored bytes belong in the file.

use super::{TarError, pax};
use std::io::Read;

/// A run of stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Position in the file.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

/// Longest map accepted; a file with more runs than this is not worth being sparse.
pub(super) const MAX_SEGMENTS: usize = 1 << 16;

/// Checks that the runs ascend, do not overlap, end inside the file and amount to the stored bytes. Empty runs
/// (which mark the end of the file) are dropped.
pub(super) fn check(map: Vec<Segment>, size: u64, stored: u64, at: u64) -> Result<Vec<Segment>, TarError> {
    let (mut end, mut total) = (0u64, 0u64);
    for run in &map {
        let run_end = run.offset.checked_add(run.len).ok_or(TarError::Sparse(at))?;
        if run.offset < end || run_end > size {
            return Err(TarError::Sparse(at));
        }
        end = run_end;
        total += run.len;
    }
    if total != stored {
        return Err(TarError::Sparse(at));
    }
    Ok(map.into_iter().filter(|run| run.len > 0).collect())
}

/// Pairs the numbers of a PAX 0.x map.
pub(super) fn from_numbers(numbers: &[u64], at: u64) -> Result<Vec<Segment>, TarError> {
    if !numbers.len().is_multiple_of(2) || numbers.len() / 2 > MAX_SEGMENTS {
        return Err(TarError::Sparse(at));
    }
    Ok(numbers.chunks_exact(2).map(|n| Segment { offset: n[0], len: n[1] }).collect())
}

/// Reads the map that a PAX 1.0 sparse file carries before its data: decimal lines, padded to whole blocks.
/// Returns it with the number of bytes it took.
pub(super) fn from_data(data: &mut impl Read, at: u64) -> Result<(Vec<Segment>, u64), TarError> {
    let mut lines = Lines { data, block: [0; super::BLOCK], used: super::BLOCK, taken: 0, at };
    let count = lines.next()?;
    if count > MAX_SEGMENTS as u64 {
        return Err(TarError::Sparse(at));
    }
    let mut map = Vec::new();
    for _ in 0..count {
        map.push(Segment { offset: lines.next()?, len: lines.next()? });
    }
    Ok((map, lines.taken))
}

struct Lines<'a, R> {
    data: &'a mut R,
    block: [u8; super::BLOCK],
    used: usize,
    taken: u64,
    at: u64,
}

impl<R: Read> Lines<'_, R> {
    fn next(&mut self) -> Result<u64, TarError> {
        let mut digits = Vec::with_capacity(20);
        loop {
            if self.used == super::BLOCK {
                self.data.read_exact(&mut self.block).map_err(|_| TarError::Sparse(self.at))?;
                self.taken += super::BLOCK as u64;
                self.used = 0;
            }
            let byte = self.block[self.used];
            self.used += 1;
            match byte {
                b'\n' => return pax::number(&digits).ok_or(TarError::Sparse(self.at)),
                _ if digits.len() == 20 => return Err(TarError::Sparse(self.at)),
                _ => digits.push(byte),
            }
        }
    }
}
