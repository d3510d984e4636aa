
# Prints what may follow the words, which follow the name of the program, each with what it means.
function @F@_after
    set -l current (commandline -ct)
    if test (count $argv) -eq 0
        printf '%s\t%s\n' @COMMANDS@
        return
    end
    set -l given $argv[2..-1]
    switch $argv[1]
        case @SHOW@
            if string match -q -- '-*' $current
                printf '%s\t%s\n' @OPTIONS@
                return
            end
            set -l plain (string match -v -- '-*' $given)
            switch (count $plain)
                case 0
                    printf '%s\t%s\n' @TARGETS@
                    @F@_interfaces
                case 1
                    if test $plain[1] != interfaces
                        printf '%s\t%s\n' @FIELDS@
                    end
            end
        case @WITH_INTERFACE@
            test (count $given) -eq 0; and @F@_interfaces
        case @WITH_FILE@
            switch (count $given)
                case 0
                    @F@_interfaces
                case 1
                    __fish_complete_path $current
            end
        case @SET@
            if test (count $given) -eq 0
                @F@_interfaces
                return
            end
            set -l want word
            set -l scope device
            for word in $given[2..-1]
                if test $want != word
                    set want word
                    continue
                end
                switch $word
                    case @KEY_WORDS@
                        set want key
                        set scope peer
                    case @FILE_WORDS@
                        set want file
                    case @OFF_WORDS@
                        set want off
                    case @FREE_WORDS@
                        set want value
                end
            end
            switch $want
                case word
                    if test $scope = device
                        printf '%s\t%s\n' @DEVICE@
                    else
                        printf '%s\t%s\n' @PEER@
                    end
                case key
                    @PROGRAM@ show $given[1] peers 2>/dev/null
                case file
                    __fish_complete_path $current
                case off
                    echo off
            end
    end
end
