// Functions by hand that use every operation which random ones do not: event fields, strings, raw
// records, filters. select_test.cc runs them on the test machine and looks at the results;
// kernel_test.cc loads them all.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "backend/test_support.h"

namespace ktap::backend::testing_support {

using schema::BuiltinVar;
using schema::EventKind;

inline ValueId variable(Builder& b, BuiltinVar var) {
  return b.op(Op::EventVar, {}, static_cast<int64_t>(var), Type::Int);
}
inline ValueId execname(Builder& b) {
  return b.bytes(Op::EventVar, 16, static_cast<int64_t>(BuiltinVar::Execname));
}
inline ValueId probename(Builder& b) {
  ValueId id = b.op(Op::EventVar, {}, static_cast<int64_t>(BuiltinVar::Probename), Type::Str);
  b.function[id].str_kind = ssa::StrKind::Id;
  return id;
}
inline ValueId field(Builder& b, int64_t index) {
  return b.op(Op::EventField, {}, index, Type::Int);
}

inline ssa::SiteArg bytes_arg(uint32_t max) { return {Type::Str, ssa::StrKind::Bytes, max}; }
inline ssa::SiteArg id_arg() { return {Type::Str, ssa::StrKind::Id, 0}; }

/// Two names, all variables, three fields, a raw copy.
inline void syscall_enter(Subject& s) {
  s.group.events = {syscall_event(EventKind::SyscallEnter, "sys_enter_read", 0),
                    syscall_event(EventKind::SyscallEnter, "sys_enter_pread64", 17)};
  s.group.name_ids = {s.module.intern("sys_enter_read"), s.module.intern("sys_enter_pread64")};
  std::vector<ssa::SiteArg> args(12, ssa::SiteArg{Type::Int});
  args.push_back(id_arg());
  s.add_site(args, ssa::RawEvent::Record);
  Builder& b = s.builder;
  b.at(b.block());
  std::vector<ValueId> values;
  for (BuiltinVar var : {BuiltinVar::Pid, BuiltinVar::Tid, BuiltinVar::Uid, BuiltinVar::Gid,
                         BuiltinVar::Cpu, BuiltinVar::Ns, BuiltinVar::Cgroup}) {
    values.push_back(variable(b, var));
  }
  for (int64_t i = 0; i < 4; ++i) values.push_back(field(b, i));
  values.push_back(b.op(Op::Add, {values[0], values[1]}));
  values.push_back(probename(b));
  b.op(Op::Emit, values, 0);
  b.ret();
}

inline void syscall_exit(Subject& s) {
  s.group.kind = EventKind::SyscallExit;
  s.group.events = {syscall_event(EventKind::SyscallExit, "sys_exit_read", 0),
                    syscall_event(EventKind::SyscallExit, "sys_exit_pread64", 17)};
  s.group.name_ids = {s.module.intern("sys_exit_read"), s.module.intern("sys_exit_pread64")};
  s.add_site({{Type::Int}, {Type::Int}, id_arg()}, ssa::RawEvent::Record);
  Builder& b = s.builder;
  b.at(b.block());
  b.op(Op::Emit, {field(b, 0), field(b, 1), probename(b)}, 0);
  b.ret();
}

/// Every field of record_event(), and the raw record.
inline void tracepoint(Subject& s) {
  s.group.kind = EventKind::Tracepoint;
  s.group.events = {record_event()};
  s.group.name_ids = {s.module.intern("sched_switch")};
  Builder& b = s.builder;
  b.at(b.block());
  std::vector<ssa::SiteArg> args;
  std::vector<ValueId> values;
  const auto& fields = s.group.events[0]->fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    bool is_char = fields[i].kind == schema::FieldKind::CharArray;
    bool is_string = is_char || fields[i].kind == schema::FieldKind::DynString ||
                     fields[i].kind == schema::FieldKind::RelString;
    if (is_string) {
      args.push_back(bytes_arg(is_char ? 16 : 64));
      values.push_back(b.bytes(Op::EventField, is_char ? 16 : 64, static_cast<int64_t>(i)));
    } else {
      args.push_back({Type::Int});
      values.push_back(field(b, static_cast<int64_t>(i)));
    }
  }
  s.add_site(args, ssa::RawEvent::Record);
  b.op(Op::Emit, values, 0);
  b.ret();
}

