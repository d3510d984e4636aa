//! adit
fn main() {}
