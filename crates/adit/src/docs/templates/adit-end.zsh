
# What follows `adit wg` and `adit wg-quick` comes without the name of a program.
_adit_wg() {
    words=(wg "${words[@]}")
    ((CURRENT += 1))
    _adit_wg_after
}

_adit_wg-quick() {
    words=(wg-quick "${words[@]}")
    ((CURRENT += 1))
    _adit_wg_quick
}

_adit_interfaces() {
    compadd all
    _adit_wg_interfaces
}

_adit_tunnels() {
    _adit_wg_tunnels $words[1]
}
