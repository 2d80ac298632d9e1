#include <gtest/gtest.h>

#include <iostream>
#include "lower/test_world.h"

namespace ktap::lower {
namespace {

schema::EventPtr read_event() {
  return syscall_enter("read", 0, {int_field("fd", 4), int_field("buf"), int_field("count")});
}
schema::EventPtr write_event() {
  return syscall_enter("write", 1, {int_field("fd", 4), int_field("buf"), int_field("count")});
}

TEST(Debug, Samples) {
  for (const char* source : {
           "trace syscalls:* /probename == 'sys_enter_read' || pid == 3 && tid != 4/ { print(probename) }",
           "trace syscalls:* /execname ~ \"ba*\" && probename ~ \"sys_enter_*\"/ { print(1) }",
           "trace syscalls:* /comm == bash/ { print(1) }",
           "trace syscalls:* /execname == bash/ { print(1) }",
           "trace syscalls:* { print(args.foo) }",
           "trace syscalls:* { print(retval) }",
           "trace syscalls:* { if (e.sc_is_enter) { print(e.sc_nr, e.sc_arg1, arg9) } else { print(e.retval) } }",
           "trace syscalls:* { var x = 1.5 * pid  print(x)}",
           "trace syscalls:* { for (i = 1, 3) { print(i) } }",
           "trace syscalls:* { var t = {} }",
           "function f(n) { if (n == 0) { return 0 } return f(n - 1) } trace syscalls:* { f(3) }",
           "var t = {a = 'x'} trace syscalls:* { t[execname] += 1 }",
           "var t = {} trace syscalls:* { t[pid] += 1 t[execname] += 1 }",
           "var t = {a = 1} trace syscalls:* { t[execname] += 1  t['zz'] = 3}",
           "t = {} trace syscalls:* { t[probename] += 1 print(t['sys_enter_read'])}",
           "c = 0 trace syscalls:* { c = c + 1 c += 2 c *= 3 print(c) }",
           "trace syscalls:* { printf('%d %s %x\\n', execname, 1, 2) }",
           "var t = {} trace syscalls:* { printf('%d %s\\n', t[pid], t[pid]) }",
           "var t = {} trace syscalls:* { print_hist(t) print(t) printf('%s', 'x') exit(3) print(2) }",
           "var t = {} trace syscalls:* { var x = t[pid] && pid > 3  if (x) { print(1) } }",
           "var t = {} trace syscalls:* { if (t[pid] < t[tid]) { print(1) } }",
           "var t = {} trace syscalls:* { if (t[pid] == 5) { print(1) } }",
           "var t = {} trace syscalls:* { print(t[pid]) t[pid] -= 5 delete(t, 4) t[1] /= pid }",
           "function f(a) { if (a > 3) { return 1 } elseif (a > 2) { return 'x' } return nil } trace syscalls:* { var x = f(pid) print(pid) if (x) { print(7) } }",
           "function f(a) { if (a > 3) { return 1, 2 } return 3, 4 } trace syscalls:* { var x, y = f(pid) print(x, y) print(f(tid)) }",
           "trace syscalls:* { error('boo') }",
           "var f = print trace syscalls:* { f(e.name, e) print(type(pid), -pid, ~pid, !pid, pid ^ 1) }",
       }) {
    std::cout << "---- " << source << "\n" << TestWorld(source).lower({read_event(), write_event()}) << "\n";
  }
}

}  // namespace
}  // namespace ktap::lower
