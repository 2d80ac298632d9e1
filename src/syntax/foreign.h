// What people write who know another tracer or language (bpftrace, DTrace, SystemTap, C, Lua,
// Python), and how ktap writes the same: for hints alone, nothing here is accepted.
#pragma once

#include <string>
#include <string_view>

namespace ktap::syntax {

/// A hint for a word that begins a statement elsewhere ("int", "foreach"); "" for any other.
std::string_view foreign_statement(std::string_view word);

/// What ktap has in place of a variable or function of another tracer: "execname" for "comm",
/// "user_string(p)" for "str"; "" for any other.
std::string_view foreign_name(std::string_view name);

/// A hint for the cast at the start of `text`: `(int)`, `(unsigned long)`, `(struct file *)`; ""
/// where the parentheses hold no type of C.
std::string cast_hint(std::string_view text);

/// How ktap writes what stands before the body of a probe: "trace probe:vfs_read" for
/// "kprobe:vfs_read" and for `probe kernel.function("vfs_read")`, "tick-1s" for "interval:s:1",
/// "trace_end" for "END". "" when it is no probe of bpftrace, DTrace or SystemTap that is known.
std::string ktap_probe(std::string_view head);

/// A hint for `@name[key] = count()` and its like; `text` begins at the '@', `before` ends there.
std::string map_hint(std::string_view text, std::string_view before = {});
/// A hint for `$1`, `$name`; `text` begins at the '$'.
std::string dollar_hint(std::string_view text);

}  // namespace ktap::syntax
