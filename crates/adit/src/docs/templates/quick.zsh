
# Offers the tunnels for a command of wg-quick.
@F@_tunnels() {
    local -a names
    case $1 in
        @RUNNING@)
            @F@_interfaces
            ;;
        *)
            if [[ $words[CURRENT] == */* ]]; then
                _files -g '*.conf'
                return
            fi
            names=(/etc/wireguard/*.conf(N:t:r))
            (($#names)) && compadd -a names
            ;;
    esac
}

# Completes the word at CURRENT; the first word is wg-quick.
@F@_quick() {
    local -a commands=(
        @QUICK@
    )
    case $CURRENT in
        2) _describe -t commands command commands ;;
        3) @F@_tunnels $words[2] ;;
    esac
}
