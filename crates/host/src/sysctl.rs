//! Kernel parameters: the files below `/proc/sys`.
//!
//! Those below `net` are of the network namespace of the calling thread.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::netlink::Error;

const ROOT: &str = "/proc/sys";

/// Returns the value of a parameter, such as `net.ipv4.conf.all.src_valid_mark`, without the end of its line.
///
/// As with sysctl(8) a name may have slashes for its dots, and must where a dot is part of an interface's name:
/// `net/ipv4/conf/eth0.5/rp_filter`.
///
/// # Errors
///
/// `InvalidInput` for a name that leads out of the tree; those of reading a file.
pub fn read(name: &str) -> Result<String, Error> {
    let value = path(name).and_then(fs::read_to_string);
    let value = value.map_err(|error| Error::new(format!("read the kernel parameter {name}"), error))?;
    Ok(value.trim_end_matches('\n').to_owned())
}

/// Gives a parameter a value and returns the one before. Nothing is written if the two are equal: the tree may be
/// read-only, as in many containers.
///
/// # Errors
///
/// Like [`read`]; those of writing a file, `EINVAL` for a value that the kernel does not take.
pub fn write(name: &str, value: &str) -> Result<String, Error> {
    let before = read(name)?;
    if before != value {
        let written = path(name).and_then(|path| fs::write(path, value));
        written.map_err(|error| Error::new(format!("set the kernel parameter {name} to {value}"), error))?;
    }
    Ok(before)
}

/// Returns the file of a parameter.
fn path(name: &str) -> io::Result<PathBuf> {
    let relative = if name.contains('/') {
        PathBuf::from(name)
    } else {
        PathBuf::from(name.replace('.', "/"))
    };
    let within = relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if name.is_empty() || !within {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(Path::new(ROOT).join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_dots_or_slashes_and_stays_below_the_root() {
        let at = |name| path(name).ok().map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(at("net.core.somaxconn").unwrap(), "/proc/sys/net/core/somaxconn");
        assert_eq!(
            at("net/ipv4/conf/eth0.5/rp_filter").unwrap(),
            "/proc/sys/net/ipv4/conf/eth0.5/rp_filter"
        );
        for outside in ["", "/etc/passwd", "net/../../etc/passwd", "../version", "./net", ".net"] {
            assert_eq!(at(outside), None, "{outside:?}");
        }
    }
}
