//! The appc specification's types: image and pod manifests, names, quantities, isolators, discovery.
