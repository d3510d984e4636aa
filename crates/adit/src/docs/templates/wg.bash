
# Completes the last of the words, which follow the name of the program.
@F@_after() {
    local current="${!#}" command="$1" word count=0
    COMPREPLY=()
    if (($# == 1)); then
        @F@_offer "@COMMANDS@" "$current"
        return
    fi
    case "$command" in
        @SHOW@)
            if [[ "$current" == -* ]]; then
                @F@_offer "@OPTIONS@" "$current"
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
                @F@_offer "@TARGETS@ $(@F@_interfaces)" "$current"
            elif ((count == 1)) && [[ "$target" != interfaces ]]; then
                @F@_offer "@FIELDS@" "$current"
            fi
            ;;
        @WITH_INTERFACE@)
            (($# == 2)) && @F@_offer "$(@F@_interfaces)" "$current"
            ;;
        @WITH_FILE@)
            if (($# == 2)); then
                @F@_offer "$(@F@_interfaces)" "$current"
            elif (($# == 3)); then
                @F@_files "$current"
            fi
            ;;
        @SET@)
            if (($# == 2)); then
                @F@_offer "$(@F@_interfaces)" "$current"
                return
            fi
            local words="@DEVICE@" want=word
            for word in "${@:3:$#-3}"; do
                if [[ "$want" != word ]]; then
                    want=word
                    continue
                fi
                case "$word" in
                    @KEY_WORDS@) words="@PEER@" want=key ;;
                    @FILE_WORDS@) want=file ;;
                    @OFF_WORDS@) want=off ;;
                    @FREE_WORDS@) want=value ;;
                esac
            done
            case "$want" in
                word) @F@_offer "$words" "$current" ;;
                key) @F@_offer "$(@PROGRAM@ show "$2" peers 2>/dev/null)" "$current" ;;
                file) @F@_files "$current" ;;
                off) @F@_offer off "$current" ;;
            esac
            ;;
    esac
    return 0
}
