// Event text → the events of this kernel. One provider a file; the table of providers is
// providers.def.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schema/event.h"
#include "sys/kernel_types.h"

namespace ktap::event {

/// One part of an event list: "syscalls:sys_enter_*", or an exclusion "~sys_enter_futex".
struct Pattern {
  std::string text;
  bool exclude = false;
  uint32_t offset = 0;  ///< in the event text
};

/// Splits a list (language, section 7): commas outside brackets, `~GLOB` exclusions after blanks.
/// Pure.
std::vector<Pattern> split_patterns(std::string_view text);

/// What an event text means here: the events, or what is wrong with one of its parts.
struct Mistake {
  std::string text;                  ///< "no event matches 'sched:sched_swich'"
  std::vector<std::string> nearest;  ///< event names, best first
  uint32_t offset = 0;
  uint32_t length = 0;
  bool is_unavailable = false;  ///< this kernel cannot give this kind of event
};
struct Matches {
  std::vector<schema::EventPtr> events;  ///< in tracefs order, each once
  std::vector<Mistake> mistakes;
  std::vector<Mistake> warnings;   ///< what is traced is less than it seems
  std::vector<Mistake> dangers;    ///< what tracing may do to who is traced
  std::vector<Mistake> unproved;   ///< places that may lie within an instruction
  std::vector<std::string> notes;  ///< for -v: what a glob leaves out, and why
};

/// What is wrong with a part as a whole.
Mistake mistake(const Pattern& pattern, std::string text);

/// One kind of events, told by the prefix of event text. Owner: the catalog.
class Provider {
 public:
  virtual ~Provider() = default;
  /// Whose files are meant (its root, its libraries); without it ours. Comes before all else.
  virtual void set_target(pid_t pid) { (void)pid; }
  /// What the pointers in its events' fields lead to in the kernel; without it, of its own making.
  virtual void set_kernel_types(std::shared_ptr<sys::KernelTypes> types) { (void)types; }
  /// Whether anybody reads what its events carry; without it, yes. If not, types that take long to
  /// find may be left out. Comes before include().
  virtual void set_fields_are_read(bool are_read) { (void)are_read; }
  /// Adds the events that the part names, in their order, or a mistake. The same event has the same
  /// pointer each time. Requires: the part is no exclusion and has the provider's prefix.
  virtual void include(const Pattern& pattern, Matches* out) = 0;
  /// Adds the full names of the events that match; "": all that can be counted.
  virtual void list(std::string_view glob, std::vector<std::string>* out) = 0;
  /// Does an exclusion mean the event, besides by its name and its symbol: an alias, a C++ name?
  /// `by_letter`: it is a name, no glob.
  virtual bool is_also_called(const schema::Event& event, std::string_view glob, bool by_letter) {
    (void)event;
    (void)glob;
    (void)by_letter;
    return false;
  }
  /// Are they the same, by another name? Two of its events.
  virtual bool is_same_place(const schema::Event& a, const schema::Event& b) const {
    return &a == &b;
  }
  /// An event lies in memory whose place is known once the traced command is there: it is to be
  /// held behind its exec, and set_process() called.
  virtual bool wants_process() const { return false; }
  /// Errors: it has not the memory that an event is about.
  virtual Result<void> set_process(pid_t pid) {
    (void)pid;
    return {};
  }
  /// What the pointers in its events' fields lead to in processes; null: they are addresses alone.
  virtual const schema::KernelTypes* user_types() const { return nullptr; }
};

// Makers of providers.def.
std::unique_ptr<Provider> function_probes();
std::unique_ptr<Provider> function_trace();
std::unique_ptr<Provider> markers();
std::unique_ptr<Provider> memory_breakpoints();
std::unique_ptr<Provider> software_events();
std::unique_ptr<Provider> hardware_events();
std::unique_ptr<Provider> cache_events();
std::unique_ptr<Provider> profile_timers();

/// A field of an event that gives registers, of 8 bytes: addresses print in hex.
schema::Field register_field(std::string name, schema::Fetch::Base base, int64_t at = 0);

/// All events that this machine offers. Reads names at once, formats only of events that are used.
class Catalog {
 public:
  /// Errors: no tracefs, no permission — with what to do.
  static Result<std::unique_ptr<Catalog>> open();
  /// The other kinds of events alone, where tracefs cannot be read; `why` is what match() then says
  /// of a tracepoint.
  static std::unique_ptr<Catalog> without_tracepoints(std::string why = {});
  /// open(), or without_tracepoints() with the reason.
  static std::unique_ptr<Catalog> open_what_is_there();
  virtual ~Catalog() = default;

  /// Names of files mean what that process calls so (its root, its libraries). Before match().
  virtual void set_target(pid_t pid) = 0;
  /// The kernel's types, for all who read what its events lead to. Before match().
  virtual void set_kernel_types(std::shared_ptr<sys::KernelTypes> types) = 0;
  /// Whether anybody reads what events carry; if not, their fields may lack types that take long to
  /// find. Before match().
  virtual void set_fields_are_read(bool are_read) = 0;
  virtual Matches match(std::string_view event_text) = 0;
  /// Provider's, of all that were matched.
  virtual bool wants_process() const = 0;
  virtual Result<void> set_process(pid_t pid) = 0;
  /// The types of the programs that its events are in; null: there are none.
  virtual const schema::KernelTypes* user_types() const = 0;
  /// `-le [GLOB]`: "system:name" of every event that matches.
  virtual std::vector<std::string> list(std::string_view glob) = 0;

  /// argstr of a system call event: `sys_read(fd: 3, buf: 7ffd8c90, count: 1000)`, `sys_read ->
  /// 0x20`. `words` is the number then 6 arguments, or the number then the result. Of probes and
  /// samples: a word for each field.
  virtual std::string render_words(const schema::Event& event, const uint64_t* words) = 0;
  /// argstr of another event by its print format, from the bytes of its record.
  virtual std::string render_record(const schema::Event& event, const uint8_t* data,
                                    size_t size_bytes, int cpu) = 0;
};

}  // namespace ktap::event
