//! One app of a pod: its image's section with the user's changes.

use appc::{
    AcName, Annotations, App, Hash, ImageManifest, Labels, Mount, Quantity, RuntimeApp, RuntimeImage,
    ValueError,
};

use super::{EnvLayers, KeyValue, Overrides, isolators};

/// An image and what the user wants of it.
#[derive(Debug)]
pub struct AppRequest<'a> {
    /// The image's id.
    pub id: Hash,
    /// The image's manifest.
    pub image: &'a ImageManifest,
    /// The flags after the image.
    pub overrides: &'a Overrides,
    /// The arguments after `--`.
    pub arguments: &'a [String],
}

/// Why an image cannot become an app.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Nothing says what to run.
    #[error("image {0} has no app section and --exec argument is not provided")]
    NothingToRun(String),
    /// The app section names no program.
    #[error("image {0} has an empty exec in its app section and --exec argument is not provided")]
    EmptyExec(String),
    /// A limit no program can start with.
    #[error("memory limit of {0} bytes too low: the minimum is 4096 bytes")]
    Memory(i64),
    /// A limit with which nothing ever runs.
    #[error("CPU limit of {0} is too low: it must be more than 0")]
    Cpu(Quantity),
    /// A rate at which nothing ever comes.
    #[error("{flag} of {limit} is too low: it must be at least 1 in a second")]
    Rate {
        /// The flag.
        flag: &'static str,
        /// Its value.
        limit: Quantity,
    },
    /// Capabilities cannot be listed in both ways.
    #[error("cannot use both --caps-retain and --caps-remove on the same image")]
    BothCapabilityFlags,
    /// The image's name gives no app name.
    #[error("Cannot name an app after image {image}, use --name")]
    Name {
        /// The image.
        image: String,
        /// The cause.
        source: ValueError,
    },
    /// An annotation's name is none.
    #[error("Invalid --annotation")]
    Annotation(#[source] ValueError),
}

/// Standard streams and where they go: the per-app annotations stage1 reads.
const STREAMS: &[(&str, &str)] = &[
    ("coreos.com/rkt/stage2/stdin", "null"),
    ("coreos.com/rkt/stage2/stdout", "log"),
    ("coreos.com/rkt/stage2/stderr", "log"),
];

/// The value of the stream annotations of an interactive app.
const INTERACTIVE: &str = "interactive";

/// The app of a pod that a request makes.
pub fn runtime_app(
    request: &AppRequest<'_>,
    environment: &EnvLayers,
    interactive: bool,
) -> Result<RuntimeApp, AppError> {
    let AppRequest { image, overrides, .. } = request;
    let name = match &overrides.name {
        Some(name) => name.clone(),
        None => AcName::from_image_name(&image.name)
            .map_err(|source| AppError::Name { image: image.name.to_string(), source })?,
    };
    Ok(RuntimeApp {
        name,
        image: RuntimeImage {
            name: Some(image.name.clone()),
            id: request.id.clone(),
            labels: Labels::clone(&image.labels),
        },
        app: Some(app_section(request, environment)?),
        read_only_root_fs: overrides.readonly_rootfs,
        mounts: mounts(overrides),
        annotations: annotations(overrides, interactive)?,
    })
}

fn mounts(overrides: &Overrides) -> Vec<Mount> {
    [&overrides.mount, &overrides.tmpfs].into_iter().flatten().chain(&overrides.shm_size).cloned().collect()
}

fn app_section(request: &AppRequest<'_>, environment: &EnvLayers) -> Result<App, AppError> {
    let AppRequest { image, overrides, arguments, .. } = request;
    let mut app = match (&image.app, &overrides.exec) {
        (Some(app), _) => app.clone(),
        (None, Some(_)) => minimal_app(),
        (None, None) => return Err(AppError::NothingToRun(image.name.to_string())),
    };
    if let Some(exec) = &overrides.exec {
        app.exec = vec![exec.clone()];
    }
    app.exec.extend_from_slice(arguments);
    if app.exec.first().is_none_or(String::is_empty) {
        return Err(AppError::EmptyExec(image.name.to_string()));
    }
    if let Some(dir) = &overrides.working_dir {
        app.working_directory.clone_from(dir);
    }
    if let Some(user) = &overrides.user {
        app.user.clone_from(user);
    }
    if let Some(group) = &overrides.group {
        app.group.clone_from(group);
    }
    if let Some(gids) = &overrides.supplementary_gids {
        app.supplementary_gids.clone_from(gids);
    }
    app.environment = environment.apply(&app.environment, &overrides.environment);
    let pairs = |list: &[KeyValue]| {
        list.iter().map(|KeyValue { key, value }| (key.clone(), value.clone())).collect::<Vec<_>>()
    };
    app.user_annotations.extend(pairs(&overrides.user_annotation));
    app.user_labels.extend(pairs(&overrides.user_label));
    isolators::apply(&mut app.isolators, overrides)?;
    Ok(app)
}

/// What runs when an image says nothing but the user does: with the user's own ids.
fn minimal_app() -> App {
    App {
        user: rustix::process::getuid().as_raw().to_string(),
        group: rustix::process::getgid().as_raw().to_string(),
        ..App::default()
    }
}

fn annotations(overrides: &Overrides, interactive: bool) -> Result<Annotations, AppError> {
    let mut annotations = Annotations::default();
    let streams = STREAMS.iter().map(|(name, usual)| (*name, if interactive { INTERACTIVE } else { usual }));
    let given = overrides.annotation.iter().map(|KeyValue { key, value }| (key.as_str(), value.as_str()));
    let stdin = overrides.stdin.iter().map(|kind| (STREAMS[0].0, kind.as_str()));
    for (name, value) in streams.chain(stdin).chain(given) {
        annotations.set(name.parse().map_err(AppError::Annotation)?, value);
    }
    Ok(annotations)
}

#[cfg(test)]
mod tests;
