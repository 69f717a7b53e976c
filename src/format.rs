//! Readers and writers of the file formats, one per file.
