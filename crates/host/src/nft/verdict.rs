//! What becomes of a packet in a chain of another program, by the rules there.
//!
//! Of the packet little is known. Where a rule looks at more, or is of a kind that is not known here, it may match or not: so what can pass for no
//! value of the rest is dropped for certain.

mod datagram;
mod set;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use netlink_packet_core::DefaultNla;

use super::expression::{
    NFT_GOTO, NFT_JUMP, NFT_REG_VERDICT, NFTA_BITWISE_DREG, NFTA_BITWISE_MASK, NFTA_BITWISE_SREG, NFTA_BITWISE_XOR,
    NFTA_CMP_DATA, NFTA_CMP_OP, NFTA_CMP_SREG, NFTA_DATA_VALUE, NFTA_DATA_VERDICT, NFTA_EXPR_DATA, NFTA_EXPR_NAME,
    NFTA_IMMEDIATE_DATA, NFTA_IMMEDIATE_DREG, NFTA_LOOKUP_DREG, NFTA_LOOKUP_SET, NFTA_LOOKUP_SREG, NFTA_VERDICT_CHAIN,
    NFTA_VERDICT_CODE,
};
use super::message::{
    Message, NF_ACCEPT, NF_DROP, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, read_list, read_nested, read_number,
    read_text, value,
};
use datagram::Value;
pub(super) use datagram::{Datagram, Flow};
pub(super) use set::Set;

const NFTA_RANGE_SREG: u16 = 1;
const NFTA_RANGE_OP: u16 = 2;
const NFTA_RANGE_FROM_DATA: u16 = 3;
const NFTA_RANGE_TO_DATA: u16 = 4;

const NFTA_LOOKUP_FLAGS: u16 = 5;
const NFT_LOOKUP_F_INV: u32 = 1;

const NFTA_BITWISE_OP: u16 = 6;
const NFT_BITWISE_BOOL: u32 = 0;

const NFTA_TARGET_NAME: u16 = 1;

/// Verdicts, negative numbers: -1, -2 and -5.
const NFT_CONTINUE: u32 = 0xffff_ffff;
const NFT_BREAK: u32 = 0xffff_fffe;
const NFT_RETURN: u32 = 0xffff_fffb;

/// Whether something is the case; `None` where that is not known.
type Truth = Option<bool>;

/// A step of a rule, by its name.
type Step = (String, Vec<DefaultNla>);

/// The rules of a chain, in their order.
pub(super) struct Rules(Vec<Vec<Step>>);

impl Rules {
    /// Takes those of a chain from a list, which may have others, too.
    pub(super) fn of(chain: &str, rules: &[Message]) -> Self {
        let is_of = |rule: &&Message| read_text(&rule.attributes, NFTA_RULE_CHAIN).is_some_and(|name| name == chain);
        Self(rules.iter().filter(is_of).map(steps).collect())
    }
}

/// A table, asked for its chains and sets as they are needed. `None` of what is not understood, or gone.
pub(super) trait Source {
    fn rules(&mut self, chain: &str) -> Option<Rc<Rules>>;
    fn set(&mut self, name: &str) -> Option<Rc<Set>>;
}

/// Tells whether a datagram can come to the end of a chain at a hook, or be accepted before.
pub(super) fn can_pass(source: &mut dyn Source, chain: &str, accepts_by_policy: bool, datagram: Datagram) -> bool {
    let ways = Walk::new(source, datagram).chain(chain);
    ways.accepted || ways.returned && accepts_by_policy
}

/// Returns what rules of a chain may make of a new flow.
pub(super) fn flows(source: &mut dyn Source, chain: &str, datagram: Datagram) -> HashSet<Flow> {
    let mut walk = Walk::new(source, datagram);
    walk.chain(chain);
    walk.flows
}

/// Returns the steps of a rule; one without a name, which may do anything, where they cannot be read.
fn steps(rule: &Message) -> Vec<Step> {
    let step = |step: Vec<DefaultNla>| {
        let data = read_nested(&step, NFTA_EXPR_DATA).unwrap_or_default();
        Some((read_text(&step, NFTA_EXPR_NAME)?, data))
    };
    let list = read_list(&rule.attributes, NFTA_RULE_EXPRESSIONS);
    let steps = list.and_then(|list| list.into_iter().map(step).collect());
    steps.unwrap_or_else(|| vec![Step::default()])
}

