//! What is wrong with configurations whose grammar is right: each file by itself, and several together.
//!
//! One rule a file in `check/`: a code that stays, how bad it is, and a function without IO. What only the system knows, the
//! mode of a file and the networks of other interfaces, comes in with the file. docs/check.md lists the rules.

mod claims;
mod duplicate_address;
mod duplicate_listen_port;
mod duplicate_peer;
mod duplicate_private_key;
mod empty_value;
mod endpoint_in_tunnel;
mod gateway_without_address;
mod lan_overlap;
mod missing_allowed_ips;
mod missing_keepalive;
mod missing_private_key;
mod mtu_below_ipv6;
mod nested_allowed_ip;
mod own_address;
mod own_public_key;
mod readable_by_others;
mod search_domain_only;
mod taken_allowed_ip;
mod unusual_mtu;
mod zero_private_key;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::prefix::Prefix;
use crate::problem::{Position, Problem, Severity};
use crate::quick::Quick;
use crate::wg::file::Config;

/// All rules, by code.
pub const RULES: [Rule; 20] = [
    duplicate_address::RULE,
    duplicate_listen_port::RULE,
    duplicate_peer::RULE,
    duplicate_private_key::RULE,
    empty_value::RULE,
    endpoint_in_tunnel::RULE,
    gateway_without_address::RULE,
    lan_overlap::RULE,
    missing_allowed_ips::RULE,
    missing_keepalive::RULE,
    missing_private_key::RULE,
    mtu_below_ipv6::RULE,
    nested_allowed_ip::RULE,
    own_address::RULE,
    own_public_key::RULE,
    readable_by_others::RULE,
    search_domain_only::RULE,
    taken_allowed_ip::RULE,
    unusual_mtu::RULE,
    zero_private_key::RULE,
];

/// Those that are broken without a failure when a tunnel comes up: it is not all that its file says.
const SILENT: [Rule; 5] = [
    duplicate_peer::RULE,
    endpoint_in_tunnel::RULE,
    gateway_without_address::RULE,
    mtu_below_ipv6::RULE,
    taken_allowed_ip::RULE,
];

/// A configuration, with what is known of it beyond its text.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// As the user named it. What stands before the last slash is its directory.
    pub path: &'a str,
    /// What it says for `wg`.
    pub config: &'a Config,
    /// What it says for `wg-quick`.
    pub quick: &'a Quick,
    /// Whether all of it was understood. What is missing in one that was not may be what is wrong in it.
    pub is_whole: bool,
    /// Its permission bits; `None` for what is no regular file.
    pub mode: Option<u32>,
    /// The networks to which this machine is attached by other interfaces; empty where nobody asked.
    pub networks: &'a [Network],
}

/// A network to which a machine is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The name of the interface.
    pub interface: String,
    /// Its addresses.
    pub prefix: Prefix,
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// A word that stays the same from one version to the next.
    pub code: &'static str,
    /// How bad it is to break the rule.
    pub severity: Severity,
    check: Check,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
enum Check {
    EachFile(fn(&File<'_>, &mut Report<'_>)),
    /// What is missing in a file.
    EachWholeFile(fn(&File<'_>, &mut Report<'_>)),
    AllFiles(fn(&[File<'_>], &mut Report<'_>)),
}

/// What a rule has found.
#[derive(Debug)]
struct Report<'a> {
    rule: Rule,
    /// The file that is looked at, by its number.
    file: usize,
    problems: &'a mut [Vec<Problem>],
}

/// Holds files to all rules. Returns the problems of each file, in the order of their places.
///
/// A rule is broken once in a place: what one line excludes may make many prefixes there.
pub fn check(files: &[File<'_>]) -> Vec<Vec<Problem>> {
    hold(&RULES, files)
}

/// Returns, as warnings, what a tunnel is not when it has come up by a file.
pub fn silently_left_out(config: &Config, quick: &Quick) -> Vec<Problem> {
    let file = File {
        path: "",
        config,
        quick,
        is_whole: true,
        mode: None,
        networks: &[],
    };
    let mut problems = hold(&SILENT, &[file]).concat();
    for problem in &mut problems {
        problem.severity = Severity::Warning;
    }
    problems
}

fn hold(rules: &[Rule], files: &[File<'_>]) -> Vec<Vec<Problem>> {
    let mut problems = vec![Vec::new(); files.len()];
    for &rule in rules {
        let mut report = Report {
            rule,
            file: 0,
            problems: &mut problems,
        };
        for (number, file) in files.iter().enumerate() {
            report.file = number;
            match rule.check {
                Check::EachFile(check) => check(file, &mut report),
                Check::EachWholeFile(check) if file.is_whole => check(file, &mut report),
                Check::EachWholeFile(_) | Check::AllFiles(_) => {}
            }
        }
        if let Check::AllFiles(check) = rule.check {
            check(files, &mut report);
        }
    }
    for problems in &mut problems {
        problems.sort_by_key(|problem| (problem.at, problem.code));
        problems.dedup_by_key(|problem| (problem.at, problem.code));
    }
    problems
}

impl Report<'_> {
    /// Adds what is wrong in a place of the file, and what to do about it.
    fn add(&mut self, at: Position, message: impl Into<String>, hint: impl Into<String>) {
        let Rule { code, severity, .. } = self.rule;
        if let Some(problems) = self.problems.get_mut(self.file) {
            problems.push(Problem::new(at, severity, code, message).with_hint(hint));
        }
    }
}

/// A place in one of several files, which are known by their numbers.
#[derive(Clone, Copy)]
struct Place {
    file: usize,
    at: Position,
}

impl Place {
    /// Names the place to a reader of the file `here`.
    fn seen_from(self, here: usize, files: &[File<'_>]) -> String {
        match files.get(self.file).filter(|_| self.file != here) {
            Some(file) => format!("{}:{}", file.path, self.at.line),
            None => format!("line {}", self.at.line),
        }
    }
}

/// Pairs each item whose key was there before with the first of that key.
fn repeated<K: Ord, T: Copy>(items: impl Iterator<Item = (K, T)>) -> Vec<(T, T)> {
    let mut firsts = BTreeMap::new();
    let mut pairs = Vec::new();
    for (key, item) in items {
        match firsts.entry(key) {
            Entry::Occupied(first) => pairs.push((*first.get(), item)),
            Entry::Vacant(first) => {
                first.insert(item);
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests;
