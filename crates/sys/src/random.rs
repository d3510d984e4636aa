//! Randomness from the kernel.

use std::io;

use crate::errno::retry;

/// Fills `bytes` with random bytes that are fit for keys; waits at early boot until the kernel has them.
///
/// # Errors
/// The error of `getrandom(2)`; the contents of `bytes` must not be used then.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: pointer and length describe `rest`, which is borrowed exclusively.
        let filled = retry(|| unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) })?;
        rest = rest
            .split_at_mut_checked(filled.unsigned_abs())
            .ok_or(io::ErrorKind::InvalidData)?
            .1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_long_buffer_is_filled() {
        let mut bytes = vec![0; 100_000];
        fill(&mut bytes).unwrap();
        assert!(
            bytes
                .chunks(64)
                .all(|chunk| chunk.len() < 64 || chunk.iter().any(|byte| *byte != 0))
        );
    }
}
