
_wg() {
    local words
    _wg_split
    _wg_after "${words[@]:1}"
}

complete -F _wg wg
