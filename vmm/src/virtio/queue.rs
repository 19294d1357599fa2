//! Serving a queue from the event loop.

use event_manager::{EventOps, Events};
use virtio_queue::{DescriptorChain, QueueOwnedT, QueueT};
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::epoll::EventSet;

use super::{ActiveQueue, Interrupt};

impl ActiveQueue {
    /// The driver set this queue up.
    pub fn is_ready(&self) -> bool {
        self.queue.ready()
    }

    /// Waits for the driver's notifications on the event loop, from a subscriber's `init`.
    pub fn watch(&self, ops: &mut EventOps) {
        // Without its event the device is deaf; the guest will wait for it, and the user should know why.
        if let Err(error) = ops.add(Events::new(&self.kick, EventSet::IN)) {
            eprintln!("stage1: Cannot wait for a virtio queue: {error}");
        }
    }

    /// Hands the available chains to `serve`, in order, and returns each to the driver with the number of bytes
    /// `serve` says it wrote. Interrupts the driver once, if it wants that.
    ///
    /// Call it when `kick` is readable; it reads `kick` itself. At most one queue's worth of chains is served per
    /// call, so that a driver that never stops adding cannot keep the loop from others: what is left is served on the
    /// next turn of the loop. A ring that makes no sense is left alone until the driver resets the device.
    pub fn drain<F>(&mut self, memory: &GuestMemoryMmap, interrupt: &Interrupt, mut serve: F)
    where
        F: FnMut(DescriptorChain<&GuestMemoryMmap>) -> u32,
    {
        self.drain_while(memory, interrupt, |chain| Some(serve(chain)));
    }

    /// As `drain`, until `serve` has no use for a chain and says `None`: that one stays available, with those after
    /// it, and the driver is not asked to notify of more.
    pub fn drain_while<F>(&mut self, memory: &GuestMemoryMmap, interrupt: &Interrupt, mut serve: F)
    where
        F: FnMut(DescriptorChain<&GuestMemoryMmap>) -> Option<u32>,
    {
        // A read fails only when nobody wrote, which is as good.
        let _ = self.kick.read();
        if !self.queue.ready() {
            return;
        }
        let mut budget = self.queue.size();
        let mut served = false;
        'serving: loop {
            while budget > 0
                && let Some(chain) = self.next_chain(memory)
            {
                let head = chain.head_index();
                let Some(written) = serve(chain) else {
                    self.queue.go_to_previous_position();
                    break 'serving;
                };
                // Fails for a head outside the queue: there is nobody to return it to.
                served |= self.queue.add_used(memory, head, written).is_ok();
                budget -= 1;
            }
            if budget == 0 {
                let _ = self.kick.write(1);
                break;
            }
            // True when the driver added a chain before notifications were on: it will not notify for that one.
            if !self.queue.enable_notification(memory).unwrap_or(false) || !self.makes_sense(memory) {
                break;
            }
        }
        if served && self.queue.needs_notification(memory).unwrap_or(true) {
            interrupt.signal_used();
        }
    }

    fn next_chain<'m>(
        &mut self,
        memory: &'m GuestMemoryMmap,
    ) -> Option<DescriptorChain<&'m GuestMemoryMmap>> {
        self.queue.iter(memory).ok()?.next()
    }

    fn makes_sense(&mut self, memory: &GuestMemoryMmap) -> bool {
        self.queue.iter(memory).is_ok()
    }
}
