// For tests of `lower`: a script run up to the freeze, handlers lowered on events made by hand, all
// as text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytecode/chunk.h"
#include "lower/lower.h"
#include "schema/event.h"

namespace ktap::vm {
class Vm;
}

namespace ktap::lower {

schema::EventPtr syscall_enter(const std::string& name, int64_t number,
                               std::vector<schema::Field> args);
schema::EventPtr syscall_exit(const std::string& name, int64_t number);
/// sched:sched_switch with prev_comm[16], prev_pid, next_comm[16], next_pid (ints), and an opaque
/// `set`.
schema::EventPtr sched_switch();
schema::Field int_field(const std::string& name, uint32_t size_bytes = 8, bool is_signed = false);

/// Runs the main chunk of `source` and freezes; handlers in the order of registration.
class TestWorld {
 public:
  explicit TestWorld(const std::string& source, std::vector<std::string> args = {"script"});
  ~TestWorld();

  /// "mistake LINE: TEXT" for each name that the events do not have, "" for none.
  std::string mistakes(const std::vector<schema::EventPtr>& events, size_t handler = 0);
  /// The lowered form, or "refused LINE: TEXT", or mistakes().
  std::string lower(const std::vector<schema::EventPtr>& events, size_t handler = 0);
  std::string capture(const std::vector<schema::EventPtr>& events, size_t handler = 0);
  std::vector<ssa::EventGroup> groups(const std::vector<schema::EventPtr>& events,
                                      size_t handler = 0);

  std::vector<Handler> handlers;
  World world;
  bytecode::ReaderUses readers;
  Options options;
  Linkage linkage;
  std::unique_ptr<bytecode::Chunk> chunk;
  std::unique_ptr<ssa::Function> function;  ///< the last one

 private:
  class Host;
  std::string text(Lowered lowered);

  std::unique_ptr<Host> host_;
  std::unique_ptr<vm::Vm> vm_;
};

}  // namespace ktap::lower
