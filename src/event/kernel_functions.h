// Functions of the kernel and its modules as events: `probe:SYM[+OFF][%return]` and
// `function:SYM`, plain names and globs.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "event/provider.h"
#include "symbol/kallsyms.h"
#include "sys/kernel_types.h"

namespace ktap::event {

/// What is asked for.
struct KernelPlace {
  std::string name;     ///< may be a glob
  uint64_t offset = 0;  ///< behind the function's beginning
  bool is_return = false;
  std::string fetches;                 ///< fetch arguments, as they are written
  std::vector<schema::Field> fetched;  ///< what they name; empty: the function's own arguments
  bool is_trace = false;               ///< of the function trace: `ip` and no more
};

/// The lists that say which functions there are, as text: for tests over made-up ones.
struct FunctionLists {
  std::string traceable;  ///< available_filter_functions: "NAME" or "NAME [MODULE]" a line
  std::string forbidden;  ///< kprobes/blacklist: "0xBEGIN-0xEND<tab>NAME" a line
  /// Whether probes can be set at all: by perf's kprobes, or the function tracer.
  bool has_kprobes = true;
  bool has_tracer = true;
  /// Probes may stand where functions begin; else each takes a trampoline.
  bool has_entry_probes = true;
};

class KernelFunctions {
 public:
  /// Over the machine's lists, read when first needed.
  KernelFunctions() = default;
  KernelFunctions(symbol::Kallsyms symbols, FunctionLists lists,
                  std::optional<bpf::BtfTypes> types = std::nullopt);

  void set_types(std::shared_ptr<sys::KernelTypes> types) { types_ = std::move(types); }

  /// Adds the functions that are meant, in the order of their names, or what is wrong.
  void include(const Pattern& pattern, const KernelPlace& place, Matches* out);
  /// Adds "probe:NAME" of each function that a glob reaches.
  void list(std::string_view glob, std::vector<std::string>* out);
  /// Does the glob, or by the letter the name, mean another name of the event's function?
  /// Cost: a walk over the kernel's symbols for each text, 10 ms.
  bool is_also_called(const schema::Event& event, std::string_view text, bool by_letter);
  /// `@NAME` of a fetch argument: what lies at that symbol.
  Result<schema::Fetch> variable(std::string_view name);

 private:
  /// "" when the lists are there; else why there is none.
  std::string read();
  void look_up(const std::vector<symbol::KernelSymbol>& functions);
  size_t listed(std::string_view name) const;
  bool is_forbidden(std::string_view name);
  std::string why_none() const;
  void include_one(const Pattern& pattern, const KernelPlace& place, Matches* out);
  void include_glob(const Pattern& pattern, const KernelPlace& place, Matches* out);
  void find_aliases(std::set<uint64_t> places);
  std::vector<std::string> nearest(const std::string& name);
  bool is_traceable(const symbol::KernelSymbol& symbol, size_t of_that_name) const;
  std::optional<bpf::BtfFunction> types_of(const symbol::KernelSymbol& symbol) const;
  schema::EventPtr event(const KernelPlace& place, const symbol::KernelSymbol& symbol,
                         size_t of_that_name);
  void add(const KernelPlace& place, const symbol::KernelSymbol& symbol, size_t of_that_name,
           Matches* out);

  std::optional<symbol::Kallsyms> symbols_;
  FunctionLists lists_;
  std::shared_ptr<sys::KernelTypes> types_ = std::make_shared<sys::KernelTypes>();
  std::unordered_map<std::string_view, size_t>
      listed_;                  ///< how many the tracer has, of names asked
  std::set<uint64_t> aliased_;  ///< traceable functions whose place the list has by another name
  bool has_forbidden_ = false;
  std::set<std::string_view> forbidden_;
  std::map<std::string, schema::EventPtr> known_;  ///< by name, address, fetch arguments
  std::map<std::string, std::vector<schema::EventPtr>> at_place_;  ///< differ in name alone
  std::string asked_;                                              ///< is_also_called's text
  std::unordered_set<uint64_t> asked_places_;  ///< of all functions that it means
};

}  // namespace ktap::event
