//! Files that both tools make the same machine by, and what becomes of them.

pub(crate) const A: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
pub(crate) const B: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
pub(crate) const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

/// The lines of a file after `[Interface]` with a private key; `{A}` and `{B}` are public keys of peers.
pub(crate) const FILES: [&str; 42] = [
    "",
    "Address = 10.9.0.2/24",
    "Address = 10.9.0.2",
    "Address = 10.9.0.2/24, fd09::2/64",
    "Address = 10.9.0.2/24 10.9.1.2/32,fd09::2",
    "Address = 10.9.0.2/24\nAddress = fd09::2/64\nListenPort = 12345\nFwMark = 0x77",
    "address=10.9.0.2/24\nMTU = 1300",
    "Address = 10.9.0.2/24\nMTU = 1300\nmtu = 1380",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.9.0.1/32",
    "Address = 10.9.0.2/32\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.9.0.1/32, 10.0.0.0/8, 172.16.0.0/12",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.0/16, fd01::/16",
    "Address = fd09::2/64\n[Peer]\nPublicKey = {A}\nAllowedIPs = fd09::/16, fd09::1/128",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0\nEndpoint = 192.0.2.77:51820",
    "Address = fd09::2/64\n[Peer]\nPublicKey = {A}\nAllowedIPs = ::/0\nEndpoint = [2001:db8::77]:51820",
    "Address = 10.9.0.2/24, fd09::2/64\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = 192.0.2.77:51820",
    "Address = 10.9.0.2/24, fd09::2/64\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16\nPersistentKeepalive = 25",
    "Address = 10.9.0.2/24\nFwMark = 1234\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0",
    "Address = 10.9.0.2/24\nTable = off\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, 10.1.0.0/16",
    "Address = 10.9.0.2/24\nTable = auto\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/1, 128.0.0.0/1",
    "Address = 10.9.0.2/24\nTable = 1234\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16",
    "Address = 10.9.0.2/24\nTable = 0x4d2\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16, fd01::/16",
    "Address = 10.9.0.2/24\nTable = main\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16",
    "Address = 10.9.0.2/24\nDNS = 10.9.0.1",
    "Address = 10.9.0.2/24\nDNS = 10.9.0.1, fd09::1\nDNS = corp.example, example.com",
    "Address = 10.9.0.2/24\nPreUp = echo a %i >> /run/wireguard/log\nPostUp = echo b %i%i >> /run/wireguard/log\nPreDown = echo c >> /run/wireguard/log\nPostDown = echo d >> /run/wireguard/log",
    "Address = 10.9.0.2/24\nPostUp = echo one >> /run/wireguard/log\nPostUp = echo two >> /run/wireguard/log\nPostUp = ip -4 addr show dev %i | grep -c inet >> /run/wireguard/log",
    "Address = 10.9.0.2/24\nPostUp = [[ %i == wg* ]] && echo bash >> /run/wireguard/log",
    "Address = 10.9.0.2/24\nPostUp = iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o v0 -j MASQUERADE\nPostDown = iptables -D FORWARD -i %i -j ACCEPT; iptables -t nat -D POSTROUTING -o v0 -j MASQUERADE",
    "Address = 10.9.0.2/24\nPostUp = false",
    "Address = 10.9.0.2/24\nDNS = 10.9.0.1\nPostUp = exit 3\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0",
    "Address = 10.9.0.2/24\nPreDown = exit 5",
    "Address = nonsense",
    "Address = 10.9.0.2/33",
    "Nonsense = 1",
    "Address = 10.9.0.2/24\nSaveConfig = maybe",
    "Address = 10.9.0.2/24\n[Peer]\nAllowedIPs = 10.1.0.0/16",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 192.0.2.0/24",
    "Address = 10.9.0.2/24 # comment\n# Address = 10.9.9.9\n  DNS=10.9.0.1#x\n[peer]\npublickey={A}\nallowedips=10.1.0.0/16",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16\nEndpoint = localhost:51820",
    "Address = 10.9.0.2/24\nSaveConfig = false\nTable = off\nDNS = 10.9.0.1\nMTU = 9000",
    "Address = 10.9.0.2/24, fd09::2/64\nMTU = 1200\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.3.0.0/16\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.2.0.0/16",
];

pub(crate) fn filled(lines: &str) -> String {
    let lines = lines.replace("{A}", A).replace("{B}", B);
    format!("[Interface]\nPrivateKey = {KEY}\n{lines}\n")
}

/// What somebody writes into the file of a tunnel that is up: what the stock tool can reload.
pub(crate) const EDIT: &str = "sed -i 's/^PrivateKey.*/&\\nListenPort = 4242/' /etc/wireguard/wg0.conf
if grep -qi '^PublicKey' /etc/wireguard/wg0.conf; then echo 'PersistentKeepalive = 33' >> /etc/wireguard/wg0.conf; fi";

/// What somebody changes of the tunnel itself, to be saved.
pub(crate) const CHANGE: &str = "wg set wg0 listen-port 4343 peer {A} persistent-keepalive 44
ip addr add 10.66.0.1/24 dev wg0; ip link set mtu 1333 dev wg0";

/// Tells whether the stock tool can save a tunnel by these lines: it saves commands with a pattern in them as what that matches, of this
/// resolvconf no search domains, and no addresses of IPv6 that are not there because the MTU was too small for them.
pub(crate) fn can_be_saved(lines: &str) -> bool {
    !["[[", "corp.example", "MTU = 1200"]
        .iter()
        .any(|what| lines.contains(what))
}

/// A resolvconf that writes down what it is told.
pub(crate) const RESOLVCONF: &str = "#!/bin/sh
if [ $1 = -l ]; then exec cat /run/wireguard/servers; fi
echo \"resolvconf $*\" >> /run/wireguard/log
case $1 in
-a) tee /run/wireguard/servers >> /run/wireguard/log ;;
-d) rm -f /run/wireguard/servers ;;
esac
";
