//! Stage1: the micro-VM and the host half of a running pod.
