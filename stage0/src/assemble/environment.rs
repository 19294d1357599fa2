//! The environment of apps: whose word counts.

use std::path::{Path, PathBuf};

use appc::Environment;

use super::KeyValue;

/// What the pod's flags say about the environment of every app.
#[derive(Debug, Clone, Default)]
pub struct EnvLayers {
    /// The environment of rkt itself, for variables that nobody sets.
    pub inherited: Vec<KeyValue>,
    /// Variables of files.
    pub from_files: Vec<KeyValue>,
    /// Variables of flags.
    pub set: Vec<KeyValue>,
}

/// Why a file of variables is refused.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It cannot be read.
    #[error("Cannot read environment file \"{}\"", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A line that is no variable.
    #[error("Line {line} of environment file \"{}\" is not NAME=VALUE: {text:?}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A variable set twice.
    #[error("key \"{0}\" already set")]
    Twice(String),
}

impl EnvLayers {
    /// The environment of an app. From low to high: inherited variables, the image's, those of the flags after the
    /// image, those of files, those of `--set-env`.
    pub fn apply(&self, image: &Environment, after_image: &[KeyValue]) -> Environment {
        let mut environment = image.clone();
        for KeyValue { key, value } in after_image.iter().chain(&self.from_files).chain(&self.set) {
            environment.set(key, value);
        }
        for KeyValue { key, value } in &self.inherited {
            if environment.get(key).is_none() {
                environment.set(key, value);
            }
        }
        environment
    }

    /// No variable is set twice by flags, nor twice by files.
    pub fn check(&self) -> Result<(), EnvFileError> {
        for layer in [&self.from_files, &self.set] {
            for (position, variable) in layer.iter().enumerate() {
                if layer[..position].iter().any(|earlier| earlier.key == variable.key) {
                    return Err(EnvFileError::Twice(variable.key.clone()));
                }
            }
        }
        Ok(())
    }
}

/// Reads a file of variables, one in a line; empty lines and those that begin with `#` or `;` are comments.
pub fn read_env_file(path: &Path) -> Result<Vec<KeyValue>, EnvFileError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| EnvFileError::Read { path: path.to_owned(), source })?;
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        variables.push(line.parse().map_err(|_| EnvFileError::Line {
            path: path.to_owned(),
            line: number + 1,
            text: line.to_owned(),
        })?);
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[&str]) -> Vec<KeyValue> {
        list.iter().map(|pair| pair.parse().unwrap()).collect()
    }

    #[test]
    fn the_later_layer_wins() {
        let mut image = Environment::default();
        for name in ["A", "B", "C", "D"] {
            image.set(name, "image");
        }
        let layers = EnvLayers {
            inherited: pairs(&["A=host", "E=host", "F=host"]),
            from_files: pairs(&["C=file", "D=file", "F=file"]),
            set: pairs(&["D=set"]),
        };
        let environment = layers.apply(&image, &pairs(&["B=flag", "C=flag", "D=flag"]));
        let values: Vec<_> = ["A", "B", "C", "D", "E", "F"].map(|name| environment.get(name).unwrap()).into();
        assert_eq!(values, ["image", "flag", "file", "set", "host", "file"]);
    }

    #[test]
    fn a_variable_is_set_once_per_layer() {
        let layers = EnvLayers { set: pairs(&["A=1", "A=2"]), ..EnvLayers::default() };
        assert_eq!(layers.check().unwrap_err().to_string(), "key \"A\" already set");
        let layers = EnvLayers { set: pairs(&["A=1"]), from_files: pairs(&["A=2"]), ..EnvLayers::default() };
        assert!(layers.check().is_ok());
    }

    #[test]
    fn files_have_comments() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        std::fs::write(&path, "# a\n\n; b\nA=1 \n B=x=y\n").unwrap();
        assert_eq!(read_env_file(&path).unwrap(), pairs(&["A=1", "B=x=y"]));
        std::fs::write(&path, "A=1\nbad\n").unwrap();
        assert!(read_env_file(&path).unwrap_err().to_string().starts_with("Line 2 of"));
    }
}
