//! The guest half of a pod: PID 1 of the micro-VM, and the protocol it speaks with the host.
//!
//! The library is the wire protocol, shared with stage1; the binary is the agent.

pub mod protocol;
