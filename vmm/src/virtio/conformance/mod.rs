//! What every virtio device must withstand, whatever it is for.
//!
//! In a device's own tests, one line gives the whole suite, each check a test of its own:
//!
//! ```ignore
//! crate::virtio::conformance::suite!(Rng::default());
//! ```
//!
//! The expression makes a fresh device; it is evaluated anew for every check. A device that needs something beside it
//! (a directory, a socket) makes that in the expression, e.g. in a block or a function that leaks a `TempDir`.
//!
//! [`Driver`] is of use in a device's other tests: it drives the device through its registers as a guest would, with a
//! real event loop on a thread of its own.

mod checks;
mod driver;
mod ring;

pub use checks::*;
pub use driver::{BEHIND_HOLE, BUFFERS, Driver, MEMORY};
pub use ring::{Buffer, Ring};

/// Makes one test of each check, in a module `conformance`; with `if`, where a device can be made at all.
macro_rules! suite {
    ($device:expr) => {
        $crate::virtio::conformance::suite!($device, if true);
    };
    ($device:expr, if $possible:expr) => {
        mod conformance {
            use super::*;

            $crate::virtio::conformance::suite!(@each $device, $possible;
                features_are_negotiated
                registers_are_as_specified
                unknown_accesses_are_harmless
                configuration_withstands_any_access
                status_follows_the_order
                queues_outside_memory_are_refused
                queue_sizes_are_checked
                missing_queues_are_no_crash
                notification_before_the_device_works
                reset_and_activation_again
                reset_while_busy
                broken_chains
                looping_chains
                indirect_chains
                oversized_chains
                empty_chains
                nonsense_rings
                random_chains
                dropped_while_active
            );
        }
    };
    (@each $device:expr, $possible:expr; $($check:ident)*) => {
        $(#[test]
        fn $check() {
            if $possible {
                $crate::virtio::conformance::$check(|| Box::new($device));
            }
        })*
    };
}
pub(crate) use suite;
