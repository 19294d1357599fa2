use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{ImageManifest, PodManifest};

#[test]
fn keys_of_any_case_are_known() {
    let manifest = ImageManifest::from_slice(
        br#"{"ACKIND":"ImageManifest","acversion":"0.8.11","Name":"a","LABELS":[{"Name":"os","VALUE":"linux"}],
            "app":{"Exec":["/a"],"USER":"0","Group":"0","SupplementaryGids":[4],"MountPoints":[
              {"NAME":"m","Path":"/m","READONLY":true}],
            "Isolators":[{"Name":"resource/memory","Value":{"Limit":"1G"}}],"UserLabels":{"Key":"v"}}}"#,
    )
    .unwrap();
    let app = manifest.app.unwrap();
    assert_eq!(manifest.labels.get("os"), Some("linux"));
    assert_eq!((app.supplementary_gids, app.mount_points[0].read_only), (vec![4], true));
    assert_eq!(app.isolators.memory_limit().unwrap().value(), 1_000_000_000);
    assert_eq!(app.user_labels["Key"], "v");
}

#[test]
fn null_is_not_given_and_unknown_keys_are_ignored() {
    let pod = PodManifest::from_slice(
        br#"{"acKind":"PodManifest","acVersion":"0.8.11","apps":null,"volumes":null,"isolators":null,
            "ports":null,"annotations":null,"userLabels":null,"future":{"Deep":[null]}}"#,
    )
    .unwrap();
    assert_eq!(pod, PodManifest::default());
}

#[test]
fn the_exact_spelling_wins() {
    for mut value in [json!({"name": "a", "NAME": "b", "Name": "c"}), json!({"NAME": "b", "name": "a"})] {
        spell_image_manifest(&mut value);
        assert_eq!(value, json!({"name": "a"}));
    }
}

#[test]
fn unknown_isolators_stay_as_they_are() {
    let mut value = json!({"isolators": [{"NAME": "example.com/x", "value": {"LIMIT": null}}, 7]});
    spell_pod_manifest(&mut value);
    assert_eq!(value, json!({"isolators": [{"name": "example.com/x", "value": {"LIMIT": null}}, 7]}));
}

#[test]
fn depth_is_bounded() {
    let deep = format!("{{\"name\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(ImageManifest::from_slice(deep.as_bytes()).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z/]{0,6}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        "[a-zA-Z]{1,5}",
        Just("apps".to_owned()),
        Just("app".to_owned()),
        Just("Isolators".to_owned()),
        Just("volumes".to_owned()),
        Just("name".to_owned()),
        Just("value".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_panics(value in any_json()) {
        let text = value.to_string();
        let _ = ImageManifest::from_slice(text.as_bytes());
        let _ = PodManifest::from_slice(text.as_bytes());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = ImageManifest::from_slice(&bytes);
    }

    #[test]
    fn spelling_is_idempotent(mut value in any_json()) {
        spell_pod_manifest(&mut value);
        let once = value.clone();
        spell_pod_manifest(&mut value);
        prop_assert_eq!(value, once);
    }
}
