
# Offers the tunnels for the command $1 of wg-quick that begin with $2.
@F@_tunnels() {
    local file names=""
    case "$1" in
        @RUNNING@)
            names="$(@F@_interfaces)"
            ;;
        *)
            if [[ "$2" == */* ]]; then
                @F@_files "$2"
                return
            fi
            for file in /etc/wireguard/*.conf; do
                file="${file##*/}"
                names+=" ${file%.conf}"
            done
            names="${names#' *'}"
            ;;
    esac
    @F@_offer "$names" "$2"
}

# Completes the last of the words, which follow wg-quick.
@F@_quick() {
    COMPREPLY=()
    if (($# == 1)); then
        @F@_offer "@QUICK@" "$1"
    elif (($# == 2)); then
        @F@_tunnels "$1" "$2"
    fi
    return 0
}
