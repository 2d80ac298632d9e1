// Symbols of the running kernel and its modules, from /proc/kallsyms: 200 000 lines, read in one go
// when first needed and searched where they lie. Only address → name keeps a table.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ktap::symbol {

struct KernelSymbol {
  std::string_view name;    ///< lives as long as the Kallsyms
  std::string_view module;  ///< without brackets; "" for the kernel itself
  uint64_t address = 0;     ///< 0 where addresses are hidden from us
  char type = 0;            ///< as `nm` writes it: T and W global, t and w local functions

  bool is_function() const { return type == 't' || type == 'T' || type == 'w' || type == 'W'; }
};

/// "vfs_read+0x12 [module]".
struct KernelPlace {
  KernelSymbol symbol;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;  ///< up to the next symbol; 0: it is the last
};

class Kallsyms {
 public:
  /// Errors: "reading /proc/kallsyms: …"; a kernel without it.
  /// Cost: 40 ms, nearly all of it the kernel's.
  static Result<Kallsyms> read();
  explicit Kallsyms(std::string text);
  Kallsyms(Kallsyms&&) noexcept;
  Kallsyms& operator=(Kallsyms&&) noexcept;
  ~Kallsyms();

  /// An error when the kernel shows all addresses as 0: names are good, addresses are not to be
  /// had. Says what to change.
  Result<void> check_addresses() const;

  /// All symbols of that name, data too: static functions of one name are several.
  std::vector<KernelSymbol> find(std::string_view name) const;
  /// Functions whose name matches, in the file's order; each (name, address) as often as it is
  /// there. `module`: a glob for the module, "" for the kernel alone, "*" for all.
  std::vector<KernelSymbol> glob(std::string_view pattern, std::string_view module = "*") const;
  /// Functions at these addresses, by all of their names. Cost: 3 ms.
  std::vector<KernelSymbol> functions_at(const std::set<uint64_t>& addresses) const;
  /// Names of functions for "did you mean", best first.
  std::vector<std::string> nearest(std::string_view name, size_t most = 3) const;
  /// The symbol at or before `address`; nothing for addresses of user space, far behind the last
  /// symbol, or where addresses are hidden. Of several names of one place a function's global one.
  /// Cost: 10 ms the first time, then a binary search.
  std::optional<KernelPlace> at(uint64_t address) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "vfs_read+0x12 [xfs]".
std::string to_string(const KernelPlace& place);

}  // namespace ktap::symbol
