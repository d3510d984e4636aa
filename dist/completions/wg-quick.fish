function __wg_quick_interfaces
    string split -n ' ' -- (wg show interfaces 2>/dev/null)
end

# Prints the tunnels for a command of wg-quick.
function __wg_quick_tunnels
    set -l current (commandline -ct)
    switch $argv[1]
        case down reload save
            __wg_quick_interfaces
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
function __wg_quick_quick
    switch (count $argv)
        case 0
            printf '%s\t%s\n' up 'Bring a tunnel up' down 'Take a tunnel down' save 'Write what a tunnel is to its file' strip 'Print the file without what wg does not take'
        case 1
            __wg_quick_tunnels $argv[1]
    end
end

complete -c wg-quick -f -a '(__wg_quick_quick (commandline -opc)[2..-1])'
