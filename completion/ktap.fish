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

# Where the cursor is: `start`, `run` (options of a run, then the script), the name of a command, `script` (a script's own
# words), or `command` and what stands behind `--`, a word a line.
function __ktap_place
    set -l words (commandline -opc)
    set -e words[1]
    while string match -qr -- '^(-q|-v|--diagnostics=.*)$' "$words[1]"  # these may stand before a command
        set -e words[1]
    end
    set -l place start
    set -l has_source
    if contains -- "$words[1]" list doctor fmt
        echo $words[1]
        return
    end
    if test "$words[1]" = top
        set place run
        set -e words[1]
    end
    while set -q words[1]
        set -l word $words[1]
        set -e words[1]
        if test "$word" = --
            printf '%s\n' command $words
            return
        end
        test $place = script; and continue
        switch $word
            case -e -s -o -p -C -le -lf -lm --cgroup --user --engine --placement --table-size --max-memory --without \
                    --spoil --dump --diagnostics --explain-code
                contains -- $word -e -s; and set has_source 1
                set place run
                if not set -q words[1]  # the word at the cursor is its argument
                    set has_source
                else if test "$words[1]" != --
                    set -e words[1]
                end
            case '-?*'
                set place run
            case '*'
                set place script
        end
    end
    if set -q has_source[1]; and not string match -q -- '-*' (commandline -ct)
        set place script
    end
    echo $place
end

function __ktap_at
    set -l place (__ktap_place)
    contains -- $place[1] $argv
end

# A command and its arguments, as fish completes them by themselves.
function __ktap_command
    set -l words (__ktap_place)
    set -e words[1]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

complete -c ktap -n '__ktap_at start' -a list -d 'list events'
complete -c ktap -n '__ktap_at start' -a doctor -d 'say what works on this machine'
complete -c ktap -n '__ktap_at start' -a fmt -d 'lay scripts out'
complete -c ktap -n '__ktap_at start' -a top -d 'show the tables of a script as it traces'
complete -c ktap -f -n '__ktap_at command' -a '(__ktap_command)'
complete -c ktap -f -n '__ktap_at list' -a '(__ktap_events)'
complete -c ktap -n '__ktap_at list' -s v -d 'with arguments and types'
complete -c ktap -f -n '__ktap_at list doctor' -l json -d 'an object a line'
complete -c ktap -n '__ktap_at fmt' -s w -d 'write the file'
complete -c ktap -n '__ktap_at fmt' -l check -d 'name the files that differ'
complete -c ktap -x -n '__ktap_at fmt' -l diagnostics -a 'text json' -d 'how mistakes are told'

complete -c ktap -n '__ktap_at start run' -x -s e -d 'run SOURCE'
complete -c ktap -n '__ktap_at start run' -s i -d 'a prompt'
complete -c ktap -n '__ktap_at start run' -r -s o -d 'write the output to a file'
complete -c ktap -n '__ktap_at start run' -x -s p -a '(__fish_complete_pids)' -d 'trace that process alone'
complete -c ktap -n '__ktap_at start run' -l follow -d 'trace its children as well'
complete -c ktap -n '__ktap_at start run' -r -l cgroup -d 'trace the tasks of a cgroup'
complete -c ktap -n '__ktap_at start run' -x -l user -a '(__fish_complete_users)' -d 'trace the tasks of a user'
complete -c ktap -n '__ktap_at start run' -x -s C -d 'trace a CPU alone'
complete -c ktap -n '__ktap_at start run' -s T -d 'time before each line'
complete -c ktap -n '__ktap_at start run' -s q -d 'no banner'
complete -c ktap -n '__ktap_at start run' -s v -d 'say more'
complete -c ktap -n '__ktap_at start run' -s V -l version -d 'print the version'
complete -c ktap -n '__ktap_at start run' -s b -d 'print the bytecode'
complete -c ktap -n '__ktap_at start run' -s d -d 'dry run: attach nothing'
complete -c ktap -n '__ktap_at start run' -x -s s -a '(__ktap_events)' -d 'print each EVENT'
complete -c ktap -n '__ktap_at start run' -x -o le -a '(__ktap_events)' -d 'list events'
complete -c ktap -n '__ktap_at start run' -r -o lf -d 'list functions of a file'
complete -c ktap -n '__ktap_at start run' -r -o lm -d 'list markers of a file'
complete -c ktap -n '__ktap_at start run' -l explain -d 'say what would run where'
complete -c ktap -n '__ktap_at start run' -l check -d 'compile alone'
complete -c ktap -n '__ktap_at start run' -l strict -d 'end at the first run-time error'
complete -c ktap -n '__ktap_at start run' -l unsafe -d 'allow what changes things'
complete -c ktap -n '__ktap_at start run' -x -l engine -a 'auto bpf' -d 'how to trace'
complete -c ktap -n '__ktap_at start run' -x -l placement -a 'auto user' -d 'where handlers run'
complete -c ktap -n '__ktap_at start run' -x -l table-size -d 'entries of a table in the kernel'
complete -c ktap -n '__ktap_at start run' -x -l max-memory -d 'memory of the data'
complete -c ktap -n '__ktap_at start run' -x -l without -d 'as if the kernel lacked a fact'
complete -c ktap -n '__ktap_at start run' -x -l spoil -d 'make eBPF of that line refused'
complete -c ktap -n '__ktap_at start run' -x -l dump -a 'tokens ast ssa bpf' -d 'print a stage'
complete -c ktap -n '__ktap_at start run' -x -l diagnostics -a 'text json' -d 'how mistakes are told'
complete -c ktap -n '__ktap_at start run' -x -l explain-code -a all -d 'explain a diagnostic'
complete -c ktap -n '__ktap_at start run' -s h -l help -d 'print the options'

complete -c ktapc -r -s o -d 'write OUT'
complete -c ktapc -s s -d 'leave out source text, lines and names'
complete -c ktapc -s V -l version -d 'print the version'
complete -c ktapc -s h -l help -d 'print the options'
