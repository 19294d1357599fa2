//! Keys in any case, as the original's JSON decoder took them.
//!
//! The shapes below name every known key of a manifest. A pass over the parsed JSON renames keys that differ only
//! in case, and drops `null`, which stands for "not given". If a key occurs in several spellings the exact one wins.

use serde_json::Value;

/// What keys a value has.
enum Shape {
    /// Taken as it is.
    Leaf,
    /// A list of values of one shape.
    List(&'static Shape),
    /// An object with these known keys.
    Object(&'static [(&'static str, Shape)]),
    /// `{name, value}`, where the name decides the value's shape.
    Isolator,
}

use Shape::{Isolator, Leaf, List, Object};

const NAME_VALUE: Shape = Object(&[("name", Leaf), ("value", Leaf)]);
const NAME_VALUES: Shape = List(&NAME_VALUE);
const PORT: Shape =
    Object(&[("name", Leaf), ("protocol", Leaf), ("port", Leaf), ("count", Leaf), ("socketActivated", Leaf)]);
const MOUNT_POINT: Shape = Object(&[("name", Leaf), ("path", Leaf), ("readOnly", Leaf)]);
const EVENT_HANDLER: Shape = Object(&[("name", Leaf), ("exec", Leaf)]);
const APP: Shape = Object(&[
    ("exec", Leaf),
    ("user", Leaf),
    ("group", Leaf),
    ("supplementaryGIDs", Leaf),
    ("eventHandlers", List(&EVENT_HANDLER)),
    ("workingDirectory", Leaf),
    ("environment", NAME_VALUES),
    ("mountPoints", List(&MOUNT_POINT)),
    ("ports", List(&PORT)),
    ("isolators", List(&Isolator)),
    ("userAnnotations", Leaf),
    ("userLabels", Leaf),
]);
const DEPENDENCY: Shape =
    Object(&[("imageName", Leaf), ("imageID", Leaf), ("labels", NAME_VALUES), ("size", Leaf)]);
const IMAGE_MANIFEST: Shape = Object(&[
    ("acKind", Leaf),
    ("acVersion", Leaf),
    ("name", Leaf),
    ("labels", NAME_VALUES),
    ("app", APP),
    ("annotations", NAME_VALUES),
    ("dependencies", List(&DEPENDENCY)),
    ("pathWhitelist", Leaf),
]);
const VOLUME: Shape = Object(&[
    ("name", Leaf),
    ("kind", Leaf),
    ("source", Leaf),
    ("readOnly", Leaf),
    ("recursive", Leaf),
    ("mode", Leaf),
    ("uid", Leaf),
    ("gid", Leaf),
]);
const MOUNT: Shape = Object(&[("volume", Leaf), ("path", Leaf), ("appVolume", VOLUME)]);
const RUNTIME_APP: Shape = Object(&[
    ("name", Leaf),
    ("image", Object(&[("name", Leaf), ("id", Leaf), ("labels", NAME_VALUES)])),
    ("app", APP),
    ("readOnlyRootFS", Leaf),
    ("mounts", List(&MOUNT)),
    ("annotations", NAME_VALUES),
]);
const EXPOSED_PORT: Shape =
    Object(&[("name", Leaf), ("hostPort", Leaf), ("hostIP", Leaf), ("podPort", PORT)]);
const POD_MANIFEST: Shape = Object(&[
    ("acVersion", Leaf),
    ("acKind", Leaf),
    ("apps", List(&RUNTIME_APP)),
    ("volumes", List(&VOLUME)),
    ("isolators", List(&Isolator)),
    ("annotations", NAME_VALUES),
    ("ports", List(&EXPOSED_PORT)),
    ("userAnnotations", Leaf),
    ("userLabels", Leaf),
]);

/// Keys of isolator values; no two isolators give one key different spellings.
const ISOLATOR_VALUE: Shape = Object(&[
    ("default", Leaf),
    ("request", Leaf),
    ("limit", Leaf),
    ("set", Leaf),
    ("errno", Leaf),
    ("user", Leaf),
    ("role", Leaf),
    ("type", Leaf),
    ("level", Leaf),
    ("profile", Leaf),
]);

/// Gives the keys of an image manifest their exact spelling.
pub(crate) fn spell_image_manifest(value: &mut Value) {
    spell(value, &IMAGE_MANIFEST);
}

/// Gives the keys of a pod manifest their exact spelling.
pub(crate) fn spell_pod_manifest(value: &mut Value) {
    spell(value, &POD_MANIFEST);
}

/// Recursion ends with the shape, whatever the depth of the value.
fn spell(value: &mut Value, shape: &Shape) {
    match (shape, value) {
        (List(shape), Value::Array(items)) => items.iter_mut().for_each(|item| spell(item, shape)),
        (Object(known), Value::Object(object)) => spell_object(object, known),
        (Isolator, isolator) => spell_isolator(isolator),
        _ => {}
    }
}

fn spell_object(object: &mut serde_json::Map<String, Value>, known: &[(&str, Shape)]) {
    let mut spelled = serde_json::Map::new();
    for (key, value) in std::mem::take(object) {
        if value.is_null() {
            continue;
        }
        let exact = known.iter().any(|(name, _)| *name == key);
        match known.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key)) {
            Some((name, shape)) if exact || !spelled.contains_key(*name) => {
                let mut value = value;
                spell(&mut value, shape);
                spelled.insert((*name).to_owned(), value);
            }
            Some(_) => {}
            None => {
                spelled.insert(key, value);
            }
        }
    }
    *object = spelled;
}

fn spell_isolator(isolator: &mut Value) {
    spell(isolator, &NAME_VALUE);
    let known = isolator
        .get("name")
        .and_then(Value::as_str)
        .is_some_and(|name| name.starts_with("resource/") || name.starts_with("os/linux/"));
    if let Some(value) = isolator.get_mut("value").filter(|_| known) {
        spell(value, &ISOLATOR_VALUE);
    }
}

#[cfg(test)]
mod tests;
