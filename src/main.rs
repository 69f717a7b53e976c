//! The `tarjim` command.

fn main() {}
