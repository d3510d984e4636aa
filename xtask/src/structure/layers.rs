//! Which crate may use which, from `cargo metadata`; and every dependency from outside has its line in ARCHITECTURE.md.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// The arrows, transitive ones included. Test-only dependencies may point elsewhere.
const ARROWS: [(&str, &[&str]); 13] = [
    ("crypto", &[]),
    ("proto", &["crypto"]),
    ("sys", &[]),
    ("conf", &["proto"]),
    ("engine", &["proto", "conf", "sys"]),
    ("host", &["proto", "conf", "sys"]),
    ("netstack", &["proto", "engine"]),
    ("simnet", &["proto"]),
    ("traffic", &["proto", "conf", "sys"]),
    ("adit", &["proto", "conf", "sys", "engine", "host", "netstack"]),
    ("benches", &["crypto", "proto", "engine"]),
    ("e2e", &[]),
    ("xtask", &["e2e"]),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output();
    let output = output.map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}\n{}", String::from_utf8_lossy(&output.stderr)))?;
    let architecture = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    let mut broken: Vec<String> = metadata.packages.iter().flat_map(arrows).collect();
    let mut outside: Vec<&str> = metadata
        .packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .filter(|d| d.path.is_none())
        .map(|d| d.name.as_str())
        .collect();
    outside.sort_unstable();
    outside.dedup();
    let unnamed = outside.into_iter().filter(|name| !names(&architecture, name));
    broken.extend(unnamed.map(|name| format!("ARCHITECTURE.md: no word on the dependency {name}")));
    Ok(broken)
}

fn arrows(package: &Package) -> Vec<String> {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!(
            "{}: has no place among the layers of xtask/src/structure/layers.rs",
            package.name
        )];
    };
    let inside = package
        .dependencies
        .iter()
        .filter(|d| d.path.is_some() && d.kind.is_none());
    let wrong = inside.filter(|dependency| !allowed.contains(&dependency.name.as_str()));
    wrong
        .map(|dependency| format!("{} must not depend on {}", package.name, dependency.name))
        .collect()
}

/// True when `name` stands in the text as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.split(|c| !part(c)).any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_upwards_is_found_and_a_test_one_is_not() {
        let dependency = |name: &str, kind: Option<&str>| Dependency {
            name: name.into(),
            kind: kind.map(String::from),
            path: Some(String::new()),
        };
        let dependencies = vec![
            dependency("engine", None),
            dependency("simnet", Some("dev")),
            dependency("proto", None),
        ];
        assert_eq!(
            arrows(&Package {
                name: "conf".into(),
                dependencies
            }),
            ["conf must not depend on engine"]
        );
        assert_eq!(
            arrows(&Package {
                name: "new".into(),
                dependencies: Vec::new()
            })
            .len(),
            1
        );
    }

    #[test]
    fn a_dependency_is_named_only_as_a_whole_word() {
        assert!(names("| `rand_core` | seeds |", "rand_core"));
        assert!(!names("| `serde_json` | output |", "serde"));
    }
}
