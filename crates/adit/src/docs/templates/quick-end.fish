
complete -c wg-quick -f -a '(__wg_quick_quick (commandline -opc)[2..-1])'
