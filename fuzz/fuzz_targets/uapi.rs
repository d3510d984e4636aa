//! The control protocol: any bytes, in any pieces.
//!
//! Reading does not depend on how the stream is cut, and an accepted request that is printed and read again is the same.

#![no_main]

use conf::uapi::{Request, RequestReader, get_answer, parse_answer, set_request};
use libfuzzer_sys::fuzz_target;

fn zones(name: &str) -> Option<u32> {
    name.parse().ok().or_else(|| (name == "eth0").then_some(3))
}

/// Reads a whole stream in pieces, and writes down everything that came of it.
fn read(stream: &[u8], mut piece: impl FnMut() -> usize) -> Vec<String> {
    let mut reader = RequestReader::default();
    let mut seen = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (mut input, after) = rest.split_at(piece().clamp(1, rest.len()));
        rest = after;
        while let Some(request) = reader.read(&mut input, &zones) {
            seen.push(write_down(&request));
        }
        assert!(input.is_empty(), "bytes are left over");
    }
    seen.push(write_down(&reader.finish()));
    seen
}

fn write_down(request: &Request) -> String {
    match request {
        Request::Set(set) => {
            let text = set_request(set);
            let mut input = &text[..];
            match RequestReader::default().read(&mut input, &zones) {
                Some(Request::Set(again)) => {
                    assert_eq!(*set_request(&again), *text, "printing and reading is the identity")
                }
                other => panic!("{other:?} for a printed request"),
            }
            assert!(input.is_empty());
            String::from_utf8_lossy(&text).into_owned()
        }
        other => format!("{other:?}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let (&cut, stream) = data.split_first().unwrap_or((&0, &[]));
    let whole = read(stream, || usize::MAX);
    let mut state = u32::from(cut);
    let pieces = read(stream, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (state >> 24) as usize % (usize::from(cut) + 1)
    });
    assert_eq!(whole, pieces, "how the stream is cut matters");

    if let Ok(status) = parse_answer(stream, &zones) {
        let text = get_answer(&status);
        let again = parse_answer(&text, &zones).expect("a printed answer is readable");
        assert_eq!(*get_answer(&again), *text);
    }
});
