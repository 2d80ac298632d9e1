" Vim syntax of ktap scripts (docs/language.md). Into ~/.vim: syntax/ and ftdetect/.
if exists("b:current_syntax")
  finish
endif
syntax case match
setlocal iskeyword=@,48-57,_
setlocal commentstring=#\ %s

syntax keyword ktapTrace trace trace_end
syntax keyword ktapConditional if else elseif
syntax keyword ktapRepeat while repeat until for do
syntax keyword ktapStatement break continue return
syntax keyword ktapDeclaration var local function
syntax keyword ktapWordOperator and or not
syntax keyword ktapConstant nil true false
syntax keyword ktapVariable pid tid ppid uid gid cpu execname ns cgroup curtask retval probename argstr arg0
syntax keyword ktapVariable arg1 arg2 arg3 arg4 arg5 arg6 arg7 arg8 arg9 e args arg
syntax keyword ktapFunction print printf warn format print_hist histogram print_flame print_heatmap print_table tostring tonumber type len delete error
syntax keyword ktapFunction sparkline assert exit count inplace_inc table_count ptable user_string kernel_string cast
syntax keyword ktapFunction kaddr stringof num_cpus arch kernel_v syscall_name errno_name signal_name enum_name
syntax keyword ktapFunction gettimeofday_ns gettimeofday_us gettimeofday_ms gettimeofday_s strftime rand
syntax keyword ktapFunction print_trace_clock aggr sum min max avg stddev quantile hist override signal system
syntax keyword ktapFunction write_user stack ustack backtrace print_backtrace buf ksym usym ipof curr_taskinfo
syntax keyword ktapFunction in_interrupt in_iowait pairs sort_pairs sort_keys

" A member is no keyword, whatever its name; a function of a library is one.
syntax match ktapMember "\.\@<!\.\h\w*"
syntax match ktapFunction "\<table\.\(new\|insert\|remove\|concat\|sort\)\>"
syntax match ktapFunction "\<string\.\(len\|sub\|find\|upper\|lower\|rep\|byte\|char\|split\|trim\|starts\|ends\|format\)\>"
syntax match ktapFunction "\<math\.\(abs\|min\|max\|log2\|floor\)\>"
syntax match ktapFunction "\<net\.\(ip\|port\|format_ip_addr\|ip_sock_saddr\|ip_sock_daddr\)\>"
syntax match ktapFunction "\<ansi\.\(clear_screen\|set_color\|set_color2\|set_color3\|reset_color\|new_line\)\>"
syntax match ktapFunction "\<kdebug\.\(probe\|probe_end\|kprobe\|tracepoint\|dumpstack\)\>"
syntax match ktapFunction "\<timer\.\(tick\|profile\)\>"

syntax match ktapNumber "\<\d[0-9_]*\(\.\d\+\)\?\([eE][-+]\?\d\+\)\?\>"
syntax match ktapNumber "\<\d[0-9_]*\(ns\|us\|ms\|s\|min\|h\)\>"
syntax match ktapNumber "\<0[xX][0-9a-fA-F_]\+\>"
syntax match ktapNumber "\<0[bB][01_]\+\>"

syntax match ktapEscape contained "\\\(x\x\{2}\|\d\{1,3}\|.\|$\)"
syntax region ktapString start=+"+ skip=+\\\\\|\\"+ end=+"+ contains=ktapEscape
syntax region ktapString start=+'+ skip=+\\\\\|\\'+ end=+'+ contains=ktapEscape
syntax region ktapString start="\[\z(=*\)\[" end="\]\z1\]"

" The event text behind trace, up to the filter or the body; timers, whose words no keyword may take.
syntax match ktapEvent "\(\<trace\s\+\)\@<=\h[^\"'(]\{-}\ze\s\+[/{]"
syntax match ktapTrace "\<\(tick\|profile\)\>"
syntax match ktapTimer "\<\(tick\|profile\)-\d\+\(ns\|us\|usec\|ms\|msec\|s\|sec\|min\|h\|hz\)\>"
syntax match ktapComment "#.*$" contains=@Spell

highlight default link ktapTrace Keyword
highlight default link ktapConditional Conditional
highlight default link ktapRepeat Repeat
highlight default link ktapStatement Statement
highlight default link ktapDeclaration StorageClass
highlight default link ktapWordOperator Operator
highlight default link ktapConstant Constant
highlight default link ktapVariable Identifier
highlight default link ktapFunction Function
highlight default link ktapNumber Number
highlight default link ktapEscape SpecialChar
highlight default link ktapString String
highlight default link ktapEvent Type
highlight default link ktapTimer Type
highlight default link ktapComment Comment

let b:current_syntax = "ktap"
