//! `adit check` and `adit allowed-ips`: what scripts read of them, output and exit status.

use std::path::PathBuf;
use std::process::{Command, Output};

use e2e::{Side, needs};

#[path = "wg/fake.rs"]
mod fake;

use fake::Fake;

const A: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
const B: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

fn available() -> bool {
    needs::available(&[&needs::adit().to_string_lossy()])
}

/// A folder with the file `office.conf`, which nobody else may read.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("adit-{test}-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let file = format!(
            "[Interface]\nPostUp = true\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.0/16\n"
        );
        std::fs::write(folder.join("office.conf"), file).unwrap();
        Self(folder)
    }

    fn add(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    /// Runs `adit` with these words here: standard output and exit status.
    fn adit(&self, line: &str) -> (String, Option<i32>) {
        let mut command = Command::new(needs::adit());
        command.args(line.split(' ')).current_dir(&self.0);
        told(&command.output().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn told(output: &Output) -> (String, Option<i32>) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        output.status.code(),
    )
}

#[test]
fn a_list_is_printed_unless_it_is_empty_or_wrong() {
    if !available() {
        return;
    }
    let folder = Folder::new("list");
    let list = |line: &str| folder.adit(&format!("allowed-ips {line}"));
    assert_eq!(
        list("::/0 -x ::/1 --conf"),
        ("AllowedIPs = 8000::/1\n".to_owned(), Some(0))
    );
    assert_eq!(list("::1 !::/0"), (String::new(), Some(1)));
    assert_eq!(list("::1/200"), (String::new(), Some(2)));
    assert_eq!(list("--nonsense"), (String::new(), Some(2)));
}

#[test]
fn peers_of_a_file_answer_as_the_page_shows() {
    if !available() {
        return;
    }
    let folder = Folder::new("peers");
    let page = std::fs::read_to_string(needs::workspace().join("docs/allowed-ips.md")).unwrap();
    for line in [
        "allowed-ips overlaps office.conf",
        "allowed-ips owner 10.1.2.3 office.conf",
    ] {
        let (output, status) = folder.adit(line);
        assert!(
            !output.is_empty() && page.contains(&format!("$ adit {line}\n{output}")),
            "{output}"
        );
        assert_eq!(status, Some(i32::from(line.contains("overlaps"))));
    }
    assert_eq!(
        folder.adit("allowed-ips owner 11.0.0.1 ./office.conf"),
        (String::new(), Some(1))
    );
    assert_eq!(
        folder.adit("allowed-ips owner 11.0.0.1 other.conf"),
        (String::new(), Some(2))
    );
    folder.add("broken.conf", "[Peer]\nAllowedIPs = ::/0\n");
    assert_eq!(
        folder.adit("allowed-ips overlaps broken.conf"),
        (String::new(), Some(2))
    );
}

#[test]
fn peers_of_an_interface_answer() {
    if !available() || !needs::available(&["ip"]) {
        return;
    }
    let side = Side::new().unwrap();
    let answer = format!(
        "public_key={}\nallowed_ip=10.0.0.0/8\npublic_key={}\nallowed_ip=10.1.0.0/16\nerrno=0\n\n",
        "4e".repeat(32),
        "c5".repeat(32)
    );
    let fake = Fake::start(&side, "f0", &answer);
    let adit = |line: &str| {
        let mut command = side.command(needs::adit());
        told(&command.args(line.split(' ')).output().unwrap())
    };
    let (output, status) = adit("allowed-ips owner 10.1.2.3 f0");
    assert_eq!((output.split_once('\t').unwrap().1, status), ("10.1.0.0/16\n", Some(0)));
    assert_eq!(adit("allowed-ips overlaps f0").1, Some(1));
    assert_eq!(adit("allowed-ips overlaps f1").1, Some(2));
    assert_eq!(fake.next(), None, "a question is no change");
}

#[test]
fn a_check_fails_for_errors_and_for_warnings_on_request() {
    if !available() {
        return;
    }
    let folder = Folder::new("check");
    let (output, status) = folder.adit("check --strict office.conf");
    assert!(
        output.starts_with("office.conf:8:14: hint: 10.1.0.0/16 is a part of"),
        "{output}"
    );
    assert_eq!(status, Some(0));
    folder.add("warning.conf", "[Interface]\nMTU = 9001\n");
    assert_eq!(folder.adit("check warning.conf").1, Some(0));
    assert_eq!(folder.adit("check warning.conf --strict").1, Some(1));
    let (output, status) = folder.adit("check office.conf missing.conf --json");
    assert!(
        output.starts_with("{\"version\":1,\"problems\":[{\"file\":\"office.conf\",\"line\":8,"),
        "{output}"
    );
    assert!(
        output.contains("\"code\":\"unreadable\"") && status == Some(1),
        "{output}"
    );
    assert_eq!(folder.adit("check"), (String::new(), Some(2)));
}

#[test]
fn a_check_of_the_host_knows_its_other_networks() {
    if !available() || !needs::available(&["ip"]) {
        return;
    }
    let side = Side::new().unwrap();
    side.sh("ip link add lan type veth peer name lan2 && ip address add 10.1.2.3/24 dev lan")
        .unwrap();
    let folder = Folder::new("host");
    let adit = |options: &str| {
        let mut command = side.command(needs::adit());
        let file = folder.0.join("office.conf");
        told(&command.args(["check", options]).arg(file).output().unwrap()).0
    };
    assert!(adit("--host").contains("8:14: warning: 10.1.0.0/16 holds 10.1.2.0/24, the network of lan"));
    assert!(!adit("--strict").contains("lan"));
}
