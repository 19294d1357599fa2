//! OCI images made by umoci.

use super::tool;
use std::path::{Path, PathBuf};

/// An OCI layout with images under construction.
pub struct Layout {
    pub path: PathBuf,
    scratch: PathBuf,
}

/// An image of a [`Layout`].
pub struct Image<'a> {
    layout: &'a Layout,
    pub tag: String,
}

impl Layout {
    pub fn new(dir: &Path) -> Self {
        let layout = Layout { path: dir.join("oci"), scratch: dir.join("scratch") };
        tool("umoci", "umoci", &["init", "--layout", layout.path.to_str().unwrap()]);
        layout
    }

    /// A new image without layers.
    pub fn image(&self, tag: &str) -> Image<'_> {
        let image = Image { layout: self, tag: tag.to_owned() };
        tool("umoci", "umoci", &["new", "--image", &image.name()]);
        image
    }

    /// Another image that begins with the layers of `from`.
    pub fn copy<'a>(&'a self, from: &Image<'_>, tag: &str) -> Image<'a> {
        tool("umoci", "umoci", &["tag", "--image", &from.name(), tag]);
        Image { layout: self, tag: tag.to_owned() }
    }
}

impl Image<'_> {
    pub fn name(&self) -> String {
        format!("{}:{}", self.layout.path.display(), self.tag)
    }

    /// Adds a layer with one directory of files.
    pub fn layer(self, dir: &str, files: &[(&str, &str)]) -> Self {
        self.insert(dir, files, &[])
    }

    /// The same, hiding what was in the directory.
    pub fn opaque_layer(self, dir: &str, files: &[(&str, &str)]) -> Self {
        self.insert(dir, files, &["--opaque"])
    }

    fn insert(self, dir: &str, files: &[(&str, &str)], flags: &[&str]) -> Self {
        let source = &self.layout.scratch;
        let _ = std::fs::remove_dir_all(source);
        std::fs::create_dir(source).unwrap();
        for (name, content) in files {
            std::fs::write(source.join(name), content).unwrap();
        }
        let name = self.name();
        let mut args = vec!["insert", "--image", &name];
        args.extend(flags);
        args.extend([source.to_str().unwrap(), dir]);
        tool("umoci", "umoci", &args);
        self
    }

    /// Adds a layer that deletes a path.
    pub fn without(self, path: &str) -> Self {
        tool("umoci", "umoci", &["insert", "--image", &self.name(), "--whiteout", path]);
        self
    }

    /// Changes the configuration.
    pub fn config(self, flags: &[&str]) -> Self {
        let name = self.name();
        tool("umoci", "umoci", &[&["config", "--image", &name][..], flags].concat());
        self
    }
}

/// Writes a layout with one image of exactly these layers, and returns what it is called.
pub fn forged(path: &Path, layers: &[Vec<u8>]) -> String {
    use serde_json::json;
    use stage0::registry::Digest;
    let _ = std::fs::remove_dir_all(path);
    std::fs::create_dir_all(path.join("blobs/sha256")).unwrap();
    let blob = |content: &[u8], kind: &str| {
        let digest = Digest::of(content);
        std::fs::write(path.join("blobs/sha256").join(digest.hex()), content).unwrap();
        let media_type = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": content.len()})
    };
    let described: Vec<_> = layers.iter().map(|layer| blob(layer, "layer.v1.tar")).collect();
    let ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}});
    let config = blob(config.to_string().as_bytes(), "config.v1+json");
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": described});
    let manifest = blob(manifest.to_string().as_bytes(), "manifest.v1+json");
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(path.join("index.json"), index.to_string()).unwrap();
    std::fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    format!("oci:{}", path.display())
}
