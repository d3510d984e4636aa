@F@_interfaces() {
    local -a found
    found=(${=$(@PROGRAM@ show interfaces 2>/dev/null)})
    (($#found)) && _describe -t interfaces interface found
}
