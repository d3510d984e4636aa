
# Prints the tunnels for a command of wg-quick.
function @F@_tunnels
    set -l current (commandline -ct)
    switch $argv[1]
        case @RUNNING@
            @F@_interfaces
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
function @F@_quick
    switch (count $argv)
        case 0
            printf '%s\t%s\n' @QUICK@
        case 1
            @F@_tunnels $argv[1]
    end
end