/// Where a packet may go after a rule, or a chain.
#[derive(Clone, Copy, Default)]
struct Ways {
    /// It passes the chain at the hook.
    accepted: bool,
    /// It comes to the next rule.
    next: bool,
    /// It comes back to where the chain was called from.
    returned: bool,
}

impl Ways {
    /// After a rule that does not match.
    const NEXT: Self = Self {
        accepted: false,
        next: true,
        returned: false,
    };
    /// After one that may do anything.
    const ANY: Self = Self {
        accepted: true,
        next: true,
        returned: true,
    };

    fn or(self, other: Self) -> Self {
        Self {
            accepted: self.accepted || other.accepted,
            next: self.next || other.next,
            returned: self.returned || other.returned,
        }
    }
}

/// A packet on its way through the chains of a table.
struct Walk<'a> {
    source: &'a mut dyn Source,
    datagram: Datagram,
    /// What is known of chains that were walked before.
    known: HashMap<String, Ways>,
    /// What steps that were met may make of its flow.
    flows: HashSet<Flow>,
}

impl<'a> Walk<'a> {
    fn new(source: &'a mut dyn Source, datagram: Datagram) -> Self {
        Self {
            source,
            datagram,
            known: HashMap::new(),
            flows: HashSet::new(),
        }
    }

    fn chain(&mut self, name: &str) -> Ways {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        // Of chains that call one another nothing is known; the kernel has none.
        self.known.insert(name.to_owned(), Ways::ANY);
        let Some(rules) = self.source.rules(name) else {
            self.flows.extend(Flow::CHANGED);
            return Ways::ANY;
        };
        let mut ways = Ways::NEXT;
        for rule in &rules.0 {
            ways.next = false;
            ways = ways.or(self.rule(rule));
            if !ways.next {
                break;
            }
        }
        // Who comes to the end goes back.
        ways.returned |= ways.next;
        self.known.insert(name.to_owned(), ways);
        ways
    }

    fn rule(&mut self, steps: &[Step]) -> Ways {
        let mut registers = Registers::default();
        let mut is_certain = true;
        for (name, data) in steps {
            match self.step(name, data, &mut registers) {
                Ok(Some(true)) => {}
                Ok(Some(false)) => return Ways::NEXT,
                Ok(None) => is_certain = false,
                Err(ways) if is_certain => return ways,
                Err(ways) => return ways.or(Ways::NEXT),
            }
        }
        Ways::NEXT
    }

    /// Tells whether the rule goes on after a step, or where the packet goes if the step decides that.
    fn step(&mut self, name: &str, data: &[DefaultNla], registers: &mut Registers) -> Result<Truth, Ways> {
        match name {
            "counter" | "log" | "last" => Ok(Some(true)),
            "notrack" => self.untracked(),
            "ct" if self.datagram.lacks(data) => Ok(Some(false)),
            "meta" | "ct" | "payload" => {
                let (register, loaded) = self.datagram.load(name, data).ok_or(Ways::ANY)?;
                registers.set(register, loaded);
                Ok(Some(true))
            }
            "bitwise" => {
                let register = read_number(data, NFTA_BITWISE_DREG).ok_or(Ways::ANY)?;
                let loaded = registers.masked(data).unwrap_or_default();
                registers.set(Some(register), loaded);
                Ok(Some(true))
            }
            "cmp" => Ok(registers.compare(data)),
            "range" => Ok(registers.range(data)),
            "lookup" => self.lookup(data, registers),
            "immediate" => {
                let written = read_nested(data, NFTA_IMMEDIATE_DATA).ok_or(Ways::ANY)?;
                match read_number(data, NFTA_IMMEDIATE_DREG) {
                    Some(NFT_REG_VERDICT) => Err(self.verdict(&written)),
                    register => {
                        registers.set(
                            register,
                            Value::known(&value(&written, NFTA_DATA_VALUE).unwrap_or_default()),
                        );
                        Ok(Some(true))
                    }
                }
            }
            "reject" => Err(Ways::default()),
            "match" => Ok(self.datagram.matches(data)),
            "target" => match read_text(data, NFTA_TARGET_NAME).as_deref() {
                Some("LOG" | "NFLOG" | "MARK" | "CONNMARK") => Ok(Some(true)),
                Some("CT" | "NOTRACK") => self.untracked(),
                Some("REJECT") => Err(Ways::default()),
                _ => self.anything(),
            },
            // They may end the rule, and what they load is not known.
            "byteorder" | "connlimit" | "dynset" | "exthdr" | "fib" | "hash" | "limit" | "numgen" | "objref"
            | "osf" | "quota" | "rt" | "socket" | "tunnel" | "xfrm" => {
                registers.0.clear();
                Ok(None)
            }
            _ => self.anything(),
        }
    }

