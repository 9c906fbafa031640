//! The command line of copydesk.
fn main() {}
