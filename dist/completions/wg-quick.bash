# Prints the interfaces there are.
_wg_quick_interfaces() {
    wg show interfaces 2>/dev/null
}

# Offers those of the words $1 that begin with $2.
_wg_quick_offer() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_wg_quick_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# Splits the line up to the cursor at blanks alone, not at the = of keys, into the array words.
_wg_quick_split() {
    local line="${COMP_LINE:0:COMP_POINT}"
    read -ra words <<<"$line"
    if [[ "$line" == *[[:space:]] ]]; then
        words+=("")
    fi
}

# Offers the tunnels for the command $1 of wg-quick that begin with $2.
_wg_quick_tunnels() {
    local file names=""
    case "$1" in
        down | reload | save)
            names="$(_wg_quick_interfaces)"
            ;;
        *)
            if [[ "$2" == */* ]]; then
                _wg_quick_files "$2"
                return
            fi
            for file in /etc/wireguard/*.conf; do
                file="${file##*/}"
                names+=" ${file%.conf}"
            done
            names="${names#' *'}"
            ;;
    esac
    _wg_quick_offer "$names" "$2"
}

# Completes the last of the words, which follow wg-quick.
_wg_quick_quick() {
    COMPREPLY=()
    if (($# == 1)); then
        _wg_quick_offer "up down save strip" "$1"
    elif (($# == 2)); then
        _wg_quick_tunnels "$1" "$2"
    fi
    return 0
}

_wg_quick() {
    local words
    _wg_quick_split
    _wg_quick_quick "${words[@]:1}"
}

complete -F _wg_quick wg-quick
