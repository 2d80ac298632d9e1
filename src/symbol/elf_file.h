// The functions of a program or library on disk: name → where in the file a probe goes, address →
// name. Symbols come from .symtab, .dynsym, .gnu_debugdata and the separate debug file, whichever
// there are; names stay where the file has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "symbol/elf_image.h"
#include "sys/mapped_file.h"

namespace ktap::symbol {

struct FunctionSymbol {
  std::string_view name;     ///< as in the file, without a version; lives as long as the ElfFile
  uint64_t address = 0;      ///< as `nm` prints it
  uint64_t size_bytes = 0;   ///< 0: not known
  uint64_t file_offset = 0;  ///< what a uprobe takes
  bool is_global = false;    ///< global or weak: seen from other files
  bool is_ifunc = false;     ///< run once, when it is linked, to choose the function
  bool is_thumb = false;     ///< 32-bit arm: Thumb code
};

/// Of two names of one place, is `a` the one that people know? Global before local, few underscores
/// in front, short.
bool is_better_name(const FunctionSymbol& a, const FunctionSymbol& b);

/// "malloc+0x12".
struct FunctionPlace {
  FunctionSymbol function;
  uint64_t offset = 0;
};

struct VariableSymbol {
  uint64_t address = 0;     ///< as `nm` prints it
  uint64_t size_bytes = 0;  ///< 0: not known
  bool is_thread_local = false;
  friend auto operator<=>(const VariableSymbol&, const VariableSymbol&) = default;
};

struct ElfOptions {
  /// Before the path and the folder of debug files: `/proc/7/root` for a file of that process.
  std::string root;
  std::string debug_folder = "/usr/lib/debug";
  bool separate_debug_files = true;
  bool any_machine = false;  ///< also what cannot run here
};

class ElfFile {
 public:
  /// Errors: "/x: no such file", "/x: not an ELF file", "/x: an ELF file for arm64, but this
  /// machine is x86-64", "/x: an object file, not a program or library", …
  static Result<ElfFile> open(const std::string& path, const ElfOptions& options = {});
  /// An ELF file that lies in memory (the vdso); `name` stands for its path. No debug file is
  /// looked for. Errors: as open's. Requires that `bytes` outlives it.
  static Result<ElfFile> from_memory(Bytes bytes, const std::string& name,
                                     const ElfOptions& options = {});
  ElfFile(ElfFile&&) noexcept;
  ElfFile& operator=(ElfFile&&) noexcept;
  ~ElfFile();

  /// Within its root.
  const std::string& path() const;
  /// As we open it.
  std::string full_path() const;
  const ElfImage& image() const;
  /// All zero for one from memory.
  sys::FileIdentity identity() const;
  /// As MappedFile has it; 0 for one from memory.
  int64_t changed_ns() const;
  /// In lower-case hex; "" when it has none.
  const std::string& build_id() const;
  /// The separate debug file that was found; "" when there is none.
  const std::string& debug_path() const;

  /// The whole file that has the debug information (.debug_info): this one, or the separate debug
  /// file. Empty: there is none. Lives as long as the ElfFile.
  Bytes debug_information() const;

  /// All functions of that name by address, each (name, address) once: several static ones, or the
  /// versions of one. Else those whose demangled name it is, with or without the parameter list
  /// (`Foo::bar`, `Foo::bar(int)`) and tags (`Foo::bar[abi:cxx11]`).
  /// Cost: a walk over the symbols, 10 ns each; demangles only names that hold `name`'s words.
  std::vector<FunctionSymbol> find(std::string_view name) const;
  /// All functions whose name, or demangled name with or without parameters, matches the glob.
  std::vector<FunctionSymbol> glob(std::string_view pattern) const;
  /// For "did you mean": names (demangled where they are mangled), best first.
  std::vector<std::string> nearest(std::string_view name, size_t most = 3) const;
  /// Why find() or glob() found nothing, for an error: "no function 'mallco' in /x; did you mean
  /// 'malloc'?", "'malloc' is not in /x itself, which takes it from a library", "/x has no function
  /// symbols (it was stripped); …". `near`, if given, gets the names that may be meant, and the
  /// text says none.
  std::string why_missing(std::string_view name, std::vector<std::string>* near = nullptr) const;
  /// All variables of that name, plain or demangled, by address; else those that functions have for
  /// themselves by it (`calls.0`).
  std::vector<VariableSymbol> find_variables(std::string_view name) const;
  /// Why find_variables() found nothing, as why_missing().
  std::string why_no_variable(std::string_view name) const;
  /// All functions by address, then name. Built when first asked for.
  const std::vector<FunctionSymbol>& functions() const;
  /// The function that holds `address`; of several names of one place that which people know
  /// (global, few underscores, short).
  std::optional<FunctionPlace> at(uint64_t address) const;

  /// Where in the file the code at `address` lies (`probe:PATH:0xADDR`).
  std::optional<uint64_t> file_offset(uint64_t address) const;

 private:
  struct State;
  explicit ElfFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ktap::symbol
