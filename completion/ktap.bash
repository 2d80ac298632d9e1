# Completion of ktap and ktapc for bash. Events are asked of the machine, by `ktap list`.
# shellcheck shell=bash disable=SC2207

# Those that begin with $1; quotes around it are the shell's. A file is answered by its path: what was typed stands for it.
_ktap_events() {
  local word=${1#[\"\']} line head rest
  [[ $word == *[\*\?]* ]] && return
  "${COMP_WORDS[0]}" list "$word*" 2>/dev/null | while IFS= read -r line; do
    if [[ $line != "$word"* && $word == *:*:* && $line == *:*:* ]]; then
      rest=${word#*:}
      head=${word%%:*}:${rest%%:*}:
      rest=${line#*:}
      rest=${rest#*:}
      if [[ $head$rest == "$word"* ]]; then
        line=$head$rest
      elif [[ $word == sdt:* ]]; then  # the marker's name alone, without its provider's
        line=${word%:*}:${line##*:}
      fi
    fi
    printf '%s\n' "$line"
  done
}

# The word at the cursor and those before it, with the colons and `=` that bash breaks words at; `places` are these words'
# in COMP_WORDS.
_ktap_word() {
  local line=${COMP_LINE:0:COMP_POINT} i blanks
  before=() places=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    blanks=${line%%[![:space:]]*}
    line=${line#"$blanks"}
    word=${COMP_WORDS[i]}
    ((i == COMP_CWORD)) && word=$line
    if [[ -n $blanks ]] || ((i == 0)); then
      before+=("$word") places+=("$i")
    else
      before[${#before[@]} - 1]+=$word
    fi
    line=${line#"$word"}
  done
  i=$((${#before[@]} - 1))
  _ktap_cur=${before[i]}
  unset "before[i]"
  previous=${before[i - 1]}
}

# Sets `place` for the words from `before[i]` on: the number of the `--` that a command follows, `script` where a script's
# own words are, or nothing.
_ktap_place() {
  local at has_source=
  place=
  for ((at = i; at < ${#before[@]}; at++)); do
    [[ ${before[at]} == -- ]] && place=$at && return
    [[ -n $place ]] && continue
    case ${before[at]} in
      -e | -s) has_source=1 ;&
      -o | -p | -C | -l[efm] | --cgroup | --user | --engine | --placement | --table-size | --max-memory | --without | \
        --spoil | --dump | --diagnostics | --explain-code) [[ ${before[at + 1]} == -- ]] || ((at++)) ;;
      -?*) ;;
      *) place=script ;;
    esac
  done
  [[ -z $place && -n $has_source && $_ktap_cur != -* && $at -eq ${#before[@]} ]] && place=script
}

# A command and its arguments: by what bash-completion knows of it, where that is loaded. $1: its place in COMP_WORDS.
_ktap_command() {
  local offset
  for offset in _comp_command_offset _command_offset; do
    declare -F "$offset" >/dev/null && "$offset" "$1" && return
  done
  if ((COMP_CWORD > $1)); then _ktap_files; return; fi
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -c -- "$_ktap_cur" | sort -u)
}

# Fills COMPREPLY with those of the lines $1 that begin with the word; bash replaces behind the last colon. Names come out
# of files of anyone: the shell expands nothing in them (compgen -W would), and outside of quotes their signs are quoted.
_ktap_reply() {
  local line word=${_ktap_cur#[\"\']} prefix=
  COMPREPLY=()
  while IFS= read -r line; do
    [[ -n $line && $line == "$word"* ]] || continue
    [[ $word == "$_ktap_cur" ]] && printf -v line %q "$line"
    COMPREPLY+=("$line")
  done <<<"$1"
  [[ $_ktap_cur == *:* && $COMP_WORDBREAKS == *:* ]] && prefix=${_ktap_cur%"${_ktap_cur##*:}"}
  COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}

# Completes a file's name: of those with one of the endings given, or of all.
_ktap_files() {
  local ending
  compopt -o filenames 2>/dev/null  # bash quotes them, and puts a slash behind folders; nothing else is to be quoted so
  mapfile -t COMPREPLY < <(
    (($# == 0)) && compgen -f -- "$_ktap_cur"
    for ending; do compgen -f -X "!*.$ending" -- "$_ktap_cur"; done
    (($# > 0)) && compgen -d -- "$_ktap_cur"
  )
}

_ktap() {
  local options='-e -i -o -p --follow --cgroup= --user= -C -T -q -v -V --version -b -d -s -le -lf -lm --explain --check
    --strict --unsafe --engine= --placement= --table-size= --max-memory= --without= --spoil= --dump= --diagnostics=
    --explain-code= -h --help'
  local _ktap_cur previous before places place word i=1
  _ktap_word
  while [[ ${before[i]} == @(-q|-v|--diagnostics=*) ]]; do ((i++)); done  # these may stand before a command
  case ${before[i]} in
    list) _ktap_reply $'-v\n--json\n'"$([[ $_ktap_cur == -* ]] || _ktap_events "$_ktap_cur")"; return ;;
    doctor) _ktap_reply --json; return ;;
    fmt) if [[ $_ktap_cur == -* ]]; then _ktap_reply $'--check\n-w\n--diagnostics=json'; else _ktap_files kp; fi
         return ;;
  esac
  [[ ${before[i]} == top ]] && ((i++))
  _ktap_place
  case $place in
    script) _ktap_files; return ;;
    ?*) _ktap_command "$((places[place] + 1))"; return ;;
  esac
  if [[ $_ktap_cur == --*=* ]]; then previous=${_ktap_cur%%=*} _ktap_cur=${_ktap_cur#*=}; fi
  case $previous in
    -s | -le) _ktap_reply "$(_ktap_events "$_ktap_cur")"; return ;;
    -p) COMPREPLY=($(compgen -W "$(cd /proc && echo [0-9]*)" -- "$_ktap_cur")); return ;;
    -C) COMPREPLY=($(compgen -W "$(cd /sys/devices/system/cpu && printf '%s\n' cpu[0-9]* | tr -d cpu)" -- "$_ktap_cur"))
        return ;;
    -o | -lf | -lm) _ktap_files; return ;;
    -e | --table-size | --max-memory | --without | --spoil) return ;;
    --user) COMPREPLY=($(compgen -u -- "$_ktap_cur")); return ;;
    --cgroup) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$_ktap_cur"); return ;;
    --engine) COMPREPLY=($(compgen -W 'auto bpf' -- "$_ktap_cur")); return ;;
    --placement) COMPREPLY=($(compgen -W 'auto user' -- "$_ktap_cur")); return ;;
    --dump) COMPREPLY=($(compgen -W 'tokens ast ssa bpf' -- "$_ktap_cur")); return ;;
    --diagnostics) COMPREPLY=($(compgen -W 'text json' -- "$_ktap_cur")); return ;;
    --explain-code) COMPREPLY=($(compgen -W all -- "$_ktap_cur")); return ;;
  esac
  if [[ $_ktap_cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$_ktap_cur"))
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    return
  fi
  _ktap_files kp ktap
  [[ ${before[i - 1]} != top ]] && ((i == ${#before[@]})) && COMPREPLY+=($(compgen -W 'list doctor fmt top' -- "$_ktap_cur"))
}

_ktapc() {
  local _ktap_cur previous before places word
  _ktap_word
  case $previous in
    -o) _ktap_files; return ;;
  esac
  if [[ $_ktap_cur == -* ]]; then
    COMPREPLY=($(compgen -W '-o -s -V --version -h --help' -- "$_ktap_cur"))
  else
    _ktap_files kp
  fi
}

complete -F _ktap ktap
complete -F _ktapc ktapc
