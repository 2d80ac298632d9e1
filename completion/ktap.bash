# Completion of ktap and ktapc for bash. Events are asked of the machine, by `ktap list`.
# shellcheck shell=bash disable=SC2207

_ktap_events() {  # those that begin with $1; quotes around it are the shell's
  local word=${1#[\"\']}
  [[ $word == *[\*\?]* ]] && return
  "${COMP_WORDS[0]}" list "$word*" 2>/dev/null
}

# The word at the cursor and the one before it, with the colons that bash breaks words at.
_ktap_word() {
  local line=${COMP_LINE:0:COMP_POINT} before
  _ktap_cur=${line##*[[:space:]]}
  read -ra before <<<"${line%"$_ktap_cur"}"
  previous=${before[${#before[@]} - 1]}
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

_ktap() {
  local options='-e -i -o -p --follow --cgroup= --user= -C -T -q -v -V --version -b -d -s -le -lf -lm --explain --check
    --strict --unsafe --engine= --placement= --table-size= --max-memory= --without= --spoil= --dump= --diagnostics=
    --explain-code= -h --help'
  local _ktap_cur previous word i
  _ktap_word
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == -- ]] && return  # a command's own words
  done
  word=${_ktap_cur%%=*}
  case ${COMP_WORDS[1]} in
    list) _ktap_reply $'-v\n--json\n'"$([[ $_ktap_cur == -* ]] || _ktap_events "$_ktap_cur")"; return ;;
    doctor) _ktap_reply --json; return ;;
    fmt) [[ $_ktap_cur == -* ]] && _ktap_reply $'--check\n-w\n--diagnostics=json' ||
           COMPREPLY=($(compgen -f -X '!*.kp' -- "$_ktap_cur") $(compgen -d -- "$_ktap_cur")); return ;;
  esac
  if [[ $_ktap_cur == --*=* ]]; then previous=$word _ktap_cur=${_ktap_cur#*=}; fi
  case $previous in
    -s | -le) _ktap_reply "$(_ktap_events "$_ktap_cur")"; return ;;
    -p) COMPREPLY=($(compgen -W "$(cd /proc && echo [0-9]*)" -- "$_ktap_cur")); return ;;
    -C) COMPREPLY=($(compgen -W "$(cd /sys/devices/system/cpu && printf '%s\n' cpu[0-9]* | tr -d cpu)" -- "$_ktap_cur"))
        return ;;
    -o | -lf | -lm) COMPREPLY=($(compgen -f -- "$_ktap_cur")); return ;;
    -e | --table-size | --max-memory | --without | --spoil) return ;;
    --user) COMPREPLY=($(compgen -u -- "$_ktap_cur")); return ;;
    --cgroup) COMPREPLY=($(compgen -d -- "$_ktap_cur")); return ;;
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
  COMPREPLY=($(compgen -f -X '!*.kp' -- "$_ktap_cur") $(compgen -f -X '!*.ktap' -- "$_ktap_cur")
    $(compgen -d -- "$_ktap_cur"))
  ((COMP_CWORD == 1)) && COMPREPLY+=($(compgen -W 'list doctor fmt top' -- "$_ktap_cur"))
}

_ktapc() {
  local _ktap_cur previous
  _ktap_word
  case $previous in
    -o) COMPREPLY=($(compgen -f -- "$_ktap_cur")); return ;;
  esac
  if [[ $_ktap_cur == -* ]]; then
    COMPREPLY=($(compgen -W '-o -s -V --version -h --help' -- "$_ktap_cur"))
  else
    COMPREPLY=($(compgen -f -X '!*.kp' -- "$_ktap_cur") $(compgen -d -- "$_ktap_cur"))
  fi
}

complete -o filenames -F _ktap ktap
complete -o filenames -F _ktapc ktapc
