//! Every order in which two threads may use one key.

use loom::thread;

use super::tests::pair;
use super::*;

fn reserve(key: &SendKey, n: u32) -> Vec<u64> {
    key.reserve(n).into_iter().flatten().collect()
}

#[test]
fn loom_a_counter_is_handed_out_once() {
    loom::model(|| {
        let (send, _) = pair();
        let other = thread::spawn({
            let send = Arc::clone(&send);
            move || [reserve(&send, 2), reserve(&send, 1)].concat()
        });
        let mut all = reserve(&send, 3);
        all.extend(other.join().unwrap());
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn loom_one_of_two_batches_passes_where_only_one_fits() {
    loom::model(|| {
        let (send, _) = pair();
        send.set_next_counter(REJECT_AFTER_MESSAGES - 3);
        let other = thread::spawn({
            let send = Arc::clone(&send);
            move || reserve(&send, 2)
        });
        let all = [reserve(&send, 2), other.join().unwrap()].concat();
        assert_eq!(all, [REJECT_AFTER_MESSAGES - 3, REJECT_AFTER_MESSAGES - 2]);
        assert_eq!(send.reserve(1), None, "the key is of no further use");
    });
}

#[test]
fn loom_a_revoked_key_gives_no_counter() {
    loom::model(|| {
        let (send, _) = pair();
        let other = thread::spawn({
            let send = Arc::clone(&send);
            move || reserve(&send, 2)
        });
        send.revoke();
        assert_eq!(send.reserve(1), None);
        let counters = other.join().unwrap();
        assert!(counters.is_empty() || counters == [0, 1], "{counters:?}");
    });
}

#[test]
fn loom_a_counter_is_fresh_once() {
    loom::model(|| {
        let (_, receive) = pair();
        let commit = |receive: &RecvKey, counters: [u64; 2]| {
            let proofs = counters.map(|counter| Authenticated {
                peer: receive.peer(),
                counter,
                index: receive.local_index(),
            });
            let mut fresh = Vec::new();
            receive.commit(&mut proofs.iter(), &mut |position, verdict| {
                fresh.extend(verdict.then(|| counters[position]));
            });
            fresh
        };
        let other = thread::spawn({
            let receive = Arc::clone(&receive);
            move || commit(&receive, [6, 7])
        });
        let mut all = commit(&receive, [7, 5]);
        all.extend(other.join().unwrap());
        all.sort_unstable();
        assert_eq!(all, [5, 6, 7]);
    });
}
