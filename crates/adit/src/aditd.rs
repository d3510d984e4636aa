//! `aditd`: makes an interface and its control socket, and runs the engine behind them, in front or in the background.
//!
//! Into the background: this process makes both, starts the program again with them as descriptors 3 and 4, and a pipe
//! as 5 on which the child says that it runs or why not. Only then it exits, with 0 if interface and socket are there:
//! scripts configure the interface right after. Another pipe, 6, is there if somebody wants to know how the engine ends.
//!
//! The end comes by a signal, by removal of the interface, or by removal of the socket; it leaves neither behind.

mod confine;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use clap::builder::TypedValueParser as _;
use engine::uapi::Socket;
use engine::{Engine, Options};
use host::{Netlink, link};
use signal_hook::iterator::Signals;
use sys::daemon;
use sys::tun::Tun;

use crate::{logging, super_packets};

/// The MTU of a new interface: 1500 bytes less 80 for IPv6, UDP and WireGuard.
const MTU: u32 = 1420;

/// Variables with the number of an inherited descriptor.
const TUN_FD: &str = "WG_TUN_FD";
const UAPI_FD: &str = "WG_UAPI_FD";
const READY_FD: &str = "ADIT_READY_FD";
const END_FD: &str = "ADIT_END_FD";
/// `1` keeps the program in front.
const FOREGROUND: &str = "WG_PROCESS_FOREGROUND";

/// What the child writes once it runs; anything else is the reason why it does not.
const READY: &str = "ready";
/// What an engine writes that ends by itself; one that is killed writes nothing.
const END: &str = "e";

/// Has the engine that a command starts tell of its end: what is returned can be read from when the engine has ended, and is empty if it
/// was killed.
pub(crate) fn tell_of_end(command: &mut Command) -> io::Result<PipeReader> {
    let (read, write) = io::pipe()?;
    daemon::pass_fds(command, &[write.into()])?;
    command.env(END_FD, daemon::FIRST_FD.to_string());
    Ok(read)
}

/// Makes a WireGuard interface and runs it.
#[derive(Debug, PartialEq, Eq, Parser)]
#[command(name = "aditd", version)]
struct Arguments {
    /// Stay in the foreground
    #[arg(short, long)]
    foreground: bool,
    /// How many queues carry packets, each on a processor of its own: 1, 2, 4 or 8; by default one for every two processors
    #[arg(long, value_name = "N", value_parser = clap::builder::PossibleValuesParser::new(["1", "2", "4", "8"]).map(|n| n.parse::<u8>().unwrap_or(1)))]
    queues: Option<u8>,
    /// Name of the interface; `%d` stands for the first free number
    // The kernel would make up a name of its own for an empty one.
    #[arg(value_name = "IFNAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    interface: String,
}

/// Runs the program under this name.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let arguments: Arguments = match usual(arguments).map_or_else(|| crate::parse(arguments, 1), Ok) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    logging::start();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aditd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command line, for documents about it.
#[cfg(feature = "docs")]
pub(crate) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Reads the usual command lines, `NAME` and `-f NAME`, and leaves the others to the full parser: what that one touches, a daemon
/// would keep resident all its life (measured: 0.1 MB).
fn usual(arguments: &[OsString]) -> Option<Arguments> {
    let (foreground, interface) = match arguments {
        [_, interface] => (false, interface),
        [_, flag, interface] if flag == "-f" || flag == "--foreground" => (true, interface),
        _ => return None,
    };
    let interface = interface
        .to_str()
        .filter(|name| !name.is_empty() && !name.starts_with('-'))?;
    Some(Arguments {
        foreground,
        queues: None,
        interface: interface.to_owned(),
    })
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let mut ready = inherited(READY_FD)?.map(File::from);
    let mut end = inherited(END_FD)?.map(File::from);
    let queues = arguments.queues.map_or_else(engine::queues, usize::from);
    let outcome = make(&arguments.interface, queues).and_then(|(tun, socket)| {
        if !arguments.foreground && std::env::var_os(FOREGROUND).is_none_or(|value| value != "1") {
            return into_background(arguments, tun, socket, end.take()).map(|()| None);
        }
        start(tun, queues, socket).map(Some)
    });
    if let Some(ready) = &mut ready {
        // The parent may be gone; there is no one to tell then.
        let _ = match &outcome {
            Ok(_) => ready.write_all(READY.as_bytes()),
            Err(error) => write!(ready, "{error}"),
        };
    }
    drop(ready);
    if let Some(engine) = outcome? {
        // For who runs it as a unit of its own, with Type=notify.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        // An idle tunnel is small: most code that has run by now served the start.
        sys::program::forget_code();
        engine.wait();
        if let Some(end) = &mut end {
            // Perhaps nobody wants to know.
            let _ = end.write_all(END.as_bytes());
        }
    }
    Ok(())
}

