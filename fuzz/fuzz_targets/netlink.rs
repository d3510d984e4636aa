//! Answers of the kernel about an interface: any bytes, in one datagram or in one for each message.
//!
//! How the answer is cut does not matter, and what is read of it can be said in the control protocol.

#![no_main]

use conf::uapi::{DeviceStatus, get_answer, parse_answer};
use host::wireguard::Dump;
use libfuzzer_sys::fuzz_target;

/// Of the messages in the corpus.
const FAMILY: u16 = 0x1c;
const SEQUENCE: u32 = 1;

/// The status in text; what refused it, if anything did.
fn read<'a>(datagrams: impl Iterator<Item = &'a [u8]>) -> Result<Option<Vec<u8>>, String> {
    let mut dump = Dump::new(FAMILY, SEQUENCE);
    for datagram in datagrams {
        if dump.take(datagram).map_err(|error| error.to_string())? {
            return Ok(dump.finish().map(|status| write_down(&status)));
        }
    }
    Err("it does not end".to_owned())
}

fn write_down(status: &DeviceStatus) -> Vec<u8> {
    let text = get_answer(status);
    parse_answer(&text, &|zone| zone.parse().ok()).expect("a printed answer is readable");
    text.to_vec()
}

/// Cuts off the first message, by the length that it says it has.
fn message<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = rest.first_chunk().map_or(0, |len| u32::from_ne_bytes(*len) as usize);
    let end = match len {
        16.. => len.next_multiple_of(4).min(rest.len()),
        _ => rest.len(),
    };
    let (message, after) = rest.split_at(end);
    *rest = after;
    (!message.is_empty()).then_some(message)
}

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    let apart = read(std::iter::from_fn(|| message(&mut rest)));
    let joined = read((!data.is_empty()).then_some(data).into_iter());
    assert_eq!(apart, joined, "how the answer is cut matters");
});
