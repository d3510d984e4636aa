_adit() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="adit"
                ;;
            adit,adopt)
                cmd="adit__subcmd__adopt"
                ;;
            adit,allowed-ips)
                cmd="adit__subcmd__allowed__subcmd__ips"
                ;;
            adit,apply)
                cmd="adit__subcmd__apply"
                ;;
            adit,check)
                cmd="adit__subcmd__check"
                ;;
            adit,confirm)
                cmd="adit__subcmd__confirm"
                ;;
            adit,down)
                cmd="adit__subcmd__down"
                ;;
            adit,help)
                cmd="adit__subcmd__help"
                ;;
            adit,plan)
                cmd="adit__subcmd__plan"
                ;;
            adit,release)
                cmd="adit__subcmd__release"
                ;;
            adit,reload)
                cmd="adit__subcmd__reload"
                ;;
            adit,save)
                cmd="adit__subcmd__save"
                ;;
            adit,show)
                cmd="adit__subcmd__show"
                ;;
            adit,strip)
                cmd="adit__subcmd__strip"
                ;;
            adit,try)
                cmd="adit__subcmd__try"
                ;;
            adit,up)
                cmd="adit__subcmd__up"
                ;;
            adit,wg)
                cmd="adit__subcmd__wg"
                ;;
            adit,wg-quick)
                cmd="adit__subcmd__wg__subcmd__quick"
                ;;
            adit__subcmd__allowed__subcmd__ips,help)
                cmd="adit__subcmd__allowed__subcmd__ips__subcmd__help"
                ;;
            adit__subcmd__allowed__subcmd__ips,overlaps)
                cmd="adit__subcmd__allowed__subcmd__ips__subcmd__overlaps"
                ;;
            adit__subcmd__allowed__subcmd__ips,owner)
                cmd="adit__subcmd__allowed__subcmd__ips__subcmd__owner"
                ;;
            adit__subcmd__allowed__subcmd__ips__subcmd__help,help)
                cmd="adit__subcmd__allowed__subcmd__ips__subcmd__help__subcmd__help"
                ;;
            adit__subcmd__allowed__subcmd__ips__subcmd__help,overlaps)
                cmd="adit__subcmd__allowed__subcmd__ips__subcmd__help__subcmd__overlaps"
                ;;
            adit__subcmd__allowed__subcmd__ips__subcmd__help,owner)
                cmd="adit__subcmd__allowed__subcmd__ips__subcmd__help__subcmd__owner"
                ;;
            adit__subcmd__help,adopt)
                cmd="adit__subcmd__help__subcmd__adopt"
                ;;
            adit__subcmd__help,allowed-ips)
                cmd="adit__subcmd__help__subcmd__allowed__subcmd__ips"
                ;;
            adit__subcmd__help,apply)
                cmd="adit__subcmd__help__subcmd__apply"
                ;;
            adit__subcmd__help,check)
                cmd="adit__subcmd__help__subcmd__check"
                ;;
            adit__subcmd__help,confirm)
                cmd="adit__subcmd__help__subcmd__confirm"
                ;;
            adit__subcmd__help,down)
                cmd="adit__subcmd__help__subcmd__down"
                ;;
            adit__subcmd__help,help)
                cmd="adit__subcmd__help__subcmd__help"
                ;;
            adit__subcmd__help,plan)
                cmd="adit__subcmd__help__subcmd__plan"
                ;;
            adit__subcmd__help,release)
                cmd="adit__subcmd__help__subcmd__release"
                ;;
            adit__subcmd__help,reload)
                cmd="adit__subcmd__help__subcmd__reload"
                ;;
            adit__subcmd__help,save)
                cmd="adit__subcmd__help__subcmd__save"
                ;;
            adit__subcmd__help,show)
                cmd="adit__subcmd__help__subcmd__show"
                ;;
            adit__subcmd__help,strip)
                cmd="adit__subcmd__help__subcmd__strip"
                ;;
            adit__subcmd__help,try)
                cmd="adit__subcmd__help__subcmd__try"
                ;;
            adit__subcmd__help,up)
                cmd="adit__subcmd__help__subcmd__up"
                ;;
            adit__subcmd__help,wg)
                cmd="adit__subcmd__help__subcmd__wg"
                ;;
            adit__subcmd__help,wg-quick)
                cmd="adit__subcmd__help__subcmd__wg__subcmd__quick"
                ;;
            adit__subcmd__help__subcmd__allowed__subcmd__ips,overlaps)
                cmd="adit__subcmd__help__subcmd__allowed__subcmd__ips__subcmd__overlaps"
                ;;
            adit__subcmd__help__subcmd__allowed__subcmd__ips,owner)
                cmd="adit__subcmd__help__subcmd__allowed__subcmd__ips__subcmd__owner"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        adit)
            opts="-h -V --help --version allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__adopt)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__allowed__subcmd__ips)
            opts="-x -h --except --lines --conf --json --help overlaps owner help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --except)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -x)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__allowed__subcmd__ips__subcmd__help)
            opts="overlaps owner help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__allowed__subcmd__ips__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__allowed__subcmd__ips__subcmd__help__subcmd__overlaps)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__allowed__subcmd__ips__subcmd__help__subcmd__owner)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__allowed__subcmd__ips__subcmd__overlaps)
            opts="-h --json --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__allowed__subcmd__ips__subcmd__owner)
            opts="-h --json --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__apply)
            opts="-h --confirm --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --confirm)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__check)
            opts="-h --host --strict --json --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__confirm)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__down)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help)
            opts="allowed-ips check try up plan reload apply confirm save strip down adopt release wg-quick show wg help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__adopt)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__allowed__subcmd__ips)
            opts="overlaps owner"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__allowed__subcmd__ips__subcmd__overlaps)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__allowed__subcmd__ips__subcmd__owner)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__apply)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__check)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__confirm)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__down)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__plan)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__release)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__reload)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__save)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__show)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__strip)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__try)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__up)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__wg)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__help__subcmd__wg__subcmd__quick)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__plan)
            opts="-h --json --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__release)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__reload)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__save)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__show)
            opts="-h --json --watch --secrets --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --watch)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__strip)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__try)
            opts="-h --size --seconds --json --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --seconds)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__up)
            opts="-h --backend --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --backend)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__wg)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        adit__subcmd__wg__subcmd__quick)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _adit -o nosort -o bashdefault -o default adit
