//! A TUN device in memory.
//!
//! What the engine writes is cut up by the naive model right away, so that tests see packets, whatever was joined.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use engine::offload::{GSO_NONE, VnetHeader};
use engine::transport::{Offloads, Tun, VNET_LEN};
use sys::errno::{EINVAL, ENODEV};
use sys::notify::{Notify, Topics};
use sys::wake::EventFd;

use crate::PATIENCE;
use crate::packet::segments;

/// Everything a device may take.
pub(crate) const ALL: Offloads = Offloads {
    checksum: true,
    tcp: true,
    udp: true,
};

/// How many packets [`MemTun::push_when_drained`] lets wait for the engine.
const FEW: usize = 32;

/// A handle of the device, for one of its queues; the engine has others.
#[derive(Clone)]
pub(crate) struct MemTun {
    device: Arc<Device>,
    queue: usize,
}

struct Device {
    /// Of each queue.
    readable: Vec<EventFd>,
    offloads: Offloads,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// What the engine has not read yet, virtio headers included, by queue.
    waiting: Vec<VecDeque<Vec<u8>>>,
    /// Errors that the next reads end in.
    read_errors: VecDeque<i32>,
    /// What the engine wrote, packet by packet.
    received: VecDeque<Vec<u8>>,
    /// The type of segmentation of each write that was taken.
    writes: Vec<u8>,
    /// The type of super-packet that is refused, and how often it was.
    refuses: Option<u8>,
    refused: usize,
    mtu: usize,
    up: bool,
    gone: bool,
    /// How often the engine asked for the MTU, which it does once for each piece of link news.
    looks: usize,
    /// Another descriptor of the socket on which the engine hears link news.
    news: Option<OwnedFd>,
}

impl MemTun {
    /// Makes a device that is up.
    pub(crate) fn new(mtu: usize, offloads: Offloads) -> Self {
        let state = State {
            waiting: vec![VecDeque::new(); crate::QUEUES],
            read_errors: VecDeque::new(),
            received: VecDeque::new(),
            writes: Vec::new(),
            refuses: None,
            refused: 0,
            mtu,
            up: true,
            gone: false,
            looks: 0,
            news: None,
        };
        let device = Device {
            readable: (0..crate::QUEUES).map(|_| EventFd::new().unwrap()).collect(),
            offloads,
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        Self {
            device: Arc::new(device),
            queue: 0,
        }
    }

    /// Returns a handle for each queue.
    pub(crate) fn queues(&self) -> Vec<Self> {
        let handle = |queue| Self {
            device: Arc::clone(&self.device),
            queue,
        };
        (0..crate::QUEUES).map(handle).collect()
    }

    /// Lets the engine read a packet or super-packet.
    pub(crate) fn push(&self, vnet: VnetHeader, packet: &[u8]) {
        // What is between two addresses stays on one queue, in its order.
        let addresses = match packet.first().map(|first| first >> 4) {
            Some(4) => packet.get(12..20),
            _ => packet.get(8..40),
        };
        let sum: usize = addresses
            .unwrap_or_default()
            .iter()
            .map(|&byte| usize::from(byte))
            .sum();
        let queue = sum % self.device.readable.len();
        self.state().waiting[queue].push_back([&vnet.to_bytes(), packet].concat());
        self.device.readable[queue].notify();
    }

    /// Lets the engine read a finished packet.
    pub(crate) fn push_packet(&self, packet: &[u8]) {
        self.push(VnetHeader::default(), packet);
    }

    /// Like [`MemTun::push_packet`], once the engine has read most of what came before.
    pub(crate) fn push_when_drained(&self, packet: &[u8]) {
        let drained = |state: &mut State| (state.waiting.iter().map(VecDeque::len).sum::<usize>() < FEW).then_some(());
        self.wait(drained).expect("the engine does not read");
        self.push_packet(packet);
    }

    /// Waits for `count` packets from the engine and takes them.
    pub(crate) fn take(&self, count: usize) -> Vec<Vec<u8>> {
        let all = |state: &mut State| (state.received.len() >= count).then(|| state.received.drain(..count).collect());
        self.wait(all).unwrap_or_else(|| {
            let came = self.state().received.len();
            panic!("{came} packets of {count} came")
        })
    }

    /// Waits for the next packet from the engine.
    pub(crate) fn next(&self) -> Vec<u8> {
        self.take(1).remove(0)
    }

    /// Takes what has come so far.
    pub(crate) fn take_all(&self) -> Vec<Vec<u8>> {
        self.state().received.drain(..).collect()
    }

    /// Takes the types of segmentation of the writes so far.
    pub(crate) fn take_writes(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().writes)
    }

