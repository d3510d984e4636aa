
# Interfaces, tunnels, and the words of wg and wg-quick, which the function above does not know.
_adit_more() {
    local words
    _adit_wg_split
    local count=${#words[@]}
    local current="${words[count - 1]}" command="${words[1]}"
    if ((count < 3)); then
        _adit "$@"
        return
    fi
    case "$command" in
        wg) _adit_wg_after "${words[@]:2}" ;;
        wg-quick) _adit_wg_quick "${words[@]:2}" ;;
        show | @TUNNEL_COMMANDS@)
            if [[ "$current" == -* ]]; then
                _adit "$@"
            elif [[ "$command" == show ]]; then
                _adit_wg_offer "all $(_adit_wg_interfaces)" "$current"
            else
                _adit_wg_tunnels "$command" "$current"
            fi
            ;;
        *) _adit "$@" ;;
    esac
}

complete -F _adit_more -o bashdefault -o default adit
