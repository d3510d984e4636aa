
complete -c adit -n '__fish_adit_using_subcommand show' -f -a 'all (__adit_wg_interfaces)'
for command in @TUNNEL_COMMANDS@
    complete -c adit -n "__fish_adit_using_subcommand $command" -f -a "(__adit_wg_tunnels $command)"
end
complete -c adit -n '__fish_adit_using_subcommand wg' -f -a '(__adit_wg_after (commandline -opc)[3..-1])'
complete -c adit -n '__fish_adit_using_subcommand wg-quick' -f -a '(__adit_wg_quick (commandline -opc)[3..-1])'
