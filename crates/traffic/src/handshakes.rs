//! How many handshakes a responder answers: initiations of many peers, made beforehand, sent as fast as they are answered.
//!
//! A busy responder wants cookies, so each peer gets one first: the measured messages carry a valid mac2. Each peer sends at most
//! five, which the limit for one address (a burst of five) lets pass.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use clap::Args;
use proto::{Endpoint, INITIATION_LEN, Now};
use serde_json::{Value, json};

use crate::client::{Client, Crowd, later, now};
use crate::wire::{Answer, Wire};
use crate::{Ends, failed};

/// Options of `traffic handshakes`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    ends: Ends,
    #[command(flatten)]
    crowd: Crowd,
    /// Its process, whose processor time is read
    #[arg(long)]
    pid: u32,
    /// Messages of each
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5))]
    each: u32,
    /// The most seconds to measure
    #[arg(long)]
    seconds: f64,
}

/// Messages under way at most: enough to keep a responder busy, too few to fill its socket.
const WINDOW: usize = 128;
/// After so much silence what is under way counts as lost.
const SILENCE: Duration = Duration::from_millis(30);
/// Copies of one message that make a responder believe it is under load.
const ALARM: usize = 1000;
/// Time, as the peers see it, between two messages of one: longer than the protocol makes them wait. All fit into the life of a cookie.
const STEP: Duration = Duration::from_secs(6);

/// A message ready to be sent.
struct Ready {
    source: Ipv4Addr,
    payload: Vec<u8>,
}

/// Counts of what came back.
#[derive(Default)]
struct Answers {
    responses: u64,
    cookies: u64,
    others: u64,
}

/// Fetches cookies, makes the messages, and measures.
pub(crate) fn run(options: &Options) -> Result<Value, String> {
    let (start, target) = (now(), options.crowd.target);
    let mut clients = options.crowd.clients(start)?;
    let mut wire = Wire::open(&options.ends, target)?;
    let cookies = fetch_cookies(&mut clients, &mut wire, start, target)?;
    let messages = prepare(&mut clients, start, options.each)?;
    let before = cpu_seconds(options.pid)?;
    let (answers, sent, seconds) = measure(&mut wire, &messages, options.seconds)?;
    Ok(json!({
        "peers_with_cookie": cookies,
        "sent": sent,
        "responses": answers.responses,
        "cookies": answers.cookies,
        "others": answers.others,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds(options.pid)? - before,
    }))
}

/// Sends a first initiation for each peer until each has a cookie; returns how many have. Some responders give none.
fn fetch_cookies(clients: &mut [Client], wire: &mut Wire, start: Now, target: SocketAddr) -> Result<usize, String> {
    let mut first = Vec::new();
    for client in clients.iter_mut() {
        first.push(client.initiate(start)?.payload);
    }
    let mut served = vec![false; clients.len()];
    for _ in 0..3 {
        for _ in 0..ALARM {
            wire.send(clients[0].outer, &first[0])?;
        }
        let open: Vec<usize> = (0..clients.len()).filter(|number| !served[*number]).collect();
        for some in open.chunks(WINDOW) {
            for number in some {
                wire.send(clients[*number].outer, &first[*number])?;
            }
            // To the last answer: one left over would be taken for an answer to what is measured.
            let mut take = |peer: u32, answer, datagram: &mut [u8]| {
                let client = clients.get_mut(peer as usize);
                if let (Answer::Cookie, Some(client)) = (answer, client) {
                    let taken = client.tunnel.handle_datagram(start, Endpoint::new(target), datagram);
                    served[peer as usize] |= taken.is_ok();
                }
            };
            while wire.receive(SILENCE, &mut take)? > 0 {}
        }
        if served.iter().all(|served| *served) {
            break;
        }
    }
    Ok(served.iter().filter(|served| **served).count())
}

/// Makes `each` messages for each peer, in the order in which they are sent: all peers in turn.
fn prepare(clients: &mut [Client], start: Now, each: u32) -> Result<Vec<Ready>, String> {
    let mut messages = Vec::new();
    for turn in 1..=each {
        let at = later(start, STEP * turn);
        for client in clients.iter_mut() {
            client.tunnel.handle_timeout(at);
            let made =
                std::iter::from_fn(|| client.tunnel.poll_transmit()).find(|made| made.payload.len() == INITIATION_LEN);
            messages.push(Ready {
                source: client.outer,
                payload: made.ok_or("a peer does not try again")?.payload,
            });
        }
    }
    Ok(messages)
}

/// Sends the messages; returns the answers, how many were sent, and the seconds from the first send to the last answer.
fn measure(wire: &mut Wire, messages: &[Ready], limit: f64) -> Result<(Answers, usize, f64), String> {
    let (mut answers, mut open, mut sent) = (Answers::default(), 0, 0);
    let start = Instant::now();
    let mut last = start;
    while sent < messages.len() || open > 0 {
        if let Some(message) = messages.get(sent).filter(|_| open < WINDOW) {
            if start.elapsed().as_secs_f64() < limit {
                wire.send(message.source, &message.payload)?;
                (sent, open) = (sent + 1, open + 1);
                continue;
            }
            if open == 0 {
                break;
            }
        }
        let received = wire.receive(SILENCE, &mut |_, answer, _| match answer {
            Answer::Response => answers.responses += 1,
            Answer::Cookie => answers.cookies += 1,
            Answer::Other => answers.others += 1,
        })?;
        if received == 0 {
            open = 0;
        } else {
            open = open.saturating_sub(received);
            last = Instant::now();
        }
    }
    Ok((answers, sent, (last - start).as_secs_f64()))
}

/// User and system time of a process, in seconds.
fn cpu_seconds(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).map_err(failed(&path))?;
    // Fields 14 and 15 of proc(5), counted after the parenthesis that ends the program name, field 2; clock ticks of 10 ms.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks / 100.0)
}
