//! The effect of flags on an app's isolators.

use appc::isolator::{CapabilitySet, Resource};
use appc::{Isolator, Isolators, Quantity};

use super::Overrides;
use super::app::AppError;

/// The least memory that can be a limit: one page.
const LEAST_MEMORY: i64 = 4096;

/// Memory, CPU, process and I/O limits are appended, where the last one counts; all others replace the image's.
pub(super) fn apply(isolators: &mut Isolators, overrides: &Overrides) -> Result<(), AppError> {
    if let Some(limit) = overrides.memory {
        if limit.value() < LEAST_MEMORY {
            return Err(AppError::Memory(limit.value()));
        }
        isolators.0.push(Isolator::Memory(Resource::limit(limit)));
    }
    if let Some(limit) = overrides.cpu {
        if limit.milli_value() <= 0 {
            return Err(AppError::Cpu(limit));
        }
        isolators.0.push(Isolator::Cpu(Resource::limit(limit)));
    }
    if let Some(limit) = overrides.pids {
        isolators.0.push(Isolator::Pids(Resource::limit(Quantity::from_value(limit.into()))));
    }
    if let Some(limit) = overrides.io_bandwidth {
        isolators.0.push(Isolator::BlockBandwidth(rate("--io-bandwidth", limit)?));
    }
    if let Some(limit) = overrides.iops {
        isolators.0.push(Isolator::BlockIops(rate("--iops", limit)?));
    }
    if let Some(shares) = overrides.cpu_shares {
        replace(isolators, &["os/linux/cpu-shares"], Isolator::CpuShares(shares));
    }
    if let Some(score) = overrides.oom_score_adj {
        replace(isolators, &["os/linux/oom-score-adj"], Isolator::OomScoreAdj(score));
    }
    if let Some(seccomp) = &overrides.seccomp {
        replace(
            isolators,
            &["os/linux/seccomp-retain-set", "os/linux/seccomp-remove-set"],
            seccomp.0.clone(),
        );
    }
    let capabilities = match (&overrides.caps_retain, &overrides.caps_remove) {
        (Some(_), Some(_)) => return Err(AppError::BothCapabilityFlags),
        (Some(set), None) => Isolator::CapabilitiesRetain(CapabilitySet { set: set.clone() }),
        (None, Some(set)) => Isolator::CapabilitiesRemove(CapabilitySet { set: set.clone() }),
        (None, None) => return Ok(()),
    };
    replace(
        isolators,
        &["os/linux/capabilities-retain-set", "os/linux/capabilities-remove-set"],
        capabilities,
    );
    Ok(())
}

fn rate(flag: &'static str, limit: Quantity) -> Result<Resource, AppError> {
    if limit.value() < 1 { Err(AppError::Rate { flag, limit }) } else { Ok(Resource::default_limit(limit)) }
}

fn replace(isolators: &mut Isolators, names: &[&str], isolator: Isolator) {
    isolators.0.retain(|earlier| !names.contains(&earlier.name()));
    isolators.0.push(isolator);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assemble::SeccompFlag;

    fn names(isolators: &Isolators) -> Vec<&str> {
        isolators.iter().map(Isolator::name).collect()
    }

    fn image() -> Isolators {
        let set = || CapabilitySet { set: vec!["CAP_KILL".to_owned()] };
        Isolators(vec![
            Isolator::Memory(Resource::limit("1G".parse().unwrap())),
            Isolator::CapabilitiesRetain(set()),
            Isolator::CapabilitiesRemove(set()),
            "mode=retain,a".parse::<SeccompFlag>().unwrap().0,
            Isolator::CpuShares(2),
        ])
    }

    #[test]
    fn limits_are_appended_and_count() {
        let mut isolators = image();
        let overrides = Overrides {
            memory: Some("192M".parse().unwrap()),
            cpu: Some("1500m".parse().unwrap()),
            pids: Some(64),
            io_bandwidth: Some("2M".parse().unwrap()),
            iops: Some("500".parse().unwrap()),
            ..Overrides::default()
        };
        apply(&mut isolators, &overrides).unwrap();
        isolators.validate().unwrap();
        let rates = [isolators.block_bandwidth_limit(), isolators.block_iops_limit()];
        assert_eq!(rates.map(|rate| rate.unwrap().value()), [2_000_000, 500]);
        assert_eq!(isolators.memory_limit().unwrap().value(), 192_000_000);
        assert_eq!(isolators.cpu_limit().unwrap().milli_value(), 1500);
        assert_eq!(isolators.pids_limit().unwrap().value(), 64);
        assert_eq!(isolators.0.len(), image().0.len() + 5);
        let nothing = Overrides { iops: Some("0".parse().unwrap()), ..Overrides::default() };
        let line = apply(&mut image(), &nothing).unwrap_err().to_string();
        assert_eq!(line, "--iops of 0 is too low: it must be at least 1 in a second");
    }

    #[test]
    fn the_others_replace() {
        let mut isolators = image();
        let overrides = Overrides {
            caps_remove: Some(vec!["CAP_CHOWN".to_owned()]),
            seccomp: Some("mode=remove,b".parse().unwrap()),
            cpu_shares: Some(100),
            oom_score_adj: Some(-5),
            ..Overrides::default()
        };
        apply(&mut isolators, &overrides).unwrap();
        assert_eq!(
            names(&isolators),
            [
                "resource/memory",
                "os/linux/cpu-shares",
                "os/linux/oom-score-adj",
                "os/linux/seccomp-remove-set",
                "os/linux/capabilities-remove-set",
            ]
        );
    }

    #[test]
    fn impossible_wishes_are_refused() {
        let refused = |overrides: &Overrides| apply(&mut image(), overrides).unwrap_err().to_string();
        let memory = Overrides { memory: Some("4095".parse().unwrap()), ..Overrides::default() };
        assert!(refused(&memory).starts_with("memory limit of 4095 bytes too low"));
        let cpu = Overrides { cpu: Some("0".parse().unwrap()), ..Overrides::default() };
        assert!(refused(&cpu).contains("CPU limit"));
        let both = Overrides { caps_remove: Some(vec![]), caps_retain: Some(vec![]), ..Overrides::default() };
        assert_eq!(refused(&both), "cannot use both --caps-retain and --caps-remove on the same image");
    }
}