    /// A step that is not known may do anything.
    fn anything(&mut self) -> Result<Truth, Ways> {
        self.flows.extend(Flow::CHANGED);
        Err(Ways::ANY)
    }

    fn untracked(&mut self) -> Result<Truth, Ways> {
        self.flows.insert(Flow::Untracked);
        Ok(Some(true))
    }

    fn lookup(&mut self, data: &[DefaultNla], registers: &mut Registers) -> Result<Truth, Ways> {
        let register = read_number(data, NFTA_LOOKUP_DREG);
        let decides = register == Some(NFT_REG_VERDICT);
        let key = registers.get(data, NFTA_LOOKUP_SREG).filter(|key| !key.is_unknown());
        let name = read_text(data, NFTA_LOOKUP_SET);
        let (Some(key), Some(name)) = (key, name) else {
            return if decides { Err(Ways::ANY) } else { Ok(None) };
        };
        let key = key.clone();
        registers.set(register, Value::default());
        let Some(set) = self.source.set(&name) else {
            return if decides { Err(Ways::ANY) } else { Ok(None) };
        };
        let hits = set.hits(&key);
        let is_certain = hits.iter().any(|(_, is_certain)| *is_certain);
        if decides {
            let unless_hit = if is_certain { Ways::default() } else { Ways::NEXT };
            let verdicts = hits.iter().map(|(element, _)| self.verdict(&element.data));
            return Err(verdicts.fold(unless_hit, Ways::or));
        }
        let is_in = match hits.is_empty() {
            true => Some(false),
            false => is_certain.then_some(true),
        };
        let is_inverse = read_number(data, NFTA_LOOKUP_FLAGS).is_some_and(|flags| flags & NFT_LOOKUP_F_INV != 0);
        Ok(is_in.map(|is_in| is_in != is_inverse))
    }

    fn verdict(&mut self, data: &[DefaultNla]) -> Ways {
        let verdict = read_nested(data, NFTA_DATA_VERDICT).unwrap_or_default();
        let chain = read_text(&verdict, NFTA_VERDICT_CHAIN).unwrap_or_default();
        let none = Ways::default();
        match read_number(&verdict, NFTA_VERDICT_CODE) {
            Some(NF_DROP) => none,
            Some(NF_ACCEPT) => Ways { accepted: true, ..none },
            Some(NFT_RETURN) => Ways { returned: true, ..none },
            Some(NFT_CONTINUE | NFT_BREAK) => Ways::NEXT,
            Some(code @ (NFT_JUMP | NFT_GOTO)) => {
                let there = self.chain(&chain);
                Ways {
                    accepted: there.accepted,
                    next: there.returned && code == NFT_JUMP,
                    returned: there.returned && code == NFT_GOTO,
                }
            }
            _ => Ways::ANY,
        }
    }
}

/// What a rule has loaded, by the numbers of the registers.
#[derive(Default)]
struct Registers(HashMap<u32, Value>);

impl Registers {
    fn get(&self, data: &[DefaultNla], kind: u16) -> Option<&Value> {
        self.0.get(&read_number(data, kind)?)
    }

    fn set(&mut self, register: Option<u32>, value: Value) {
        self.0.extend(register.map(|register| (register, value)));
    }

    fn masked(&self, data: &[DefaultNla]) -> Option<Value> {
        let is_mask = read_number(data, NFTA_BITWISE_OP).is_none_or(|operation| operation == NFT_BITWISE_BOOL);
        let bytes = |kind| value(&read_nested(data, kind)?, NFTA_DATA_VALUE);
        let (mask, flip) = (bytes(NFTA_BITWISE_MASK)?, bytes(NFTA_BITWISE_XOR)?);
        let loaded = self.get(data, NFTA_BITWISE_SREG)?;
        is_mask.then(|| loaded.masked(&mask, &flip))
    }