/// A tracepoint of which nothing is read: a raw one.
inline void tracepoint_name_only(Subject& s) {
  s.group.kind = EventKind::Tracepoint;
  s.group.events = {record_event()};
  s.group.name_ids = {s.module.intern("sched_switch")};
  s.add_table({{ssa::KeyPart::Kind::StrId, 8}}, false);
  Builder& b = s.builder;
  b.at(b.block());
  b.op(Op::TableAdd, {probename(b), b.integer(1)}, 0);
  b.ret();
}

/// user_string(args.buf): counted by text, sent, nil when it cannot be read. 256 bytes: all in
/// scratch.
inline void user_text(Subject& s) {
  s.add_table({{ssa::KeyPart::Kind::Bytes, 256}, {ssa::KeyPart::Kind::Int, 8}}, false);
  s.add_site({{Type::MaybeStr, ssa::StrKind::Bytes, 256}});
  Builder& b = s.builder;
  BlockId entry = b.block(), there = b.block(), done = b.block();
  b.at(entry);
  ValueId text = b.bytes(Op::UserString, 256, 256, {field(b, 2)}, Type::MaybeStr);
  b.op(Op::Emit, {text}, 0);
  b.branch(b.op(Op::IsNil, {text}), done, there);
  b.at(there);
  ValueId bytes = b.bytes(Op::Unwrap, 256, 0, {text});
  b.op(Op::TableAdd, {bytes, b.integer(5), b.integer(2)}, 0);
  b.jump(done);
  b.at(done);
  b.ret();
}

constexpr char kUserText[] = "a longer text";

/// A phi of execname (cell 0 is 0) and the string of 16 bytes at the user address in cell 1; nil
/// ends the run.
inline void merged_text(Subject& s) {
  s.cells = {1, reinterpret_cast<int64_t>(kUserText)};
  s.module.cells = {"c", "address"};
  s.add_site({bytes_arg(16), {Type::Bool}, {Type::Bool}, {Type::Bool}});
  Builder& b = s.builder;
  BlockId entry = b.block(), read = b.block(), nil = b.block(), there = b.block();
  BlockId no = b.block(), join = b.block();
  b.at(entry);
  ValueId comm = execname(b);
  b.branch(b.op(Op::Ne, {b.op(Op::CellGet, {}, 0), b.integer(0)}), read, no);
  b.at(read);
  ValueId text = b.bytes(Op::UserString, 16, 16, {b.op(Op::CellGet, {}, 1)}, Type::MaybeStr);
  b.branch(b.op(Op::IsNil, {text}), nil, there);
  b.at(nil);
  b.ret();
  b.at(there);
  ValueId bytes = b.bytes(Op::Unwrap, 16, 0, {text});
  b.jump(join);
  b.at(no);
  b.jump(join);
  b.at(join);
  ValueId merged = b.bytes(Op::Phi, 16, 0, {bytes, comm});
  ValueId same = b.op(Op::StrEq, {merged, comm});
  ValueId starts = b.op(Op::StrGlob, {merged}, s.module.intern("a*"));
  ValueId is_it = b.op(Op::StrEq, {b.op(Op::ConstStr, {}, s.module.intern(kUserText)), merged});
  b.op(Op::Emit, {merged, same, starts, is_it}, 0);
  b.ret();
}

/// One system call, one process, one CPU, after exec.
inline void filtered(Subject& s) {
  s.options.target_tgid = 100;
  s.options.cpu = 0;
  s.options.wait_for_exec = true;
  s.add_site({{Type::Int}, {Type::Int}});
  Builder& b = s.builder;
  b.at(b.block());
  b.op(Op::Emit, {variable(b, BuiltinVar::Pid), variable(b, BuiltinVar::Cpu)}, 0);
  b.ret();
}

