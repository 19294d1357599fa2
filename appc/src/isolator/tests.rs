use super::*;

fn parse(json: &str) -> Result<Isolator, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn known_isolators_survive_a_round_trip() {
    for json in [
        r#"{"name":"resource/memory","value":{"default":false,"limit":"100M","request":"50M"}}"#,
        r#"{"name":"resource/cpu","value":{"default":false,"limit":"500m"}}"#,
        r#"{"name":"resource/pids","value":{"default":false,"limit":"64"}}"#,
        r#"{"name":"resource/block-bandwidth","value":{"default":true,"limit":"2M"}}"#,
        r#"{"name":"os/linux/capabilities-retain-set","value":{"set":["CAP_KILL"]}}"#,
        r#"{"name":"os/linux/seccomp-remove-set","value":{"set":["@appc.io/all"],"errno":"ENOTSUP"}}"#,
        r#"{"name":"os/linux/no-new-privileges","value":true}"#,
        r#"{"name":"os/linux/oom-score-adj","value":-1000}"#,
        r#"{"name":"os/linux/cpu-shares","value":262144}"#,
        r#"{"name":"os/linux/selinux-context","value":{"user":"u","role":"r","type":"t","level":"s0:c1"}}"#,
        r#"{"name":"os/linux/apparmor-profile","value":{"profile":"p"}}"#,
        r#"{"name":"os/unix/sysctl","value":{"net.ipv4.ip_forward":"1"}}"#,
        r#"{"name":"example.com/future","value":[1,{"a":null}]}"#,
    ] {
        let isolator = parse(json).unwrap();
        let original: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_value(&isolator).unwrap(), original);
        assert!(json.contains(isolator.name()));
    }
}

#[test]
fn values_are_checked() {
    for (json, message) in [
        (r#"{"name":"resource/memory","value":{"default":true,"limit":"1"}}"#, "default must be false"),
        (r#"{"name":"resource/memory","value":{"limit":"x"}}"#, "Invalid quantity"),
        (r#"{"name":"resource/block-iops","value":{"default":false,"limit":"1"}}"#, "default must be true"),
        (
            r#"{"name":"resource/block-iops","value":{"default":true,"request":"1"}}"#,
            "request is not supported",
        ),
        (r#"{"name":"os/linux/capabilities-remove-set","value":{"set":[]}}"#, "non-empty"),
        (r#"{"name":"os/linux/seccomp-retain-set","value":{"set":[]}}"#, "non-empty"),
        (r#"{"name":"os/linux/seccomp-retain-set","value":{"set":["a"],"errno":"eperm"}}"#, "errno"),
        (r#"{"name":"os/linux/oom-score-adj","value":1001}"#, "between -1000 and 1000"),
        (r#"{"name":"os/linux/cpu-shares","value":1}"#, "between 2 and 262144"),
        (r#"{"name":"os/linux/no-new-privileges"}"#, "invalid type: null"),
        (r#"{"name":"os/linux/apparmor-profile","value":{"profile":""}}"#, "non-empty"),
        (
            r#"{"name":"os/linux/selinux-context","value":{"user":"a:b","role":"r","type":"t","level":"l"}}"#,
            "colon",
        ),
        (r#"{"name":"Bad Name","value":1}"#, "Invalid AC identifier"),
    ] {
        let error = parse(json).unwrap_err();
        assert!(error.contains(message), "{json}: {error}");
    }
}

fn seccomp() -> SeccompSet {
    SeccompSet { set: vec!["read".to_owned()], errno: None }
}

#[test]
fn sets_are_checked_as_a_whole() {
    let check = |list: Vec<Isolator>| Isolators(list).validate().map_err(|error| error.to_string());
    let error =
        check(vec![Isolator::SeccompRetain(seccomp()), Isolator::SeccompRemove(seccomp())]).unwrap_err();
    assert!(error.starts_with("isolators set contains incompatible types"), "{error}");
    for twice in [Isolator::SeccompRetain(seccomp()), Isolator::CpuShares(2), Isolator::OomScoreAdj(0)] {
        let error = check(vec![twice.clone(), twice]).unwrap_err();
        assert!(error.starts_with("isolators set contains too many instances of type"), "{error}");
    }
    let capabilities = CapabilitySet { set: vec!["CAP_KILL".to_owned()] };
    let retain = Isolator::CapabilitiesRetain(capabilities.clone());
    let mixed = vec![retain.clone(), retain, Isolator::CapabilitiesRemove(capabilities)];
    assert_eq!(check(mixed), Ok(()));
}

#[test]
fn the_last_limit_counts() {
    let limit = |text: &str| Isolator::Memory(Resource::limit(text.parse().unwrap()));
    let set = Isolators(vec![limit("1G"), limit("2G"), Isolator::Memory(Resource::default())]);
    assert_eq!(set.memory_limit().unwrap().value(), 2_000_000_000);
    assert_eq!(set.cpu_limit(), None);
}
