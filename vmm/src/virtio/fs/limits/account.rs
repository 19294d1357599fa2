//! When an app may do what it asks for: a token bucket for bytes and one for operations.

use std::{
    num::NonZeroU64,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How much an app that has been idle may do at once, in time: a bucket holds what its rate gives in that.
const BURST: Duration = Duration::from_millis(100);
/// No request waits longer: whoever asks for a byte a day gets a day, not an overflow.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
const NS_PER_S: u128 = 1_000_000_000;

/// What an app may do in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Bytes read and written; as many as it likes if not said.
    pub bytes: Option<NonZeroU64>,
    /// Requests that reach the host; as many as it likes if not said.
    pub operations: Option<NonZeroU64>,
}

/// The account of one app, on which all its requests are, of whatever share.
#[derive(Debug)]
pub(in crate::virtio::fs) struct Account {
    flows: Mutex<[Option<Flow>; 2]>,
    lifted: AtomicBool,
}

/// A token bucket, as the time at which what has been taken from it will be paid (the generic cell rate algorithm).
#[derive(Debug)]
struct Flow {
    rate: NonZeroU64,
    paid_at: Instant,
}

impl Account {
    /// An account nothing has been taken from.
    pub fn new(Rates { bytes, operations }: Rates, now: Instant) -> Self {
        let flow = |rate: Option<NonZeroU64>| rate.map(|rate| Flow { rate, paid_at: now });
        Account { flows: Mutex::new([flow(bytes), flow(operations)]), lifted: AtomicBool::new(false) }
    }

    /// Takes one operation of so many bytes, and says when it may be done. Each takes its turn: what is asked for later is
    /// due later. One that is larger than the bucket waits no longer than others, and those after it do.
    pub fn take(&self, bytes: u64, now: Instant) -> Instant {
        if self.is_lifted() {
            return now;
        }
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let amounts = [bytes, 1].into_iter();
        flows.iter_mut().zip(amounts).fold(now, |due, (flow, amount)| match flow {
            Some(flow) if amount > 0 => due.max(flow.take(amount, now)),
            _ => due,
        })
    }

    /// Lets everything through from now on.
    pub fn lift(&self) {
        self.lifted.store(true, Ordering::SeqCst);
    }

    /// Whether everything is let through.
    pub fn is_lifted(&self) -> bool {
        self.lifted.load(Ordering::SeqCst)
    }
}

impl Flow {
    fn take(&mut self, amount: u64, now: Instant) -> Instant {
        let start = now.checked_sub(BURST).map_or(now, |full| self.paid_at.max(full));
        let ns = u128::from(amount) * NS_PER_S / u128::from(self.rate.get());
        let cost = u64::try_from(ns).map_or(LONGEST_WAIT, Duration::from_nanos);
        self.paid_at = start.checked_add(cost).unwrap_or(start).min(now + LONGEST_WAIT);
        start.max(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rates(bytes: u64, operations: u64) -> Rates {
        Rates { bytes: NonZeroU64::new(bytes), operations: NonZeroU64::new(operations) }
    }

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn bytes_and_operations_each_have_their_rate() {
        let now = Instant::now();
        let account = Account::new(rates(1000, 0), now);
        let due: Vec<_> = [500, 1, 0].map(|bytes| account.take(bytes, now) - now).into();
        // What holds no bytes is free.
        assert_eq!(due, [ms(0), ms(500), ms(0)]);
        let account = Account::new(rates(1000, 10), now);
        let due: Vec<_> = [100, 100, 0, 0].map(|bytes| account.take(bytes, now) - now).into();
        assert_eq!(due, [ms(0), ms(100), ms(200), ms(300)]);
        assert_eq!(Account::new(rates(0, 0), now).take(u64::MAX, now), now);
    }

    #[test]
    fn idleness_gives_a_tenth_of_a_second() {
        let start = Instant::now();
        let account = Account::new(rates(0, 100), start);
        let now = start + Duration::from_secs(60);
        let due: Vec<_> = (0..12).map(|_| account.take(0, now) - now).collect();
        assert_eq!((due[10], due[11]), (ms(0), ms(10)));
    }

    #[test]
    fn extremes_neither_overflow_nor_wait_for_ever() {
        let now = Instant::now();
        let account = Account::new(rates(1, 1), now);
        account.take(u64::MAX, now);
        assert!(account.take(u64::MAX, now) <= now + LONGEST_WAIT);
        account.lift();
        assert_eq!(account.take(u64::MAX, now), now);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_its_rate(
            rate in 1_u64..1_000_000,
            asked in prop::collection::vec((0_u64..50_000, 0_u64..2_000), 1..60),
        ) {
            let mut now = Instant::now();
            let account = Account::new(rates(rate, 0), now);
            let mut done: Vec<(Instant, u64)> = Vec::new();
            for (bytes, pause) in asked {
                now += ms(pause);
                done.push((account.take(bytes, now), bytes));
            }
            prop_assume!(done.iter().all(|(at, _)| *at < now + LONGEST_WAIT / 2));
            done.sort();
            for first in 0..done.len() {
                for last in first..done.len() {
                    // Whatever is done last is paid for afterwards.
                    let bytes: u64 = done[first..last].iter().map(|(_, bytes)| bytes).sum();
                    let stretch = done[last].0 - done[first].0 + BURST;
                    let most = stretch.as_nanos() * u128::from(rate) / NS_PER_S;
                    prop_assert!(u128::from(bytes) <= most + 60, "{bytes} in {stretch:?} at {rate}");
                }
            }
        }
    }
}
