//! Synchronous rtnetlink: one request, then its acknowledgement or its dump; the channel beneath serves other protocols too.
//!
//! Not a cache and not a listener: events are `sys::notify`. Every error names the action that failed, the errno and,
//! where the kernel sent one, its own sentence about the cause (extended acknowledgement).

mod channel;

use std::io;

use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use rustix::io::Errno;

pub(crate) use channel::Channel;

/// A refused or failed request to the kernel.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}{}", .detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
pub struct Error {
    action: String,
    detail: Option<String>,
    #[source]
    source: io::Error,
}

impl Error {
    /// Wraps an operating system error in the action that met it ("set the address …").
    pub fn new(action: impl Into<String>, source: io::Error) -> Self {
        Self {
            action: action.into(),
            detail: None,
            source,
        }
    }

    /// Adds what it comes of, unless the kernel has said so.
    pub(crate) fn because(mut self, why: &str) -> Self {
        self.detail.get_or_insert_with(|| why.to_owned());
        self
    }

    /// Returns the kind of the underlying error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Returns the errno, where there is one.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// Tells whether the errno is this one.
    pub fn is(&self, errno: Errno) -> bool {
        self.raw_os_error() == Some(errno.raw_os_error())
    }
}

/// An rtnetlink socket, bound to the network namespace it was opened in.
pub struct Netlink(Channel<RouteNetlinkMessage>);

impl Netlink {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// Any error of `socket(2)`, `connect(2)` or `setsockopt(2)`.
    pub fn open() -> Result<Self, Error> {
        Channel::open(NETLINK_ROUTE).map(Self)
    }

    /// Sends a change and waits for its acknowledgement.
    ///
    /// `flags` are added to `NLM_F_REQUEST | NLM_F_ACK`; `action` is what the error will say could not be done.
    ///
    /// # Errors
    ///
    /// The kernel's refusal, or a failure of the socket.
    pub fn change(&mut self, message: RouteNetlinkMessage, flags: u16, action: &str) -> Result<(), Error> {
        let request = (message, NLM_F_ACK | flags);
        self.0.exchange([request], action, |_| None::<()>).map(drop)
    }

    /// Sends a query for one object and returns the answers (one, as a rule).
    ///
    /// # Errors
    ///
    /// The kernel's refusal (`ENODEV`, …), or a failure of the socket.
    pub fn query(&mut self, message: RouteNetlinkMessage, action: &str) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.0.exchange([(message, NLM_F_ACK)], action, Some)
    }

    /// Sends a dump request and returns what `keep` makes of every object, as of one moment: a dump during which the
    /// objects changed is begun anew.
    ///
    /// # Errors
    ///
    /// The kernel's refusal, or a failure of the socket; `Interrupted` when they never stop changing.
    pub fn dump<T>(
        &mut self,
        message: &RouteNetlinkMessage,
        action: &str,
        keep: impl FnMut(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        self.0.dump(message, action, keep)
    }
}
