# Completion of ktap and ktapc for fish. Events are asked of the machine, by `ktap list`.

# A file is answered by its path: what was typed stands for it.
function __ktap_events
    set -l word (commandline -ct | string trim --chars '"\'')
    set -l events (ktap list "$word*" 2>/dev/null)
    set -q events[1]; or return
    printf '%s\n' $events
    set -l head (string match -r '^[^:]+:[^:]+:' -- $word); or return
    printf '%s\n' $head(string replace -r '^[^:]*:[^:]*:' '' -- $events)
    string match -q 'sdt:*' -- $word; or return  # the marker's name alone, without its provider's
    printf '%s\n' (string replace -r '[^:]*$' '' -- $word)(string replace -r '.*:' '' -- $events)
end

complete -c ktap -n __fish_use_subcommand -a list -d 'list events'
complete -c ktap -n __fish_use_subcommand -a doctor -d 'say what works on this machine'
complete -c ktap -n __fish_use_subcommand -a fmt -d 'lay scripts out'
complete -c ktap -n __fish_use_subcommand -a top -d 'show the tables of a script as it traces'
complete -c ktap -f -n '__fish_seen_subcommand_from list' -a '(__ktap_events)'
complete -c ktap -f -n '__fish_seen_subcommand_from list doctor' -l json -d 'an object a line'
complete -c ktap -n '__fish_seen_subcommand_from fmt' -s w -d 'write the file'

complete -c ktap -x -s e -d 'run SOURCE'
complete -c ktap -s i -d 'a prompt'
complete -c ktap -r -s o -d 'write the output to a file'
complete -c ktap -x -s p -a '(__fish_complete_pids)' -d 'trace that process alone'
complete -c ktap -l follow -d 'trace its children as well'
complete -c ktap -r -l cgroup -d 'trace the tasks of a cgroup'
complete -c ktap -x -l user -a '(__fish_complete_users)' -d 'trace the tasks of a user'
complete -c ktap -x -s C -d 'trace a CPU alone'
complete -c ktap -s T -d 'time before each line'
complete -c ktap -s q -d 'no banner'
complete -c ktap -s v -d 'say more'
complete -c ktap -s V -l version -d 'print the version'
complete -c ktap -s b -d 'print the bytecode'
complete -c ktap -s d -d 'dry run: attach nothing'
complete -c ktap -x -s s -a '(__ktap_events)' -d 'print each EVENT'
complete -c ktap -x -o le -a '(__ktap_events)' -d 'list events'
complete -c ktap -r -o lf -d 'list functions of a file'
complete -c ktap -r -o lm -d 'list markers of a file'
complete -c ktap -l explain -d 'say what would run where'
complete -c ktap -l check -d 'compile alone'
complete -c ktap -l strict -d 'end at the first run-time error'
complete -c ktap -l unsafe -d 'allow what changes things'
complete -c ktap -x -l engine -a 'auto bpf' -d 'how to trace'
complete -c ktap -x -l placement -a 'auto user' -d 'where handlers run'
complete -c ktap -x -l table-size -d 'entries of a table in the kernel'
complete -c ktap -x -l max-memory -d 'memory of the data'
complete -c ktap -x -l without -d 'as if the kernel lacked a fact'
complete -c ktap -x -l spoil -d 'make eBPF of that line refused'
complete -c ktap -x -l dump -a 'tokens ast ssa bpf' -d 'print a stage'
complete -c ktap -x -l diagnostics -a 'text json' -d 'how mistakes are told'
complete -c ktap -x -l explain-code -a all -d 'explain a diagnostic'
complete -c ktap -s h -l help -d 'print the options'

complete -c ktapc -r -s o -d 'write OUT'
complete -c ktapc -s s -d 'leave out source text, lines and names'
complete -c ktapc -s V -l version -d 'print the version'
complete -c ktapc -s h -l help -d 'print the options'
