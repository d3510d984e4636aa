complete -c aditd -l queues -d 'How many queues carry packets, each on a processor of its own: 1, 2, 4 or 8; by default one for every two processors' -r -f -a "1\t''
2\t''
4\t''
8\t''"
complete -c aditd -s f -l foreground -d 'Stay in the foreground'
complete -c aditd -s h -l help -d 'Print help'
complete -c aditd -s V -l version -d 'Print version'
