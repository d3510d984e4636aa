//! The rules of the house that no lint knows: layers, file sizes, where `unsafe` may be, what a source must not hold.

use std::path::Path;
use std::process::Command;

use e2e::needs;

mod layers;
mod sources;

/// Checks everything and returns a line for people.
///
/// # Errors
/// One line for each rule broken, with the file and line where there is one.
pub(crate) fn check() -> Result<String, String> {
    let root = needs::workspace();
    let files = tracked(&root)?;
    let mut broken = layers::check(&root)?;
    for name in &files {
        // A file just deleted is still listed, and what is not text is not ours to judge.
        if let Ok(text) = std::fs::read_to_string(root.join(name)) {
            broken.extend(sources::check(name, &text));
        }
    }
    if broken.is_empty() {
        Ok(format!("structure: {} files and all layers are sound", files.len()))
    } else {
        Err(broken.join("\n"))
    }
}

fn tracked(root: &Path) -> Result<Vec<String>, String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(String::from)
        .collect())
}
