//! ChaCha20-Poly1305 by each backend of this CPU: batches of one, eight and 45 messages.

use std::fmt;

use benches::cipher::{Row, backends, key, name};
use crypto::Kernel;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

const SIZES: [usize; 9] = [64, 128, 256, 512, 1024, 1420, 2048, 4096, 9000];
const BATCHES: [usize; 3] = [1, 8, 45];

fn main() {
    divan::main();
}

#[derive(Clone, Copy)]
struct Case {
    kernel: Option<Kernel>,
    count: usize,
    text: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7} {:2} x {:4}", name(self.kernel), self.count, self.text)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    backends().flat_map(|kernel| {
        let batches = BATCHES.into_iter();
        batches.flat_map(move |count| SIZES.map(|text| Case { kernel, count, text }))
    })
}

#[divan::bench(args = cases())]
fn seal(bencher: Bencher<'_, '_>, case: Case) {
    let key = key(case.kernel);
    let mut row = Row::new(case.count, case.text);
    counted(bencher, case).bench_local(|| match case.count {
        1 => row.seal::<1>(&key),
        8 => row.seal::<8>(&key),
        _ => row.seal::<45>(&key),
    });
}

#[divan::bench(args = cases())]
fn open(bencher: Bencher<'_, '_>, case: Case) {
    let key = key(case.kernel);
    let mut sealed = Row::new(case.count, case.text);
    // Every backend gives the same bytes, and a row of ones opens as one of any batch.
    sealed.seal::<1>(&key);
    counted(bencher, case)
        .with_inputs(|| sealed.clone())
        .bench_local_refs(|row| match case.count {
            1 => row.open::<1>(&key),
            8 => row.open::<8>(&key),
            _ => row.open::<45>(&key),
        });
}

fn counted<'a, 'b>(bencher: Bencher<'a, 'b>, case: Case) -> Bencher<'a, 'b> {
    bencher
        .counter(ItemsCount::new(case.count))
        .counter(BytesCount::new(case.count * case.text))
}
