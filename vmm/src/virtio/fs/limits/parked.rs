//! Requests that wait for their time, of one worker.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::Account;

/// How often limits that were lifted are noticed.
const LOOK: Duration = Duration::from_millis(50);

/// What a request waits for.
#[derive(Debug)]
pub(in crate::virtio::fs) struct Wait {
    /// The time at which it may be done.
    pub until: Instant,
    /// Unless this has no limit any more.
    pub account: Arc<Account>,
}

/// Requests that wait, the first one first.
#[derive(Debug)]
pub(in crate::virtio::fs) struct Parked<T> {
    waiting: BinaryHeap<Waiting<T>>,
    most: usize,
    parked: u64,
    lifts: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    wait: Wait,
    number: u64,
    request: T,
}

impl<T> Parked<T> {
    /// Room for this many.
    pub fn new(most: usize) -> Self {
        Parked { waiting: BinaryHeap::new(), most, parked: 0, lifts: 0 }
    }

    /// Lets a request wait. Gives it back if there is no room.
    pub fn park(&mut self, wait: Wait, request: T) -> Result<(), T> {
        if self.waiting.len() >= self.most {
            return Err(request);
        }
        self.parked += 1;
        self.waiting.push(Waiting { wait, number: self.parked, request });
        Ok(())
    }

    /// The next request whose time has come. `lifts` says how often limits have been lifted.
    pub fn next_due(&mut self, now: Instant, lifts: u64) -> Option<T> {
        if self.lifts != lifts {
            self.lifts = lifts;
            self.free_lifted(now);
        }
        if self.waiting.peek()?.wait.until > now {
            return None;
        }
        self.waiting.pop().map(|waiting| waiting.request)
    }

    fn free_lifted(&mut self, now: Instant) {
        let mut all = std::mem::take(&mut self.waiting).into_vec();
        for waiting in all.iter_mut().filter(|waiting| waiting.wait.account.is_lifted()) {
            waiting.wait.until = waiting.wait.until.min(now);
        }
        self.waiting = all.into();
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How long to sleep, in the milliseconds of epoll_wait(2): -1 for ever.
    pub fn timeout(&self, now: Instant) -> i32 {
        let Some(first) = self.waiting.peek() else { return -1 };
        let left = first.wait.until.saturating_duration_since(now).min(LOOK);
        // Up, or the last millisecond would be spent awake.
        left.as_micros().div_ceil(1000) as i32
    }
}

/// The greatest is the one to be done first.
impl<T> Ord for Waiting<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.wait.until, other.number).cmp(&(self.wait.until, self.number))
    }
}

impl<T> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Waiting<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtio::fs::Rates;

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn accounts(now: Instant) -> [Arc<Account>; 2] {
        [(); 2].map(|()| Arc::new(Account::new(Rates::default(), now)))
    }

    #[test]
    fn requests_come_back_in_their_order_and_time() {
        let now = Instant::now();
        let [account, _] = accounts(now);
        let mut parked = Parked::new(4);
        assert_eq!((parked.timeout(now), parked.next_due(now, 0)), (-1, None));
        for (request, until) in [('c', 30), ('a', 10), ('b', 10), ('d', 40_000)] {
            parked.park(Wait { until: now + ms(until), account: Arc::clone(&account) }, request).unwrap();
        }
        let full = parked.park(Wait { until: now, account }, 'e');
        assert_eq!((full, parked.timeout(now), parked.next_due(now, 0)), (Err('e'), 10, None));
        let due: Vec<_> = std::iter::from_fn(|| parked.next_due(now + ms(30), 0)).collect();
        assert_eq!((due, parked.timeout(now + ms(30))), (vec!['a', 'b', 'c'], 50));
    }

    #[test]
    fn who_is_let_through_need_not_wait() {
        let now = Instant::now();
        let [web, db] = accounts(now);
        let mut parked = Parked::new(4);
        for (request, account) in [('a', &web), ('b', &db), ('c', &web)] {
            parked.park(Wait { until: now + ms(60_000), account: Arc::clone(account) }, request).unwrap();
        }
        web.lift();
        assert_eq!(parked.next_due(now, 0), None);
        let due: Vec<_> = std::iter::from_fn(|| parked.next_due(now, 1)).collect();
        assert_eq!((due, parked.is_empty()), (vec!['a', 'c'], false));
    }
}