/// Makes the interface and its socket, or takes those that were inherited.
fn make(interface: &str, queues: usize) -> io::Result<(Tun, Socket)> {
    let tun = match inherited(TUN_FD)? {
        Some(fd) => Tun::from_fd(fd).map_err(because(format!("cannot use {TUN_FD}")))?,
        None => create(interface, queues)?,
    };
    let name = tun.name();
    let socket = match inherited(UAPI_FD)? {
        Some(fd) => Socket::from_fd(fd).map_err(because(format!("cannot use {UAPI_FD}")))?,
        None => Socket::create(&name).map_err(because(format!("cannot make the control socket of {name}")))?,
    };
    Ok((tun, socket))
}

fn create(interface: &str, queues: usize) -> io::Result<Tun> {
    let tun = Tun::create(interface, queues > 1).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "; it takes root, or CAP_NET_ADMIN",
            io::ErrorKind::NotFound => "; is the kernel module tun loaded?",
            io::ErrorKind::ResourceBusy => "; the name is taken",
            _ => "",
        };
        io::Error::new(
            error.kind(),
            format!("cannot make the interface {interface}: {error}{hint}"),
        )
    })?;
    let mut netlink = Netlink::open().map_err(io::Error::other)?;
    link::set_mtu(&mut netlink, tun.index()?, MTU).map_err(io::Error::other)?;
    Ok(tun)
}

fn start(tun: Tun, queues: usize, socket: Socket) -> io::Result<Engine<Tun>> {
    // Before there is something to leave behind.
    let mut signals = Signals::new(sys::signals::to_end()).map_err(because("cannot handle signals"))?;
    let on_mtu = super_packets::fit_segments(tun.name())?;
    let queues = attach(tun, queues);
    let files = confine::confine(socket.path()).map_err(because("cannot give up rights"))?;
    tracing::info!(?files, "confined");
    let options = Options {
        queues,
        helpers: None,
        always_help: false,
        uapi: Some(socket),
        on_mtu: Some(on_mtu),
    };
    let engine = Engine::on_devices(options).map_err(because("cannot start the engine"))?;
    let stopper = engine.stopper();
    std::thread::Builder::new()
        .name("aditd-signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                tracing::info!(signal, "ending");
                stopper.stop();
            }
        })?;
    Ok(engine)
}

/// Opens as many queues of the interface as are wanted; one for all, if it was made elsewhere for one.
fn attach(tun: Tun, wanted: usize) -> Vec<Tun> {
    let mut queues = vec![tun];
    while let Some(first) = queues.first().filter(|_| queues.len() < wanted) {
        match first.attach() {
            Ok(queue) => queues.push(queue),
            Err(error) => {
                tracing::info!(%error, wanted, "one queue");
                queues.truncate(1);
                break;
            }
        }
    }
    queues
}

