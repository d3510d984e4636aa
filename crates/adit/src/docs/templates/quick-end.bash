
_wg_quick() {
    local words
    _wg_quick_split
    _wg_quick_quick "${words[@]:1}"
}

complete -F _wg_quick wg-quick