    /// Refuses super-packets of one type from here on, as a kernel does that lacks it.
    pub(crate) fn refuse(&self, gso_type: u8) {
        self.state().refuses = Some(gso_type);
    }

    /// How many super-packets were refused; waits for the first.
    pub(crate) fn refused(&self) -> usize {
        self.wait(|state| (state.refused > 0).then_some(state.refused))
            .expect("none was refused")
    }

    /// Lets the next read fail.
    pub(crate) fn fail_read(&self, errno: i32) {
        self.state().read_errors.push_back(errno);
        self.device.readable[0].notify();
    }

    /// Takes the device away, as `ip link del` does.
    pub(crate) fn remove(&self) {
        self.state().gone = true;
        self.device.readable.iter().for_each(EventFd::notify);
    }

    /// Turns the device up or down, and returns when the engine has followed.
    pub(crate) fn set_up(&self, up: bool) {
        self.state().up = up;
        self.wait_until_followed();
    }

    /// Changes the MTU, and returns when the engine has followed.
    pub(crate) fn set_mtu(&self, mtu: usize) {
        self.state().mtu = mtu;
        self.wait_until_followed();
    }

    fn wait_until_followed(&self) {
        // It looks at the device before it acts. When it looks for the second time, it has acted upon the first.
        for _ in 0..2 {
            let before = self.state().looks;
            self.tell();
            self.wait(|state| (state.looks > before).then_some(()))
                .expect("the engine does not follow its device");
        }
    }

    /// How many threads, tests and engines hold the device.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.device)
    }

    /// Makes link news: the kernel's answer to a question about the first link, asked in the name of the engine.
    fn tell(&self) {
        const RTM_GETLINK: u16 = 18;
        const NLM_F_REQUEST: u16 = 1;
        let mut request = [0; 32];
        request[..4].copy_from_slice(&32u32.to_ne_bytes());
        request[4..6].copy_from_slice(&RTM_GETLINK.to_ne_bytes());
        request[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
        request[20..24].copy_from_slice(&1i32.to_ne_bytes());
        let state = self.state();
        let news = state.news.as_ref().expect("the engine listens");
        rustix::net::send(news, &request, rustix::net::SendFlags::empty()).unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.device.state.lock().unwrap()
    }

    /// Waits until `what` finds something; `None` when the time is over.
    fn wait<R>(&self, mut what: impl FnMut(&mut State) -> Option<R>) -> Option<R> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            if let Some(found) = what(&mut state) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.device.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl Tun for MemTun {
    fn fd(&self) -> BorrowedFd<'_> {
        self.device.readable[self.queue].fd()
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.gone {
            return Err(io::Error::from_raw_os_error(ENODEV));
        }
        if let Some(errno) = state.read_errors.pop_front() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let Some(bytes) = state.waiting[self.queue].pop_front() else {
            self.device.readable[self.queue].drain();
            return Err(ErrorKind::WouldBlock.into());
        };
        self.device.changed.notify_all();
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        assert_eq!(parts[0].len(), VNET_LEN, "the first part is the virtio header alone");
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let (vnet, packet) = VnetHeader::split(&bytes).unwrap();
        let mut state = self.state();
        self.device.changed.notify_all();
        if vnet.gso_type != GSO_NONE && state.refuses == Some(vnet.gso_type) {
            state.refused += 1;
            return Err(io::Error::from_raw_os_error(EINVAL));
        }
        assert!(
            self.device.offloads.checksum || vnet == VnetHeader::default(),
            "{vnet:?}"
        );
        state.received.extend(segments(&vnet, packet));
        state.writes.push(vnet.gso_type);
        Ok(())
    }

    fn mtu(&self) -> io::Result<usize> {
        let mut state = self.state();
        state.looks += 1;
        self.device.changed.notify_all();
        Ok(state.mtu)
    }

    fn is_up(&self) -> io::Result<bool> {
        let state = self.state();
        if state.gone {
            return Err(io::Error::from_raw_os_error(ENODEV));
        }
        Ok(state.up)
    }

    fn link_news(&self) -> io::Result<Notify> {
        let news = Notify::new(Topics::default())?;
        self.state().news = Some(news.as_fd().try_clone_to_owned()?);
        Ok(news)
    }

    fn offloads(&self) -> Offloads {
        self.device.offloads
    }
}
