//! Guests of a few instructions, on whatever KVM there is: these run even where a kernel cannot.

mod cpuid;
mod host;
mod vcpu;
