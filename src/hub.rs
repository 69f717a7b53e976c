//! Models by name: from a folder, the hub cache or the hub.
