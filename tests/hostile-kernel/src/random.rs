//! Numbers that look random and are the same in every run.

/// Marsaglia's xorshift64.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for every seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    /// One of them.
    pub fn one_of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_again_and_never_stuck() {
        let (mut one, mut other) = (Random::new(1), Random::new(1));
        let numbers: Vec<_> = (0..100).map(|_| one.number()).collect();
        assert!(numbers.iter().all(|number| *number == other.number()));
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