/// Starts this program again with the interface and its socket, and returns once it runs.
fn into_background(arguments: &Arguments, tun: Tun, mut socket: Socket, end: Option<File>) -> io::Result<()> {
    let (mut news, ready) = io::pipe()?;
    let mut fds: Vec<OwnedFd> = vec![tun.into_fd(), socket.as_fd().try_clone_to_owned()?, ready.into()];
    let variables = [TUN_FD, UAPI_FD, READY_FD]
        .into_iter()
        .chain(end.as_ref().map(|_| END_FD));
    fds.extend(end.map(OwnedFd::from));
    let mut command = Command::new(own_program()?);
    command.arg0("aditd").current_dir("/");
    if let Some(queues) = arguments.queues {
        command.arg("--queues").arg(queues.to_string());
    }
    command.arg(&arguments.interface);
    for (variable, number) in variables.zip(daemon::FIRST_FD..) {
        command.env(variable, number.to_string());
    }
    command.env(FOREGROUND, "1").stdin(Stdio::null()).stdout(Stdio::null());
    // Whoever reads our standard error to its end would wait for the daemon's end; so only on request.
    command.stderr(if logging::is_wanted() {
        Stdio::inherit()
    } else {
        Stdio::null()
    });
    daemon::pass_fds(&mut command, &fds)?;
    daemon::close_from(
        &mut command,
        daemon::FIRST_FD.saturating_add(RawFd::try_from(fds.len()).unwrap_or(RawFd::MAX)),
    );
    daemon::detach(&mut command);
    command.spawn().map_err(because("cannot start in the background"))?;
    // The copies of the pipe go, so that it ends with the child.
    drop((command, fds));
    let mut said = String::new();
    news.read_to_string(&mut said)?;
    match said.as_str() {
        READY => {
            socket.keep_file();
            Ok(())
        }
        "" => Err(io::Error::other("the background process ended early")),
        reason => Err(io::Error::other(reason.to_owned())),
    }
}

/// Returns a path of this program, where there is one that leads to its name in lists of processes.
fn own_program() -> io::Result<PathBuf> {
    let named = std::env::current_exe()?;
    // An upgrade may have replaced the file since, which runs on.
    let is_there = named.exists();
    Ok(if is_there { named } else { "/proc/self/exe".into() })
}

/// Takes the descriptor whose number a variable holds.
fn inherited(variable: &str) -> io::Result<Option<OwnedFd>> {
    let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let number: Option<RawFd> = value.to_str().and_then(|text| text.parse().ok());
    let invalid = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{variable} is not a descriptor's number"),
        )
    };
    daemon::inherited_fd(number.ok_or_else(invalid)?)
        .map(Some)
        .map_err(because(format!("cannot use {variable}")))
}

/// Puts what was tried in front of why it failed.
fn because(what: impl Into<String>) -> impl FnOnce(io::Error) -> io::Error {
    let what = what.into();
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_that_of_other_engines() {
        Arguments::command().debug_assert();
        let parse = |words: &[&str]| Arguments::try_parse_from([&["aditd"], words].concat());
        assert!(parse(&["-f", "wg0"]).unwrap().foreground);
        assert!(parse(&["--foreground", "wg0"]).unwrap().foreground);
        assert_eq!(parse(&["wg%d"]).unwrap().interface, "wg%d");
        assert_eq!(parse(&["--queues", "4", "wg0"]).unwrap().queues, Some(4));
        assert!(parse(&["--queues", "3", "wg0"]).unwrap_err().use_stderr());
        assert!(parse(&[]).unwrap_err().use_stderr());
        assert!(parse(&[""]).is_err());
        assert!(!parse(&["--version"]).unwrap_err().use_stderr());
    }

    #[test]
    fn usual_command_lines_mean_what_the_full_parser_says() {
        let lines: [&[&str]; 3] = [&["wg0"], &["-f", "wg%d"], &["--foreground", "wg0"]];
        for words in lines {
            let words = [&["aditd"], words].concat();
            let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(usual(&arguments), Some(Arguments::try_parse_from(&words).unwrap()));
        }
        let lines: [&[&str]; 8] = [
            &[],
            &[""],
            &["-f"],
            &["--help"],
            &["-f", ""],
            &["-f", "-V"],
            &["wg0", "-f"],
            &["-f", "wg0", "wg1"],
        ];
        for words in lines {
            let arguments: Vec<OsString> = [&["aditd"], words].concat().iter().map(OsString::from).collect();
            assert_eq!(usual(&arguments), None, "{words:?}");
        }
    }
}
