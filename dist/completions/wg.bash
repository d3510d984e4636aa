# Prints the interfaces there are.
_wg_interfaces() {
    wg show interfaces 2>/dev/null
}

# Offers those of the words $1 that begin with $2.
_wg_offer() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_wg_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# Splits the line up to the cursor at blanks alone, not at the = of keys, into the array words.
_wg_split() {
    local line="${COMP_LINE:0:COMP_POINT}"
    read -ra words <<<"$line"
    if [[ "$line" == *[[:space:]] ]]; then
        words+=("")
    fi
}

# Completes the last of the words, which follow the name of the program.
_wg_after() {
    local current="${!#}" command="$1" word count=0
    COMPREPLY=()
    if (($# == 1)); then
        _wg_offer "show showconf set setconf addconf syncconf genkey genpsk pubkey" "$current"
        return
    fi
    case "$command" in
        show)
            if [[ "$current" == -* ]]; then
                _wg_offer "--json --watch --secrets" "$current"
                return
            fi
            local target=""
            for word in "${@:2:$#-2}"; do
                if [[ "$word" != -* ]]; then
                    ((count == 0)) && target="$word"
                    ((count += 1))
                fi
            done
            if ((count == 0)); then
                _wg_offer "all interfaces $(_wg_interfaces)" "$current"
            elif ((count == 1)) && [[ "$target" != interfaces ]]; then
                _wg_offer "public-key private-key listen-port fwmark peers preshared-keys endpoints allowed-ips latest-handshakes transfer persistent-keepalive dump" "$current"
            fi
            ;;
        showconf)
            (($# == 2)) && _wg_offer "$(_wg_interfaces)" "$current"
            ;;
        setconf | addconf | syncconf)
            if (($# == 2)); then
                _wg_offer "$(_wg_interfaces)" "$current"
            elif (($# == 3)); then
                _wg_files "$current"
            fi
            ;;
        set)
            if (($# == 2)); then
                _wg_offer "$(_wg_interfaces)" "$current"
                return
            fi
            local words="listen-port fwmark private-key peer" want=word
            for word in "${@:3:$#-3}"; do
                if [[ "$want" != word ]]; then
                    want=word
                    continue
                fi
                case "$word" in
                    peer) words="remove preshared-key endpoint persistent-keepalive allowed-ips peer" want=key ;;
                    preshared-key | private-key) want=file ;;
                    fwmark | persistent-keepalive) want=off ;;
                    allowed-ips | endpoint | listen-port) want=value ;;
                esac
            done
            case "$want" in
                word) _wg_offer "$words" "$current" ;;
                key) _wg_offer "$(wg show "$2" peers 2>/dev/null)" "$current" ;;
                file) _wg_files "$current" ;;
                off) _wg_offer off "$current" ;;
            esac
            ;;
    esac
    return 0
}

_wg() {
    local words
    _wg_split
    _wg_after "${words[@]:1}"
}

complete -F _wg wg
