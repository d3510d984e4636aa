
_wg-quick() {
    _wg_quick_quick
}

if [ "$funcstack[1]" = "_wg-quick" ]; then
    _wg-quick "$@"
else
    compdef _wg-quick wg-quick
fi
