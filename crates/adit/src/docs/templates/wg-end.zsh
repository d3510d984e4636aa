
_wg() {
    _wg_after
}

if [ "$funcstack[1]" = "_wg" ]; then
    _wg "$@"
else
    compdef _wg wg
fi
