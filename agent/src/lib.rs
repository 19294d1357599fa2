//! The guest half of a pod: PID 1 of the micro-VM, and the protocol it speaks with the host.
