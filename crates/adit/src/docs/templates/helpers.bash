# Prints the interfaces there are.
@F@_interfaces() {
    @PROGRAM@ show interfaces 2>/dev/null
}

# Offers those of the words $1 that begin with $2.
@F@_offer() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

@F@_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# Splits the line up to the cursor at blanks alone, not at the = of keys, into the array words.
@F@_split() {
    local line="${COMP_LINE:0:COMP_POINT}"
    read -ra words <<<"$line"
    if [[ "$line" == *[[:space:]] ]]; then
        words+=("")
    fi
}
