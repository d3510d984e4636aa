function __wg_interfaces
    string split -n ' ' -- (wg show interfaces 2>/dev/null)
end

# Prints what may follow the words, which follow the name of the program, each with what it means.
function __wg_after
    set -l current (commandline -ct)
    if test (count $argv) -eq 0
        printf '%s\t%s\n' show 'Shows the current configuration and device information' showconf 'Shows the current configuration of a given WireGuard interface, for use with setconf' set 'Change the current configuration, add peers, remove peers, or change peers' setconf 'Applies a configuration file to a WireGuard interface' addconf 'Appends a configuration file to a WireGuard interface' syncconf 'Synchronizes a configuration file to a WireGuard interface' genkey 'Generates a new private key and writes it to stdout' genpsk 'Generates a new preshared key and writes it to stdout' pubkey 'Reads a private key from stdin and writes a public key to stdout'
        return
    end
    set -l given $argv[2..-1]
    switch $argv[1]
        case show
            if string match -q -- '-*' $current
                printf '%s\t%s\n' --json 'Print one JSON object, described in docs/json.md' --watch 'Show again every second, or with --watch=SECONDS less often, until interrupted' --secrets 'Show private and preshared keys too'
                return
            end
            set -l plain (string match -v -- '-*' $given)
            switch (count $plain)
                case 0
                    printf '%s\t%s\n' all 'All interfaces' interfaces 'The names of the interfaces alone'
                    __wg_interfaces
                case 1
                    if test $plain[1] != interfaces
                        printf '%s\t%s\n' public-key 'Public key of the interface' private-key 'Private key of the interface' listen-port 'UDP port' fwmark 'Mark of outgoing datagrams, in hexadecimal, or off' peers 'Public keys of the peers' preshared-keys 'Preshared key of each peer' endpoints 'Address and port of each peer' allowed-ips 'Allowed IPs of each peer, parted by spaces' latest-handshakes 'Seconds since the epoch, 0 for never' transfer 'Bytes received from and sent to each peer' persistent-keepalive 'Interval of each peer in seconds, or off' dump 'All of these: a line for the interface, then one for each peer'
                    end
            end
        case showconf
            test (count $given) -eq 0; and __wg_interfaces
        case setconf addconf syncconf
            switch (count $given)
                case 0
                    __wg_interfaces
                case 1
                    __fish_complete_path $current
            end
        case set
            if test (count $given) -eq 0
                __wg_interfaces
                return
            end
            set -l want word
            set -l scope device
            for word in $given[2..-1]
                if test $want != word
                    set want word
                    continue
                end
                switch $word
                    case peer
                        set want key
                        set scope peer
                    case preshared-key private-key
                        set want file
                    case fwmark persistent-keepalive
                        set want off
                    case allowed-ips endpoint listen-port
                        set want value
                end
            end
            switch $want
                case word
                    if test $scope = device
                        printf '%s\t%s\n' listen-port 'UDP port' fwmark 'Mark of outgoing datagrams, or off' private-key 'File with the private key; an empty one removes it' peer 'The peer that the options after it are for'
                    else
                        printf '%s\t%s\n' remove 'Remove the peer' preshared-key 'File with the preshared key; an empty one removes it' endpoint 'Where the peer is, until it is heard from elsewhere' persistent-keepalive 'Interval of keepalives, or off' allowed-ips 'Addresses that the peer may use, such as 10.0.0.0/8,fd00::/8; +address adds one, -address removes one' peer 'The next peer'
                    end
                case key
                    wg show $given[1] peers 2>/dev/null
                case file
                    __fish_complete_path $current
                case off
                    echo off
            end
    end
end

complete -c wg -f -a '(__wg_after (commandline -opc)[2..-1])'
