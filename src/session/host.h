// The VM's host: takes the registrations of the main chunk, carries output, exit() and the current
// event.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bytecode/chunk.h"
#include "diag/diagnostic.h"
#include "session/kernel_data.h"
#include "session/output.h"
#include "session/plan.h"
#include "session/stack_names.h"
#include "vm/host.h"
#include "vm/vm.h"

namespace ktap::session {

class ScriptHost final : public vm::Host {
 public:
  /// All outlive the host. `timestamps` is -T.
  ScriptHost(const bytecode::Chunk& chunk, const diag::Source& source, Output& output,
             bool timestamps)
      : chunk_(chunk), source_(source), output_(output), timestamps_(timestamps) {}

  /// --unsafe.
  void allow_unsafe() { is_unsafe_ = true; }
  /// The VM is made with the host and told to it afterwards.
  void set_vm(vm::Vm* vm) {
    vm_ = vm;
    vm->heap().set_stack_names(&stack_names_);
  }
  StackNamer& stack_names() { return stack_names_; }

  void write(std::string_view text) override;
  void write_warning(std::string_view text) override { output_.write_warning(text); }
  Canvas canvas() override;
  Result<void> write_file(const std::string& path, std::string_view text) override;
  vm::EventContext* event() override { return event_; }
  std::string register_handler(bytecode::HandlerKind kind, std::string_view event_text,
                               runtime::Value filter, runtime::Value handler,
                               const bytecode::Place& place) override;
  void request_exit(int64_t status, bool given) override;
  int64_t now_ns(vm::Clock clock) override;
  std::string local_time(std::string_view format, int64_t time_ns) override;
  uint64_t random_seed() override;
  Result<int64_t> run_command(std::string_view command) override;
  int64_t cpu_count() override;
  std::string machine() override;
  std::string kernel_release() override;
  std::string syscall_name(int64_t number) override;
  Result<schema::CType> cast_target(std::string_view text) override;
  Result<std::string> enum_name(std::string_view type, int64_t value) override;
  Result<int64_t> kernel_symbol(std::string_view name) override;
  std::string kernel_name(int64_t address) override;
  std::string user_name(int64_t pid, int64_t address) override;

  /// What of the machine is a constant in handlers. The host outlives it. `user_types`: of the
  /// programs that events are in, or null.
  lower::Machine machine_facts(const schema::KernelTypes* user_types);

  /// The kernel's types; null: it does not tell them.
  const schema::KernelTypes* kernel_types() { return kernel_.types(); }
  std::shared_ptr<sys::KernelTypes> shared_types() const { return kernel_.shared_types(); }

  std::vector<Registration>& registrations() { return registrations_; }
  /// The filters of computed event texts: code of the script that is not in its main chunk.
  const std::vector<std::unique_ptr<bytecode::Function>>& computed_filters() const {
    return filters_;
  }
  /// The handlers and their filters.
  void mark(runtime::Heap& heap) const;
  /// After the main chunk a registration is a run-time error.
  void freeze() { frozen_ = true; }
  /// Registrations are taken again (an entry at the prompt is a main chunk of its own).
  void thaw() { frozen_ = false; }

  bool exited() const { return exited_; }
  /// What exited() was; false from now on. The status stays.
  bool take_exit() { return std::exchange(exited_, false); }
  /// n & 255 of exit(n); 0 when none was given.
  int exit_status() const { return exit_status_; }

  /// One run of a handler at `event`: its filter first when `filter`, then, when that holds, its
  /// function. The loops of both have one budget.
  std::optional<vm::RuntimeError> run_handler(const lower::Handler& handler,
                                              vm::EventContext* event, int64_t time_ns,
                                              bool filter);
  /// For the time of one handler run: the event, and the time that -T prints.
  void begin_handler(vm::EventContext* event, int64_t time_ns);
  void end_handler();
  /// Output of a kernel site, with its own time.
  void write_at(std::string_view text, int64_t time_ns);

 private:
  void split_filter(std::string& text, runtime::Value& filter, const bytecode::Place& place,
                    bool is_timer, diag::Sink& mistakes);

  KernelData kernel_;
  StackNamer stack_names_{kernel_};
  const bytecode::Chunk& chunk_;
  const diag::Source& source_;
  Output& output_;
  const bool timestamps_;
  bool begins_line_ = true;  // what is printed next does
  vm::Vm* vm_ = nullptr;
  vm::EventContext* event_ = nullptr;
  std::optional<int64_t> handler_time_ns_;
  std::vector<Registration> registrations_;
  std::vector<std::unique_ptr<bytecode::Function>> filters_;  ///< of computed event texts
  bool is_unsafe_ = false;
  bool frozen_ = false;
  bool exited_ = false;
  int exit_status_ = 0;
};

}  // namespace ktap::session
