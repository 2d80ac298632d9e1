// The reference: every handler in the VM, on events made by hand.
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "handlers/sides.h"
#include "lower/event_reads.h"
#include "session/event_view.h"

namespace ktap::differential {
namespace {

using runtime::Value;
using schema::BuiltinVar;

/// A happening as the VM sees it: everything is read straight from this process.
class DirectEvent final : public vm::EventContext {
 public:
  DirectEvent(const Happening& happening, const Ground& ground, runtime::Heap& heap)
      : happening_(happening), event_(*happening.event), ground_(ground), heap_(heap) {}

  bool var(BuiltinVar var, Value* out, std::string* error) override {
    switch (var) {
      case BuiltinVar::Pid:
        return give(getpid(), out);
      case BuiltinVar::Tid:
        return give(ground_.actors->tid(), out);
      case BuiltinVar::Ppid:
        return give(getppid(), out);
      case BuiltinVar::Uid:
        return give(getuid(), out);
      case BuiltinVar::Gid:
        return give(getgid(), out);
      case BuiltinVar::Cpu:
        return give(ground_.actors->cpu(), out);
      case BuiltinVar::Ns:
        return give(int64_t{1} << 40, out);
      case BuiltinVar::Execname:
        *out = heap_.string(ground_.actors->name());
        return true;
      case BuiltinVar::Probename:
        *out = heap_.string(event_.name);
        return true;
      case BuiltinVar::Argstr:
        *out = heap_.string(ground_.catalog == nullptr
                                ? event_.name
                                : ground_.catalog->render_words(event_, happening_.words));
        return true;
      default:
        if (read(lower::read_variable(event_, var), out)) return true;
        *error = "the event gives no such variable";
        return false;
    }
  }
  bool field(std::string_view name, Value* out) override {
    return read(lower::read_field(event_, std::string(name)), out);
  }
  bool member(std::string_view name, Value* out) override {
    return read(lower::read_member(event_, std::string(name)), out);
  }
  bool read_string(bool is_user, int64_t address, int64_t limit_bytes, Value* out,
                   std::string*) override {
    *out = path_at(address, limit_bytes, [&](size_t i) {
      return is_user ? reinterpret_cast<uint64_t>(path_memory(i).data())
                     : ground_.kernel_paths() + joined_offset(i);
    });
    return true;
  }

 private:
  template <class Where>
  Value path_at(int64_t address, int64_t limit_bytes, Where where) {
    const auto limit =
        static_cast<size_t>(std::clamp<int64_t>(limit_bytes, 1, limits::kMaxStringBytes));
    for (size_t i = 0; i < paths().size(); ++i) {
      const std::string_view bytes = path_memory(i);
      const uint64_t offset = static_cast<uint64_t>(address) - where(i);
      if (offset >= bytes.size()) continue;
      return heap_.string(bytes.substr(offset, bytes.size() - 1 - offset).substr(0, limit));
    }
    return Value::nil();
  }

  static bool give(int64_t number, Value* out) {
    *out = Value::of(number);
    return true;
  }

  bool read(const lower::EventRead& read, Value* out) const {
    switch (read.kind) {
      case lower::EventRead::Kind::Field:
        return give(word(read.field), out);
      case lower::EventRead::Kind::Nil:
        *out = Value::nil();
        return true;
      case lower::EventRead::Kind::Bool:
        *out = Value::of(read.boolean);
        return true;
      default:
        return false;
    }
  }

  /// The word, as wide as its C type says.
  int64_t word(size_t field) const {
    const uint64_t bits = happening_.words[field];
    const schema::Field& info = event_.fields[field];
    const uint32_t unused = 64 - 8 * info.size_bytes;
    if (info.is_signed) return static_cast<int64_t>(bits << unused) >> unused;
    return static_cast<int64_t>(bits << unused >> unused);
  }

  const Happening& happening_;
  const schema::Event& event_;
  const Ground& ground_;
  runtime::Heap& heap_;
};

class Reference {
 public:
  Reference(ScriptRun& run, const Ground& ground) : run_(run), ground_(ground) {
    for (const session::Registration& registration : run.host->registrations())
      events_.push_back(match_events(registration.event_text));
  }

  void happen(const Happening& happening) {
    if (happening.kind == Happening::Kind::Thread)
      return ground_.actors->choose_thread(happening.words[0]);
    if (happening.kind == Happening::Kind::Cpu)
      return ground_.actors->choose_cpu(happening.words[0]);
    const std::vector<session::Registration>& all = run_.host->registrations();
    for (size_t i = 0; i < all.size() && !run_.over(); ++i) {
      if (happening.event == nullptr) {
        if (all[i].kind != bytecode::HandlerKind::Tick) continue;
        session::TickView view(run_.vm->heap(), all[i].event_text);
        run_.call(all[i], view, true);
        continue;
      }
      if (all[i].kind != bytecode::HandlerKind::Event || !run_.sees(ground_.actors->cpu()))
        continue;
      if (std::find(events_[i].begin(), events_[i].end(), happening.event) == events_[i].end())
        continue;
      DirectEvent view(happening, ground_, run_.vm->heap());
      run_.call(all[i], view, true);
    }
  }

  void end() {
    const bool exited = run_.host->exited();
    for (const session::Registration& registration : run_.host->registrations()) {
      if (registration.kind != bytecode::HandlerKind::End) continue;
      if (!exited && run_.host->exited()) return;
      const auto error = run_.vm->call(registration.handler.function, {},
                                       vm::Budget{-1, limits::kMainCallDepth}, nullptr);
      if (error) run_.errors.add(*error);
    }
  }

 private:
  ScriptRun& run_;
  const Ground& ground_;
  std::vector<std::vector<schema::EventPtr>> events_;  // by registration
};

}  // namespace

std::string run_in_vm(const std::string& script, const Ground& ground, bool attached,
                      Outcome* outcome) {
  ScriptRun run(script);
  std::string reason = run.start();
  if (!reason.empty()) return reason;
  ground.actors->reset();
  Reference reference(run, ground);
  for (const Happening& happening : happenings_of(script, ground.kernel_paths(), attached)) {
    if (run.over() || run.is_too_large()) break;
    reference.happen(happening);
  }
  reference.end();
  if (run.is_too_large()) return "it prints or keeps too much to be judged\n";
  *outcome = run.outcome();
  return "";
}

}  // namespace ktap::differential
