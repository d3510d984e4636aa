//! A path-compressed binary trie from prefixes to entry numbers.
//!
//! Nodes live in one vector and name each other by position. The number [`NONE`] stands for "no node" and "no entry".

/// No node, no entry.
pub(super) const NONE: u32 = u32::MAX;

/// An address as a string of bits, the most significant first.
pub(super) trait Bits: Copy + Eq + Default {
    /// Keeps the first `len` bits.
    fn masked(self, len: u8) -> Self;
    /// Returns bit `at` as 0 or 1; 0 if there is no such bit.
    fn bit(self, at: u8) -> usize;
    /// Counts the leading bits that both have in common.
    fn common(self, other: Self) -> u8;
}

macro_rules! bits {
    ($int:ty) => {
        impl Bits for $int {
            fn masked(self, len: u8) -> Self {
                self & !<$int>::MAX.checked_shr(len.into()).unwrap_or(0)
            }

            fn bit(self, at: u8) -> usize {
                (self.checked_shl(at.into()).unwrap_or(0) >> (<$int>::BITS - 1)) as usize
            }

            fn common(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
        }
    };
}

bits!(u32);
bits!(u128);

#[derive(Clone, Copy, Debug)]
struct Node<K> {
    key: K,
    len: u8,
    entry: u32,
    children: [u32; 2],
}

#[derive(Debug)]
pub(super) struct Trie<K> {
    nodes: Vec<Node<K>>,
    free: Vec<u32>,
    root: u32,
}

impl<K> Default for Trie<K> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
            root: NONE,
        }
    }
}

/// A place that names a node: the root, or a child of a node.
#[derive(Clone, Copy)]
enum Link {
    Root,
    Child(u32, usize),
}

impl<K: Bits> Trie<K> {
    /// Returns the entry of the longest prefix that contains `key`.
    pub(super) fn lookup(&self, key: K) -> Option<u32> {
        let (mut at, mut best) = (self.root, None);
        while let Some(node) = self.node(at) {
            if key.common(node.key) < node.len {
                break;
            }
            if node.entry != NONE {
                best = Some(node.entry);
            }
            at = node.child(key.bit(node.len));
        }
        best
    }

    /// Returns the entry of exactly this prefix; `key` has no host bits.
    pub(super) fn get(&self, key: K, len: u8) -> Option<u32> {
        let node = self.node(self.follow(self.find(key, len).0))?;
        (node.len == len && node.key == key && node.entry != NONE).then_some(node.entry)
    }

    /// Sets the entry of a prefix without host bits.
    pub(super) fn insert(&mut self, key: K, len: u8, entry: u32) {
        let (link, _) = self.find(key, len);
        let below = self.follow(link);
        let Some(&node) = self.node(below) else {
            let leaf = self.allocate(Node {
                key,
                len,
                entry,
                children: [NONE; 2],
            });
            return self.point(link, leaf);
        };
        if node.key == key && node.len == len {
            if let Some(node) = self.node_mut(below) {
                node.entry = entry;
            }
            return;
        }
        let common = key.common(node.key).min(len).min(node.len);
        if common == len {
            let children = if node.key.bit(len) == 0 {
                [below, NONE]
            } else {
                [NONE, below]
            };
            let above = self.allocate(Node {
                key,
                len,
                entry,
                children,
            });
            return self.point(link, above);
        }
        let leaf = self.allocate(Node {
            key,
            len,
            entry,
            children: [NONE; 2],
        });
        let children = if key.bit(common) == 0 {
            [leaf, below]
        } else {
            [below, leaf]
        };
        let fork = self.allocate(Node {
            key: key.masked(common),
            len: common,
            entry: NONE,
            children,
        });
        self.point(link, fork);
    }

    /// Forgets a prefix without host bits.
    pub(super) fn remove(&mut self, key: K, len: u8) {
        let (link, parent) = self.find(key, len);
        let at = self.follow(link);
        match self.node_mut(at) {
            Some(node) if node.key == key && node.len == len => node.entry = NONE,
            _ => return,
        }
        self.splice(link);
        if let Some(parent) = parent {
            self.splice(parent);
        }
    }

    /// Walks to the link that names, or would name, the prefix; also returns the link before it.
    fn find(&self, key: K, len: u8) -> (Link, Option<Link>) {
        let (mut link, mut before) = (Link::Root, None);
        loop {
            let at = self.follow(link);
            match self.node(at) {
                Some(node) if node.len < len && key.common(node.key) >= node.len => {
                    before = Some(link);
                    link = Link::Child(at, key.bit(node.len));
                }
                _ => return (link, before),
            }
        }
    }

    /// Takes out the node that `link` names if it has no entry and less than two children.
    fn splice(&mut self, link: Link) {
        let at = self.follow(link);
        let Some(&Node {
            entry: NONE, children, ..
        }) = self.node(at)
        else {
            return;
        };
        let only = match children {
            [NONE, only] | [only, NONE] => only,
            _ => return,
        };
        self.point(link, only);
        self.free.push(at);
        if self.free.len() == self.nodes.len() {
            *self = Self::default();
        }
    }

    fn node(&self, at: u32) -> Option<&Node<K>> {
        self.nodes.get(at as usize)
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut Node<K>> {
        self.nodes.get_mut(at as usize)
    }

    fn follow(&self, link: Link) -> u32 {
        match link {
            Link::Root => self.root,
            Link::Child(at, side) => self.node(at).map_or(NONE, |node| node.child(side)),
        }
    }

    fn point(&mut self, link: Link, target: u32) {
        match link {
            Link::Root => self.root = target,
            Link::Child(at, side) => {
                if let Some(child) = self.node_mut(at).and_then(|node| node.children.get_mut(side)) {
                    *child = target;
                }
            }
        }
    }

    fn allocate(&mut self, node: Node<K>) -> u32 {
        if let Some(free) = self.free.pop() {
            if let Some(slot) = self.node_mut(free) {
                *slot = node;
            }
            return free;
        }
        self.nodes.push(node);
        (self.nodes.len() - 1) as u32
    }

    #[cfg(test)]
    pub(super) fn live_nodes(&self) -> usize {
        self.nodes.len() - self.free.len()
    }
}

impl<K> Node<K> {
    fn child(&self, side: usize) -> u32 {
        if side == 0 { self.children[0] } else { self.children[1] }
    }
}