/// `count` integers alive at one time.
inline void many_alive(Subject& s, int count) {
  s.module.cells = {"c"};
  s.cells = {1};
  Builder& b = s.builder;
  b.at(b.block());
  std::vector<ValueId> values;
  for (int i = 0; i < count; ++i) values.push_back(b.op(Op::CellGet, {}, 0));
  ValueId sum = values[0];
  for (int i = 1; i < count; ++i) sum = b.op(Op::Add, {sum, values[static_cast<size_t>(i)]});
  b.op(Op::CellSet, {sum}, 0);
  b.ret();
}

/// Short strings that do not fit the stack together: they go to scratch.
inline void many_texts(Subject& s) {
  std::vector<ssa::SiteArg> args(30, bytes_arg(16));
  s.add_site(args);
  s.add_table({{ssa::KeyPart::Kind::Bytes, 16}}, true);
  Builder& b = s.builder;
  b.at(b.block());
  std::vector<ValueId> values;
  for (int i = 0; i < 30; ++i) values.push_back(execname(b));
  b.op(Op::Emit, values, 0);
  b.op(Op::TableSet, {values[7], b.integer(1)}, 0);
  b.ret();
}

/// Prefix, suffix and middle of 256 bytes, all branches kept.
inline void wide_globs(Subject& s) {
  s.add_site({{Type::Bool}, {Type::Bool}, {Type::Bool}});
  Builder& b = s.builder;
  BlockId entry = b.block(), there = b.block(), done = b.block();
  b.at(entry);
  ValueId text = b.bytes(Op::UserString, 256, 256, {field(b, 2)}, Type::MaybeStr);
  b.branch(b.op(Op::IsNil, {text}), done, there);
  b.at(there);
  ValueId bytes = b.bytes(Op::Unwrap, 256, 0, {text});
  std::vector<ValueId> hits;
  for (const char* glob : {"/proc/*", "*.conf", "*lib64*"}) {
    hits.push_back(b.op(Op::StrGlob, {bytes}, s.module.intern(glob)));
  }
  b.op(Op::Emit, hits, 0);
  b.jump(done);
  b.at(done);
  b.ret();
}

/// Five rounds of a, b = b, a: phis that read each other. Cell 0 is 21 at the end.
inline void swapping_loop(Subject& s) {
  s.module.cells = {"c"};
  s.cells = {0};
  Builder& b = s.builder;
  BlockId entry = b.block(), head = b.block(), body = b.block(), done = b.block();
  b.at(entry);
  ValueId zero = b.integer(0), one = b.integer(1), two = b.integer(2);
  b.jump(head);
  b.at(head);
  ValueId i = b.op(Op::Phi, {zero}, 0, Type::Int);
  ValueId x = b.op(Op::Phi, {one}, 0, Type::Int);
  ValueId y = b.op(Op::Phi, {two}, 0, Type::Int);
  b.branch(b.op(Op::Lt, {i, b.integer(5)}), body, done);
  b.at(body);
  ValueId next = b.op(Op::Add, {i, one});
  b.jump(head);
  b.function[i].operands.push_back(next);
  b.function[x].operands.push_back(y);
  b.function[y].operands.push_back(x);
  b.at(done);
  b.op(Op::CellSet, {b.op(Op::Add, {b.op(Op::Mul, {x, b.integer(10)}), y})}, 0);
  b.ret();
}

struct NamedSubject {
  const char* name;
  void (*build)(Subject&);
};
inline std::vector<NamedSubject> all_subjects() {
  return {{"syscall_enter", syscall_enter}, {"syscall_exit", syscall_exit},
          {"tracepoint", tracepoint},       {"tracepoint_name_only", tracepoint_name_only},
          {"user_text", user_text},         {"merged_text", merged_text},
          {"filtered", filtered},           {"most_alive", [](Subject& s) { many_alive(s, 64); }},
          {"many_texts", many_texts},       {"wide_globs", wide_globs},
          {"swapping_loop", swapping_loop}};
}

}  // namespace ktap::backend::testing_support
