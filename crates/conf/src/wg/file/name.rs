//! What people call a peer: a comment `# Name = alice` or `# friendly_name=alice` directly above or inside its section, which
//! every other program passes over, or a line `Name = alice`.

use crate::key_text;

/// In characters: enough for a mail address or a host name.
pub const MAX_LEN: usize = 255;

/// Returns the name that a comment gives, without its `#`.
pub(super) fn in_comment(comment: &[u8]) -> Option<&str> {
    let (key, name) = std::str::from_utf8(comment).ok()?.split_once('=')?;
    let key = key.trim();
    let is_key = key.eq_ignore_ascii_case("Name") || key.eq_ignore_ascii_case("friendly_name");
    let name = name.trim();
    (is_key && check(name).is_ok()).then_some(name)
}

/// Checks that a text can be a name.
///
/// # Errors
/// Says what is wrong with it; the text is not repeated.
pub fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("a name cannot be empty");
    }
    if name.chars().count() > MAX_LEN {
        return Err("a name has at most 255 characters");
    }
    if name.chars().any(char::is_control) {
        return Err("a name cannot have control characters");
    }
    // It could not be told from the peer with that key.
    if key_text::parse_base64(name.as_bytes()).is_some() {
        return Err("a name cannot be a key");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_give_names_in_two_forms() {
        for (comment, name) in [
            (" Name = alice", Some("alice")),
            ("name=Alice B.\r", Some("Alice B.")),
            (" friendly_name=bob's phone ", Some("bob's phone")),
            (" Name = a = b", Some("a = b")),
            (" Name =", None),
            (" Name: alice", None),
            (" Her Name = alice", None),
            (" Name = a\x1b[31m", None),
            (" Name = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", None),
        ] {
            assert_eq!(in_comment(comment.as_bytes()), name, "{comment:?}");
        }
        assert_eq!(in_comment(b" Name = \xff"), None);
        assert!(check(&"x".repeat(MAX_LEN)).is_ok());
        assert!(check(&"x".repeat(MAX_LEN + 1)).is_err());
    }
}
