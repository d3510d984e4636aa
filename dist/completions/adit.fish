# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_adit_global_optspecs
    string join \n h/help V/version
end

function __fish_adit_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_adit_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_adit_using_subcommand
    set -l cmd (__fish_adit_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c adit -n "__fish_adit_needs_command" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_needs_command" -s V -l version -d 'Print version'
complete -c adit -n "__fish_adit_needs_command" -f -a "allowed-ips" -d 'Work out lists of allowed IPs, and which peer gets what'
complete -c adit -n "__fish_adit_needs_command" -f -a "check" -d 'Tell what is wrong with configuration files, and what to do about it, before they are used'
complete -c adit -n "__fish_adit_needs_command" -f -a "try" -d 'Try the engine on this machine: two ends in private network namespaces, real packets between them'
complete -c adit -n "__fish_adit_needs_command" -f -a "up" -d 'Bring a tunnel up from its file'
complete -c adit -n "__fish_adit_needs_command" -f -a "plan" -d 'Print what `reload` would change, or `up` would make, and change nothing'
complete -c adit -n "__fish_adit_needs_command" -f -a "reload" -d 'Make a running tunnel what its file says, without touching what did not change'
complete -c adit -n "__fish_adit_needs_command" -f -a "apply" -d 'Like `reload`; with --confirm everything goes back unless `adit confirm` follows'
complete -c adit -n "__fish_adit_needs_command" -f -a "confirm" -d 'Keep what `apply --confirm` changed'
complete -c adit -n "__fish_adit_needs_command" -f -a "save" -d 'Write what a running tunnel is to its file, of which all else stays as it is'
complete -c adit -n "__fish_adit_needs_command" -f -a "strip" -d 'Print what of a file is for `wg setconf`'
complete -c adit -n "__fish_adit_needs_command" -f -a "down" -d 'Take down a tunnel that `up` or the stock wg-quick brought up'
complete -c adit -n "__fish_adit_needs_command" -f -a "adopt" -d 'Take over a tunnel that the stock wg-quick brought up, without touching it'
complete -c adit -n "__fish_adit_needs_command" -f -a "release" -d 'Hand a tunnel back to the stock wg-quick, without touching it'
complete -c adit -n "__fish_adit_needs_command" -f -a "wg-quick" -d 'Bring tunnels up and down with the words of the stock `wg-quick`'
complete -c adit -n "__fish_adit_needs_command" -f -a "show" -d 'Show interfaces and their peers, by the names that /etc/wireguard gives them'
complete -c adit -n "__fish_adit_needs_command" -f -a "wg" -d 'Show and change WireGuard interfaces, as the stock `wg` does'
complete -c adit -n "__fish_adit_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and not __fish_seen_subcommand_from overlaps owner help" -s x -l except -d 'Leave out these, whatever their place on the line (`!` must be quoted in most shells)' -r
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and not __fish_seen_subcommand_from overlaps owner help" -l lines -d 'Print each prefix on a line of its own'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and not __fish_seen_subcommand_from overlaps owner help" -l conf -d 'Print a line for a configuration file: AllowedIPs = …'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and not __fish_seen_subcommand_from overlaps owner help" -l json -d 'Print a JSON object'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and not __fish_seen_subcommand_from overlaps owner help" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and not __fish_seen_subcommand_from overlaps owner help" -a "overlaps" -d 'Tell whose allowed IPs overlap, and who gets the addresses; exit status 1 if any do'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and not __fish_seen_subcommand_from overlaps owner help" -a "owner" -d 'Tell which peer gets an address, and by which prefix; exit status 1 if none does'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and not __fish_seen_subcommand_from overlaps owner help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and __fish_seen_subcommand_from overlaps" -l json -d 'Print a JSON object'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and __fish_seen_subcommand_from overlaps" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and __fish_seen_subcommand_from owner" -l json -d 'Print a JSON object'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and __fish_seen_subcommand_from owner" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and __fish_seen_subcommand_from help" -f -a "overlaps" -d 'Tell whose allowed IPs overlap, and who gets the addresses; exit status 1 if any do'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and __fish_seen_subcommand_from help" -f -a "owner" -d 'Tell which peer gets an address, and by which prefix; exit status 1 if none does'
complete -c adit -n "__fish_adit_using_subcommand allowed-ips; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c adit -n "__fish_adit_using_subcommand check" -l host -d 'Also compare with the networks that this machine is attached to, and its routes and policy rules'
complete -c adit -n "__fish_adit_using_subcommand check" -l strict -d 'Let warnings fail, too'
complete -c adit -n "__fish_adit_using_subcommand check" -l json -d 'Print a JSON object'
complete -c adit -n "__fish_adit_using_subcommand check" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand try" -l size -d 'Data to move over each path, such as 64M or 2G (default: 256M)' -r
complete -c adit -n "__fish_adit_using_subcommand try" -l seconds -d 'Move data over each path for so long instead' -r
complete -c adit -n "__fish_adit_using_subcommand try" -l json -d 'Print one JSON object instead of text'
complete -c adit -n "__fish_adit_using_subcommand try" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand up" -l backend -d 'Who runs the interface, whatever the file says: kernel, adit, or auto for the kernel if it can' -r
complete -c adit -n "__fish_adit_using_subcommand up" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand plan" -l json -d 'Print an object for programs'
complete -c adit -n "__fish_adit_using_subcommand plan" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand reload" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand apply" -l confirm -d 'How long to wait for `adit confirm`: 60s, 5m' -r
complete -c adit -n "__fish_adit_using_subcommand apply" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand confirm" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand save" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand strip" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand down" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand adopt" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand release" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand show" -l watch -d 'Show again every so many seconds, 1 by default, until interrupted' -r
complete -c adit -n "__fish_adit_using_subcommand show" -l json -d 'Print JSON (docs/json.md) instead of text'
complete -c adit -n "__fish_adit_using_subcommand show" -l secrets -d 'Show private and preshared keys too'
complete -c adit -n "__fish_adit_using_subcommand show" -s h -l help -d 'Print help'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "allowed-ips" -d 'Work out lists of allowed IPs, and which peer gets what'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "check" -d 'Tell what is wrong with configuration files, and what to do about it, before they are used'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "try" -d 'Try the engine on this machine: two ends in private network namespaces, real packets between them'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "up" -d 'Bring a tunnel up from its file'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "plan" -d 'Print what `reload` would change, or `up` would make, and change nothing'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "reload" -d 'Make a running tunnel what its file says, without touching what did not change'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "apply" -d 'Like `reload`; with --confirm everything goes back unless `adit confirm` follows'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "confirm" -d 'Keep what `apply --confirm` changed'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "save" -d 'Write what a running tunnel is to its file, of which all else stays as it is'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "strip" -d 'Print what of a file is for `wg setconf`'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "down" -d 'Take down a tunnel that `up` or the stock wg-quick brought up'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "adopt" -d 'Take over a tunnel that the stock wg-quick brought up, without touching it'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "release" -d 'Hand a tunnel back to the stock wg-quick, without touching it'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "wg-quick" -d 'Bring tunnels up and down with the words of the stock `wg-quick`'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "show" -d 'Show interfaces and their peers, by the names that /etc/wireguard gives them'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "wg" -d 'Show and change WireGuard interfaces, as the stock `wg` does'
complete -c adit -n "__fish_adit_using_subcommand help; and not __fish_seen_subcommand_from allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c adit -n "__fish_adit_using_subcommand help; and __fish_seen_subcommand_from allowed-ips" -f -a "overlaps" -d 'Tell whose allowed IPs overlap, and who gets the addresses; exit status 1 if any do'
complete -c adit -n "__fish_adit_using_subcommand help; and __fish_seen_subcommand_from allowed-ips" -f -a "owner" -d 'Tell which peer gets an address, and by which prefix; exit status 1 if none does'

function __adit_wg_interfaces
    string split -n ' ' -- (adit wg show interfaces 2>/dev/null)
end

# Prints what may follow the words, which follow the name of the program, each with what it means.
function __adit_wg_after
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
                    __adit_wg_interfaces
                case 1
                    if test $plain[1] != interfaces
                        printf '%s\t%s\n' public-key 'Public key of the interface' private-key 'Private key of the interface' listen-port 'UDP port' fwmark 'Mark of outgoing datagrams, in hexadecimal, or off' peers 'Public keys of the peers' preshared-keys 'Preshared key of each peer' endpoints 'Address and port of each peer' allowed-ips 'Allowed IPs of each peer, parted by spaces' latest-handshakes 'Seconds since the epoch, 0 for never' transfer 'Bytes received from and sent to each peer' persistent-keepalive 'Interval of each peer in seconds, or off' dump 'All of these: a line for the interface, then one for each peer'
                    end
            end
        case showconf
            test (count $given) -eq 0; and __adit_wg_interfaces
        case setconf addconf syncconf
            switch (count $given)
                case 0
                    __adit_wg_interfaces
                case 1
                    __fish_complete_path $current
            end
        case set
            if test (count $given) -eq 0
                __adit_wg_interfaces
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
                    adit wg show $given[1] peers 2>/dev/null
                case file
                    __fish_complete_path $current
                case off
                    echo off
            end
    end
end

# Prints the tunnels for a command of wg-quick.
function __adit_wg_tunnels
    set -l current (commandline -ct)
    switch $argv[1]
        case down reload save
            __adit_wg_interfaces
        case '*'
            if string match -q -- '*/*' $current
                __fish_complete_path $current
                return
            end
            for file in /etc/wireguard/*.conf
                string replace -r '.*/(.*)\.conf' '$1' -- $file
            end
    end
end

# Prints what may follow the words, which follow wg-quick.
function __adit_wg_quick
    switch (count $argv)
        case 0
            printf '%s\t%s\n' up 'Bring a tunnel up' down 'Take a tunnel down' save 'Write what a tunnel is to its file' strip 'Print the file without what wg does not take'
        case 1
            __adit_wg_tunnels $argv[1]
    end
end

complete -c adit -n '__fish_adit_using_subcommand show' -f -a 'all (__adit_wg_interfaces)'
for command in up plan reload apply confirm save strip down adopt release
    complete -c adit -n "__fish_adit_using_subcommand $command" -f -a "(__adit_wg_tunnels $command)"
end
complete -c adit -n '__fish_adit_using_subcommand wg' -f -a '(__adit_wg_after (commandline -opc)[3..-1])'
complete -c adit -n '__fish_adit_using_subcommand wg-quick' -f -a '(__adit_wg_quick (commandline -opc)[3..-1])'