else
    complete -F _adit -o bashdefault -o default adit
fi

# Prints the interfaces there are.
_adit_wg_interfaces() {
    adit wg show interfaces 2>/dev/null
}

# Offers those of the words $1 that begin with $2.
_adit_wg_offer() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_adit_wg_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# Splits the line up to the cursor at blanks alone, not at the = of keys, into the array words.
_adit_wg_split() {
    local line="${COMP_LINE:0:COMP_POINT}"
    read -ra words <<<"$line"
    if [[ "$line" == *[[:space:]] ]]; then
        words+=("")
    fi
}

# Completes the last of the words, which follow the name of the program.
_adit_wg_after() {
    local current="${!#}" command="$1" word count=0
    COMPREPLY=()
    if (($# == 1)); then
        _adit_wg_offer "show showconf set setconf addconf syncconf genkey genpsk pubkey" "$current"
        return
    fi
    case "$command" in
        show)
            if [[ "$current" == -* ]]; then
                _adit_wg_offer "--json --watch --secrets" "$current"
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
                _adit_wg_offer "all interfaces $(_adit_wg_interfaces)" "$current"
            elif ((count == 1)) && [[ "$target" != interfaces ]]; then
                _adit_wg_offer "public-key private-key listen-port fwmark peers preshared-keys endpoints allowed-ips latest-handshakes transfer persistent-keepalive dump" "$current"
            fi
            ;;
        showconf)
            (($# == 2)) && _adit_wg_offer "$(_adit_wg_interfaces)" "$current"
            ;;
        setconf | addconf | syncconf)
            if (($# == 2)); then
                _adit_wg_offer "$(_adit_wg_interfaces)" "$current"
            elif (($# == 3)); then
                _adit_wg_files "$current"
            fi
            ;;
        set)
            if (($# == 2)); then
                _adit_wg_offer "$(_adit_wg_interfaces)" "$current"
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
                word) _adit_wg_offer "$words" "$current" ;;
                key) _adit_wg_offer "$(adit wg show "$2" peers 2>/dev/null)" "$current" ;;
                file) _adit_wg_files "$current" ;;
                off) _adit_wg_offer off "$current" ;;
            esac
            ;;
    esac
    return 0
}

# Offers the tunnels for the command $1 of wg-quick that begin with $2.
_adit_wg_tunnels() {
    local file names=""
    case "$1" in
        down | reload | save)
            names="$(_adit_wg_interfaces)"
            ;;
        *)
            if [[ "$2" == */* ]]; then
                _adit_wg_files "$2"
                return
            fi
            for file in /etc/wireguard/*.conf; do
                file="${file##*/}"
                names+=" ${file%.conf}"
            done
            names="${names#' *'}"
            ;;
    esac
    _adit_wg_offer "$names" "$2"
}

# Completes the last of the words, which follow wg-quick.
_adit_wg_quick() {
    COMPREPLY=()
    if (($# == 1)); then
        _adit_wg_offer "up down save strip" "$1"
    elif (($# == 2)); then
        _adit_wg_tunnels "$1" "$2"
    fi
    return 0
}

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
        show | up | plan | reload | apply | confirm | save | strip | down | adopt | release)
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
