
# Completes the word at CURRENT; the first word is the name of the program.
@F@_after() {
    local -a commands=(
        @COMMANDS@
    )
    local -a targets=(
        @TARGETS@
    )
    local -a fields=(
        @FIELDS@
    )
    local -a options=(
        @OPTIONS@
    )
    local -a device=(
        @DEVICE@
    )
    local -a peer=(
        @PEER@
    )
    local -a plain keys
    local word want=word scope=device
    if ((CURRENT == 2)); then
        _describe -t commands command commands
        return
    fi
    case $words[2] in
        @SHOW@)
            if [[ $words[CURRENT] == -* ]]; then
                _describe -o option options
                return
            fi
            for word in ${words[3,CURRENT-1]}; do
                [[ $word != -* ]] && plain+=($word)
            done
            if (($#plain == 0)); then
                _describe -t targets target targets
                @F@_interfaces
            elif (($#plain == 1)) && [[ $plain[1] != interfaces ]]; then
                _describe -t fields field fields
            fi
            ;;
        @WITH_INTERFACE@)
            ((CURRENT == 3)) && @F@_interfaces
            ;;
        @WITH_FILE@)
            case $CURRENT in
                3) @F@_interfaces ;;
                4) _files ;;
            esac
            ;;
        @SET@)
            if ((CURRENT == 3)); then
                @F@_interfaces
                return
            fi
            for word in ${words[4,CURRENT-1]}; do
                if [[ $want != word ]]; then
                    want=word
                    continue
                fi
                case $word in
                    @KEY_WORDS@) scope=peer want=key ;;
                    @FILE_WORDS@) want=file ;;
                    @OFF_WORDS@) want=off ;;
                    @FREE_WORDS@) want=value ;;
                esac
            done
            case $want in
                word) _describe -t options option $scope ;;
                key)
                    keys=(${=$(@PROGRAM@ show $words[3] peers 2>/dev/null)})
                    (($#keys)) && compadd -a keys
                    ;;
                file) _files ;;
                off) compadd off ;;
            esac
            ;;
    esac
}
