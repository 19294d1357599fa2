//! The specification's value types: names, hashes, versions, labels, annotations, quantities.

mod annotations;
mod environment;
mod hash;
mod identifier;
mod kind;
mod labels;
mod quantity;
mod semver;

pub use annotations::{Annotation, Annotations};
pub use environment::{Environment, EnvironmentVariable};
pub use hash::Hash;
pub use identifier::{AcIdentifier, AcName};
pub use kind::AcKind;
pub use labels::{Label, Labels, check_os_arch};
pub use quantity::{Quantity, QuantityFormat};
pub use semver::SemVer;

/// Why a value is not what the specification allows in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not an image or annotation name.
    #[error("Invalid AC identifier \"{0}\": must match ^[a-z0-9]+([-._~/][a-z0-9]+)*$")]
    Identifier(String),
    /// Not an app, volume, mount point or port name.
    #[error("Invalid AC name \"{0}\": must match ^[a-z0-9]+([-][a-z0-9]+)*$")]
    Name(String),
    /// Nothing is left of a string after sanitizing.
    #[error("No valid name can be made of \"{0}\"")]
    Unsanitizable(String),
    /// Not an image id.
    #[error("Invalid hash \"{0}\": must be sha512- and up to 128 lower-case hexadecimal digits")]
    Hash(String),
    /// Not a semantic version.
    #[error("Invalid version \"{0}\": must be MAJOR.MINOR.PATCH[-pre][+meta]")]
    SemVer(String),
    /// Not a quantity.
    #[error(
        "Invalid quantity \"{0}\": must be a number with an optional suffix such as m, k, M, G, Ki, Mi, Gi"
    )]
    Quantity(String),
    /// A quantity too large to count.
    #[error("Quantity \"{0}\" is out of range")]
    QuantityRange(String),
    /// A label or annotation that occurs twice.
    #[error("Duplicate {what} \"{name}\"")]
    Duplicate {
        /// What occurs twice: `label`, `annotation`, `environment variable`.
        what: &'static str,
        /// The name that occurs twice.
        name: String,
    },
    /// `name` as a label would contradict the manifest's own name.
    #[error("\"name\" is not a valid label name")]
    LabelNamedName,
    /// An architecture without the operating system it belongs to.
    #[error("Label \"arch\" is \"{0}\" but there is no label \"os\"")]
    ArchWithoutOs(String),
    /// An operating system the specification does not know.
    #[error("bad os \"{os}\" (must be one of {})", known.join(", "))]
    Os {
        /// The label's value.
        os: String,
        /// What it could have been.
        known: Vec<&'static str>,
    },
    /// An architecture the specification does not know for the operating system.
    #[error("bad arch \"{arch}\" for {os} (must be one of {})", known.join(", "))]
    Arch {
        /// The label's value.
        arch: String,
        /// The operating system it was combined with.
        os: String,
        /// What it could have been.
        known: Vec<&'static str>,
    },
    /// A well-known annotation whose value has the wrong form.
    #[error("Annotation \"{name}\" is \"{value}\", which is not {expected}")]
    Annotation {
        /// The annotation.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Not a name for an environment variable.
    #[error("Invalid environment variable name \"{0}\": must match ^[A-Za-z_][A-Za-z_0-9.-]*$")]
    EnvironmentName(String),
}
