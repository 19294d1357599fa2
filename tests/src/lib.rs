//! Whole pods: the KVM host they run in, the tests, the benchmarks.