    fn compare(&self, data: &[DefaultNla]) -> Truth {
        let loaded = self.get(data, NFTA_CMP_SREG)?;
        let other = value(&read_nested(data, NFTA_CMP_DATA)?, NFTA_DATA_VALUE)?;
        // Equal, not equal, less, less or equal, greater, greater or equal.
        match read_number(data, NFTA_CMP_OP)? {
            0 => loaded.equals(&other),
            1 => loaded.equals(&other).map(|is_equal| !is_equal),
            2 => Some(loaded.order(&other)?.is_lt()),
            3 => Some(loaded.order(&other)?.is_le()),
            4 => Some(loaded.order(&other)?.is_gt()),
            5 => Some(loaded.order(&other)?.is_ge()),
            _ => None,
        }
    }

    fn range(&self, data: &[DefaultNla]) -> Truth {
        let loaded = self.get(data, NFTA_RANGE_SREG)?;
        let order = |kind| loaded.order(&value(&read_nested(data, kind)?, NFTA_DATA_VALUE)?);
        let is_in = order(NFTA_RANGE_FROM_DATA)?.is_ge() && order(NFTA_RANGE_TO_DATA)?.is_le();
        // Inside, or outside.
        match read_number(data, NFTA_RANGE_OP)? {
            0 => Some(is_in),
            1 => Some(!is_in),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Family;
    use crate::nft::message::{nested, number, string};

    const STEPS: [&str; 12] = [
        "meta",
        "ct",
        "payload",
        "bitwise",
        "cmp",
        "range",
        "lookup",
        "immediate",
        "match",
        "target",
        "counter",
        "other",
    ];

    /// Attributes with numbers, texts, anything, and attributes of such in them.
    fn attributes() -> impl Strategy<Value = Vec<DefaultNla>> {
        let kind = 1..12_u16;
        let code = prop_oneof![0..20_u32, NFT_RETURN - 1..=NFT_CONTINUE];
        let leaf = prop_oneof![
            (kind.clone(), code).prop_map(|(kind, value)| number(kind, value)),
            (
                kind.clone(),
                prop::sample::select(vec!["in", "udp", "multiport", "conntrack"])
            )
                .prop_map(|(kind, text)| string(kind, text)),
            (kind.clone(), prop::collection::vec(any::<u8>(), 0..160))
                .prop_map(|(kind, bytes)| DefaultNla::new(kind, bytes)),
        ];
        let tree = leaf.prop_recursive(3, 12, 4, move |inner| {
            (kind.clone(), prop::collection::vec(inner, 0..4)).prop_map(|(kind, list)| nested(kind, &list))
        });
        prop::collection::vec(tree, 0..6)
    }

    fn rules() -> impl Strategy<Value = Vec<Message>> {
        let step = (prop::sample::select(&STEPS[..]), attributes()).prop_map(|(name, data)| {
            let step = [string(NFTA_EXPR_NAME, name), nested(NFTA_EXPR_DATA, &data)];
            nested(1, &step)
        });
        let rule = prop::collection::vec(step, 0..5).prop_map(|steps| {
            let mut rule = Message::get_chains();
            rule.attributes = vec![string(NFTA_RULE_CHAIN, "in"), nested(NFTA_RULE_EXPRESSIONS, &steps)];
            rule
        });
        prop::collection::vec(rule, 0..5)
    }

    /// A table with one chain, and one set under all names.
    struct Anything {
        rules: Vec<Message>,
        flags: Message,
        elements: Message,
    }

    impl Source for Anything {
        fn rules(&mut self, chain: &str) -> Option<Rc<Rules>> {
            Some(Rc::new(Rules::of(chain, &self.rules)))
        }

        fn set(&mut self, _: &str) -> Option<Rc<Set>> {
            Set::read(&self.flags, || Some(vec![self.elements.clone()])).map(Rc::new)
        }
    }

    proptest! {
        #[test]
        fn no_rules_make_a_panic_or_go_on_for_ever(rules in rules(), elements in attributes(), flags in attributes(), port: Option<u16>) {
            let message = |attributes| {
                let mut message = Message::get_chains();
                message.attributes = attributes;
                message
            };
            let mut source = Anything { rules, flags: message(flags), elements: message(elements) };
            for family in Family::BOTH {
                for flow in [Flow::New, Flow::Translated, Flow::Untracked] {
                    let datagram = Datagram { family, port, flow };
                    can_pass(&mut source, "in", false, datagram);
                    flows(&mut source, "in", datagram);
                }
            }
        }
    }
}
