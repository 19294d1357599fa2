//! A device behind its registers.

use std::{io, sync::Arc};

use virtio_bindings::{virtio_config::VIRTIO_F_VERSION_1, virtio_ring::VIRTIO_RING_F_EVENT_IDX};
use virtio_queue::{Queue, QueueT};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use super::{page::RegisterPage, queue::QueueRegisters, status::Status};
use crate::{
    event_loop::EventLoopHandle,
    virtio::{ActivateError, Activation, ActiveQueue, GuestRam, Interrupt, VirtioDevice},
};

/// Why a device cannot be put behind registers.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No more event descriptors.
    #[error("Cannot create the events of a virtio device")]
    Events(#[source] io::Error),
    /// The device announces a queue size that is not a power of two up to 32768.
    #[error("Virtio device of type {device_type} has a queue of invalid size {size}")]
    QueueSize {
        /// Virtio device type.
        device_type: u32,
        /// The size announced.
        size: u16,
    },
}

/// A virtio device with the registers the driver uses to set it up.
#[derive(Debug)]
pub struct MmioTransport {
    pub(super) device: Box<dyn VirtioDevice>,
    pub(super) page: Arc<RegisterPage>,
    pub(super) interrupt: Arc<Interrupt>,
    pub(super) kicks: Vec<EventFd>,
    pub(super) memory: GuestRam,
    event_loop: EventLoopHandle,
    active: bool,
    pub(super) status: Status,
    pub(super) device_features_sel: u32,
    pub(super) driver_features_sel: u32,
    pub(super) driver_features: u64,
    pub(super) queue_sel: u32,
    pub(super) queues: Vec<QueueRegisters>,
}

impl MmioTransport {
    /// Puts `device` behind registers. Its interrupt is raised by writing to `line`.
    pub fn new(
        device: Box<dyn VirtioDevice>,
        memory: GuestRam,
        event_loop: EventLoopHandle,
        line: EventFd,
    ) -> Result<Self, TransportError> {
        let sizes = device.queue_sizes();
        if let Some(&size) = sizes.iter().find(|&&size| Queue::new(size).is_err()) {
            return Err(TransportError::QueueSize { device_type: device.device_type(), size });
        }
        let kicks = sizes.iter().map(|_| EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)).collect::<io::Result<_>>();
        let page = Arc::<RegisterPage>::default();
        let transport = MmioTransport {
            queues: sizes.iter().map(|&size| QueueRegisters::new(size)).collect(),
            kicks: kicks.map_err(TransportError::Events)?,
            interrupt: Arc::new(Interrupt::new(line, Arc::clone(&page))),
            page,
            device,
            memory,
            event_loop,
            active: false,
            status: Status::default(),
            device_features_sel: 0,
            driver_features_sel: 0,
            driver_features: 0,
            queue_sel: 0,
        };
        transport.publish_constants();
        transport.publish();
        transport.publish_config();
        Ok(transport)
    }

    /// What the guest reads in the device's window.
    pub fn registers(&self) -> &RegisterPage {
        &self.page
    }

    /// The events KVM signals when the driver writes a queue's number to QueueNotify, in the order of the queues.
    pub fn kicks(&self) -> &[EventFd] {
        &self.kicks
    }

    pub(super) fn offered_features(&self) -> u64 {
        self.device.features() | 1 << VIRTIO_F_VERSION_1
    }

    /// The driver's write to Status.
    pub(super) fn write_status(&mut self, value: u32) {
        // Who changed it without a driver could not say so.
        self.publish_config();
        if value == 0 {
            return self.reset();
        }
        let acceptable = self.driver_features & 1 << VIRTIO_F_VERSION_1 != 0;
        if self.status.advance(value, acceptable) && self.activate().is_err() {
            self.fail();
        }
    }

    /// The driver's write to QueueReady. A queue whose addresses are wrong never becomes ready.
    pub(super) fn set_queue_ready(&mut self, ready: bool) {
        let valid = self.selected().is_some_and(|queue| queue.check(&self.memory).is_some());
        let Some(queue) = self.queues.get_mut(self.queue_sel as usize) else { return };
        queue.ready = ready && valid;
        if ready && !valid {
            self.fail();
        }
    }

    pub(super) fn selected(&self) -> Option<&QueueRegisters> {
        self.queues.get(self.queue_sel as usize)
    }

    fn activate(&mut self) -> Result<(), ActivateError> {
        let event_idx = self.driver_features & 1 << VIRTIO_RING_F_EVENT_IDX != 0;
        let queues = self.queues.iter().zip(&self.kicks).map(|(registers, kick)| {
            let checked = if registers.ready { registers.check(&self.memory) } else { None };
            let mut queue = match checked {
                Some(queue) => queue,
                None => Queue::new(registers.max_size).map_err(io::Error::other)?,
            };
            queue.set_event_idx(event_idx);
            Ok(ActiveQueue { queue, kick: kick.try_clone()? })
        });
        self.interrupt.enable();
        self.device.activate(Activation {
            memory: Arc::clone(&self.memory),
            features: self.driver_features,
            queues: queues.collect::<io::Result<_>>()?,
            interrupt: Arc::clone(&self.interrupt),
            event_loop: self.event_loop.clone(),
        })?;
        self.active = true;
        Ok(())
    }

    fn reset(&mut self) {
        if self.active {
            self.device.reset();
            self.active = false;
        }
        self.interrupt.disable();
        for kick in &self.kicks {
            // A notification meant for the old driver; an error means there was none.
            let _ = kick.read();
        }
        self.status = Status::default();
        self.device_features_sel = 0;
        self.driver_features_sel = 0;
        self.driver_features = 0;
        self.queue_sel = 0;
        for queue in &mut self.queues {
            *queue = QueueRegisters::new(queue.max_size);
        }
    }

    fn fail(&mut self) {
        self.status.set_needs_reset();
        self.publish();
        self.interrupt.signal_config();
    }
}
