//! URL templates: `https://example.com/{name}-{version}.{ext}`.

use crate::image_name::ImageName;

/// The version of an image that does not ask for one.
const DEFAULT_VERSION: &str = "latest";

/// Why a template cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A variable that the image has no label for.
    #[error("Template \"{template}\" needs {{{variable}}}, which the image name does not give")]
    Unresolved {
        /// The template.
        template: String,
        /// The variable.
        variable: String,
    },
}

/// Fills in `{name}`, `{ext}`, and one variable per label of `image`.
///
/// Values are inserted in one pass: braces in a value are not variables.
pub fn render(template: &str, image: &ImageName, ext: &str) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((variable, after)) = after.split_once('}') else { break };
        let value = match variable {
            "name" => Some(image.name.as_str()),
            "ext" => Some(ext),
            "version" => Some(image.labels.get("version").unwrap_or(DEFAULT_VERSION)),
            label => image.labels.get(label),
        };
        out.push_str(before);
        out.push_str(value.ok_or_else(|| TemplateError::Unresolved {
            template: template.to_owned(),
            variable: variable.to_owned(),
        })?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
