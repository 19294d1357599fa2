//! The device as the transport sees it.

use std::{fs::File, sync::Arc, thread};

use virtio_bindings::{
    virtio_ids::VIRTIO_ID_FS,
    virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC},
};

use super::{
    HIGH_PRIORITY_QUEUE_SIZE, MAX_REQUEST_QUEUES, REQUEST_QUEUE_SIZE, TAG_LEN,
    config::{FsError, ShareConfig},
    pool::{Pool, own_file_system_context},
    request::RequestHandler,
    share::Share,
};
use crate::{
    jail::{Kind, threads},
    virtio::{ActivateError, Activation, ActiveQueue, VirtioDevice},
};

/// How many threads serve a device: requests wait for the host's disk, so there may be more than CPUs.
const MIN_WORKERS: usize = 4;
const MAX_WORKERS: usize = 16;

/// The virtio file system device.
#[derive(Debug)]
pub struct Fs {
    /// `struct virtio_fs_config` (virtio 1.2 §5.11.4).
    config_space: [u8; TAG_LEN + 4],
    queue_sizes: Vec<u16>,
    workers: usize,
    handler: Arc<RequestHandler>,
    pool: Option<Pool>,
}

impl Fs {
    /// Shares a directory with a guest of so many CPUs. Raises this process's limit of open files.
    pub fn new(config: &ShareConfig, cpus: u32) -> Result<Self, FsError> {
        Fs::with_descriptors(config, cpus, None)
    }

    /// The same in a process whose root has no /proc, where `descriptors` is /proc/self/fd.
    pub fn with_descriptors(
        config: &ShareConfig,
        cpus: u32,
        descriptors: Option<&File>,
    ) -> Result<Self, FsError> {
        config.check()?;
        let share = thread::scope(|scope| {
            let share = scope.spawn(|| {
                own_file_system_context();
                Share::new(config, descriptors)
            });
            share.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        let cpus = cpus as usize;
        let request_queues = cpus.clamp(1, MAX_REQUEST_QUEUES);
        let mut queue_sizes = vec![HIGH_PRIORITY_QUEUE_SIZE];
        queue_sizes.resize(1 + request_queues, REQUEST_QUEUE_SIZE);
        let mut config_space = [0; TAG_LEN + 4];
        config_space[..config.tag.len()].copy_from_slice(config.tag.as_bytes());
        config_space[TAG_LEN..].copy_from_slice(&(request_queues as u32).to_le_bytes());
        Ok(Fs {
            config_space,
            queue_sizes,
            workers: (2 * cpus).clamp(MIN_WORKERS, MAX_WORKERS),
            handler: Arc::new(RequestHandler::new(share)),
            pool: None,
        })
    }
}

impl VirtioDevice for Fs {
    fn device_type(&self) -> u32 {
        VIRTIO_ID_FS
    }

    fn features(&self) -> u64 {
        1 << VIRTIO_RING_F_EVENT_IDX | 1 << VIRTIO_RING_F_INDIRECT_DESC
    }

    fn queue_sizes(&self) -> &[u16] {
        &self.queue_sizes
    }

    fn config_space(&self) -> Vec<u8> {
        self.config_space.to_vec()
    }

    fn activate(&mut self, activation: Activation) -> Result<(), ActivateError> {
        let Activation { memory, queues, interrupt, .. } = activation;
        if let Some(missing) = queues.iter().position(|queue| !ActiveQueue::is_ready(queue)) {
            return Err(ActivateError::MissingQueue(missing));
        }
        let handler = Arc::clone(&self.handler);
        self.pool = Some(Pool::start(handler, memory, interrupt, queues, self.workers)?);
        Ok(())
    }

    fn reset(&mut self) {
        self.pool = None;
        // Names of the guest's nameless files go, as only threads that serve files can have it.
        let handler = Arc::clone(&self.handler);
        let builder = thread::Builder::new().name("fs-reset".into());
        if let Ok(thread) = threads::spawn(Kind::FileServer, builder, move || handler.reset()) {
            // An error is a panic, which has been reported.
            let _ = thread.join();
        }
    }
}

impl Drop for Fs {
    fn drop(&mut self) {
        if self.pool.is_some() {
            self.reset();
        }
    }
}

#[cfg(test)]
mod tests;
