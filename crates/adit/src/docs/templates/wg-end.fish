
complete -c wg -f -a '(__wg_after (commandline -opc)[2..-1])'
