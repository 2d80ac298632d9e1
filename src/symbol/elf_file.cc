// Symbol tables are walked where they lie; only address → name keeps a sorted list, made when it is
// first asked for.
#include "symbol/elf_file.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/glob.h"
#include "base/name_brackets.h"
#include "base/printable.h"
#include "diag/diagnostic.h"
#include "symbol/debug_files.h"
#include "symbol/demangle.h"
#include "symbol/name_pattern.h"
#include "symbol/xz.h"

namespace ktap::symbol {

namespace {

constexpr size_t kMostMiniBytes = size_t{256} << 20;
/// For "did you mean": more would be felt.
constexpr size_t kMostDemangled = 100'000;
/// Steps back from an address in search of a function that encloses it.
constexpr size_t kMostStepsBack = 64;

/// What the machine runs beside its own programs.
constexpr Machine kAlso = kNativeMachine == Machine::X86_64  ? Machine::X86
                          : kNativeMachine == Machine::Arm64 ? Machine::Arm
                                                             : kNativeMachine;

bool is_function(const ElfSymbol& symbol) {
  return (symbol.type == STT_FUNC || symbol.type == STT_GNU_IFUNC) && symbol.section != SHN_UNDEF;
}

bool is_variable(const ElfSymbol& symbol) {
  const bool is_data =
      symbol.type == STT_OBJECT || symbol.type == STT_TLS || symbol.type == STT_COMMON;
  return is_data && symbol.section != SHN_UNDEF;
}

/// `calls.0`: a static variable of a function, as C compilers name it.
bool is_numbered(std::string_view symbol, std::string_view name) {
  const size_t size = name.size();
  return symbol.size() > size + 1 && symbol.substr(0, size) == name && symbol[size] == '.' &&
         symbol.find_first_not_of("0123456789", size + 1) == std::string_view::npos;
}

std::string_view without_version(std::string_view name) {
  const size_t at = name.find('@', 1);
  return name.substr(0, at);
}

auto by_place(const FunctionSymbol& symbol) {
  return std::tuple(symbol.address, symbol.name, !symbol.is_global, ~symbol.size_bytes);
}

/// By address, each name there once.
void sort_and_merge(std::vector<FunctionSymbol>& functions) {
  const auto before = [](const auto& a, const auto& b) { return by_place(a) < by_place(b); };
  const auto same = [](const auto& a, const auto& b) {
    return a.address == b.address && a.name == b.name;
  };
  std::sort(functions.begin(), functions.end(), before);
  functions.erase(std::unique(functions.begin(), functions.end(), same), functions.end());
}

uint64_t end_of(const FunctionSymbol& function) {
  const uint64_t end = function.address + function.size_bytes;
  return end < function.address ? UINT64_MAX : end;
}

}  // namespace

bool is_better_name(const FunctionSymbol& a, const FunctionSymbol& b) {
  const auto rank = [](const FunctionSymbol& symbol) {
    const size_t underscores =
        is_mangled(symbol.name) ? 0 : std::min(symbol.name.find_first_not_of('_'), size_t{8});
    return std::tuple(symbol.size_bytes == 0, !symbol.is_global, underscores, symbol.name.size(),
                      symbol.name);
  };
  return rank(a) < rank(b);
}

struct ElfFile::State {
  std::string path;
  ElfOptions options;
  std::optional<sys::MappedFile> file;
  ElfImage image;
  std::string build_id;

  bool has_tables = false;
  std::vector<ElfSymbolTable> tables;
  std::vector<uint8_t> mini;  // .gnu_debugdata, decompressed
  std::optional<DebugFile> debug;

  bool is_sorted = false;
  std::vector<FunctionSymbol> functions;
  std::vector<uint64_t> reach;  // where the furthest of functions[0, i] ends

  void add_table(const ElfImage& from, uint32_t type) {
    const ElfSymbolTable table = from.symbols(type);
    if (table.size() > 0) tables.push_back(table);
  }

  void load_tables() {
    if (has_tables) return;
    has_tables = true;
    add_table(image, SHT_SYMTAB);
    const bool is_stripped = tables.empty();
    add_table(image, SHT_DYNSYM);
    if (!is_stripped) return;
    if (options.separate_debug_files) {
      debug = find_debug_file(image, path, options.root, options.debug_folder);
    }
    if (debug.has_value()) {
      add_table(debug->image, SHT_SYMTAB);
    } else {
      load_mini();
    }
  }

  void load_mini() {
    const ElfSection* section = image.section(".gnu_debugdata");
    if (section == nullptr) return;
    std::optional<std::vector<uint8_t>> bytes =
        decompress_xz(image.contents(*section), kMostMiniBytes);
    if (!bytes.has_value()) return;
    mini = std::move(*bytes);
    const Result<ElfImage> inner = ElfImage::parse(mini);
    if (inner.ok()) add_table(inner.value(), SHT_SYMTAB);
  }

  /// Calls visit(table, symbol) for every function that is defined.
  template <class Visit>
  void each_function(Visit visit) {
    each_symbol(is_function, visit);
  }

  template <class Visit>
  void each_symbol(bool (*is_wanted)(const ElfSymbol&), Visit visit) {
    load_tables();
    for (const ElfSymbolTable& table : tables) {
      for (size_t i = 0; i < table.size(); ++i) {
        const ElfSymbol symbol = table[i];
        if (is_wanted(symbol)) visit(table, symbol);
      }
    }
  }

  /// Nothing when its code is not in the file.
  std::optional<FunctionSymbol> make(const ElfSymbol& symbol, std::string_view name) const {
    FunctionSymbol function;
    function.name = name;
    function.address = symbol.value;
    if (image.machine() == Machine::Arm && (function.address & 1) != 0) {
      function.is_thumb = true;
      --function.address;
    }
    const std::optional<uint64_t> offset = image.file_offset(function.address, true);
    if (!offset.has_value()) return std::nullopt;
    function.file_offset = *offset;
    function.size_bytes = symbol.size_bytes;
    function.is_global = symbol.binding != STB_LOCAL;
    function.is_ifunc = symbol.type == STT_GNU_IFUNC;
    return function;
  }

  /// The functions whose name fits, sorted.
  template <class Fits>
  std::vector<FunctionSymbol> select(Fits fits) {
    std::vector<FunctionSymbol> found;
    each_function([&](const ElfSymbolTable& table, const ElfSymbol& symbol) {
      const std::string_view name = without_version(table.name(symbol));
      if (name.empty() || !fits(name)) return;
      const std::optional<FunctionSymbol> function = make(symbol, name);
      if (function.has_value()) found.push_back(*function);
    });
    sort_and_merge(found);
    return found;
  }

  void sort_functions() {
    if (is_sorted) return;
    is_sorted = true;
    functions = select([](std::string_view) { return true; });
    uint64_t furthest = 0;
    for (const FunctionSymbol& function : functions) {
      furthest = std::max(furthest, end_of(function));
      reach.push_back(furthest);
    }
  }
};

ElfFile::ElfFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
ElfFile::ElfFile(ElfFile&&) noexcept = default;
ElfFile& ElfFile::operator=(ElfFile&&) noexcept = default;
ElfFile::~ElfFile() = default;

Result<ElfFile> ElfFile::open(const std::string& path, const ElfOptions& options) {
  KTAP_ASSIGN(sys::MappedFile file, sys::MappedFile::open(options.root + path));
  KTAP_ASSIGN(ElfFile elf, from_memory(file.bytes(), path, options));
  elf.state_->options = options;
  elf.state_->file.emplace(std::move(file));
  return elf;
}

Result<ElfFile> ElfFile::from_memory(Bytes bytes, const std::string& path,
                                     const ElfOptions& options) {
  const std::string name = printable(path);
  Result<ElfImage> parsed = ElfImage::parse(bytes);
  if (!parsed.ok()) return Error{fmt::format("{}: {}", name, parsed.error().message)};
  ElfImage image = std::move(parsed).value();
  if (!image.is_loadable()) {
    return Error{fmt::format("{}: an object file or a core, not a program or library", name)};
  }
  if (!options.any_machine && image.machine() != kNativeMachine && image.machine() != kAlso) {
    return Error{fmt::format("{}: an ELF file for {}, but this machine is {}", name,
                             machine_name(image.machine()), machine_name(kNativeMachine))};
  }
  ElfOptions own = options;
  own.separate_debug_files = false;
  std::string build_id = image.build_id();
  return ElfFile(std::unique_ptr<State>(
      new State{path, std::move(own), std::nullopt, std::move(image), std::move(build_id)}));
}

const std::string& ElfFile::path() const { return state_->path; }
std::string ElfFile::full_path() const { return state_->options.root + state_->path; }
const ElfImage& ElfFile::image() const { return state_->image; }
int64_t ElfFile::changed_ns() const {
  return state_->file.has_value() ? state_->file->changed_ns() : 0;
}

sys::FileIdentity ElfFile::identity() const {
  return state_->file.has_value() ? state_->file->identity() : sys::FileIdentity{};
}
const std::string& ElfFile::build_id() const { return state_->build_id; }

const std::string& ElfFile::debug_path() const {
  static const std::string kNone;
  state_->load_tables();
  return state_->debug.has_value() ? state_->debug->path : kNone;
}

Bytes ElfFile::debug_information() const {
  const auto has_it = [](const ElfImage& image) {
    return image.section(".debug_info") != nullptr || image.section(".zdebug_info") != nullptr;
  };
  if (has_it(state_->image)) return state_->image.whole();
  state_->load_tables();
  std::optional<DebugFile>& debug = state_->debug;
  if (!debug.has_value() && state_->options.separate_debug_files) {
    debug = find_debug_file(state_->image, state_->path, state_->options.root,
                            state_->options.debug_folder);
  }
  return debug.has_value() && has_it(debug->image) ? debug->image.whole() : Bytes();
}

std::vector<FunctionSymbol> ElfFile::find(std::string_view name) const {
  std::vector<FunctionSymbol> found;
  if (name.empty()) return found;
  state_->each_function([&](const ElfSymbolTable& table, const ElfSymbol& symbol) {
    if (!table.is_named(symbol, name)) return;
    const std::string_view whole = table.name(symbol);
    const std::optional<FunctionSymbol> function =
        state_->make(symbol, whole.substr(0, name.size()));
    if (function.has_value()) found.push_back(*function);
  });
  sort_and_merge(found);
  if (!found.empty()) return found;
  const NamePattern pattern(name, false);
  return state_->select([&](std::string_view raw) { return pattern.matches_demangled(raw); });
}

std::vector<FunctionSymbol> ElfFile::glob(std::string_view text) const {
  const NamePattern pattern(text, true);
  return state_->select([&](std::string_view name) { return pattern.matches(name); });
}

/// `ns::Pool::take` of `ns::Pool<int, 3>::take<char>`.
static std::string without_template_arguments(std::string_view name) {
  if (name.find('<') == std::string_view::npos) return std::string(name);
  const NameBrackets brackets(name);
  std::string out;
  for (size_t i = 0; i < name.size(); i = brackets.behind(i)) {
    const bool is_list = name[i] == '<' && brackets.behind(i) > i + 1;
    if (!is_list) out += name.substr(i, brackets.behind(i) - i);
  }
  return out;
}

/// Of those that are meant, each once, the `most` shortest.
template <class IsMeant>
static std::vector<std::string> shortest(const std::vector<std::string>& candidates, size_t most,
                                         IsMeant is_meant) {
  std::set<std::pair<size_t, std::string>> found;
  for (const std::string& candidate : candidates) {
    if (is_meant(candidate)) found.emplace(candidate.size(), candidate);
  }
  std::vector<std::string> out;
  for (const auto& [size, candidate] : found) {
    if (out.size() < most) out.push_back(candidate);
  }
  return out;
}

/// What a compiler has made of a function that is not there itself: `f.constprop.0`.
static std::vector<std::string> clone_names(std::string_view name,
                                            const std::vector<std::string>& candidates,
                                            size_t most) {
  return shortest(candidates, most, [&](const std::string& candidate) {
    return !name.empty() && candidate.size() > name.size() && candidate[name.size()] == '.' &&
           candidate.compare(0, name.size(), name) == 0 && !is_cold_part(candidate);
  });
}

/// C++ functions whose name is `name` but for the namespaces and classes before it or the arguments
/// of templates in it.
static std::vector<std::string> fuller_names(std::string_view name,
                                             const std::vector<std::string>& candidates,
                                             size_t most) {
  const auto bare_name = [](std::string_view of) {
    const std::string untagged = without_abi_tags(of);
    return without_template_arguments(untagged.empty() ? of : untagged);
  };
  const std::string wanted = bare_name(name);
  return shortest(candidates, most, [&](const std::string& candidate) {
    const std::string bare = bare_name(candidate);
    const bool ends = bare.size() > wanted.size() + 2 &&
                      bare.compare(bare.size() - wanted.size() - 2, 2, "::") == 0 &&
                      bare.compare(bare.size() - wanted.size(), wanted.size(), wanted) == 0;
    return !wanted.empty() && (ends || bare == wanted);
  });
}

std::vector<std::string> ElfFile::nearest(std::string_view name, size_t most) const {
  std::vector<std::string> candidates;
  size_t demangled = 0;
  state_->each_function([&](const ElfSymbolTable& table, const ElfSymbol& symbol) {
    const std::string_view raw = without_version(table.name(symbol));
    if (!is_mangled(raw)) {
      candidates.emplace_back(raw);
    } else if (demangled < kMostDemangled) {
      ++demangled;
      const std::string plain = demangle(raw);
      candidates.emplace_back(plain.empty() ? raw : without_parameters(plain));
    }
  });
  std::vector<std::string> meant = clone_names(name, candidates, most);
  if (meant.empty()) meant = fuller_names(without_parameters(name), candidates, most);
  return meant.empty() ? diag::nearest(name, candidates, most) : meant;
}

std::string ElfFile::why_missing(std::string_view name, std::vector<std::string>* near) const {
  const std::string path = printable(state_->path);
  bool has_functions = false;
  bool is_imported = false;
  state_->load_tables();
  for (const ElfSymbolTable& table : state_->tables) {
    for (size_t i = 0; i < table.size(); ++i) {
      const ElfSymbol symbol = table[i];
      has_functions = has_functions || is_function(symbol);
      is_imported = is_imported || (symbol.section == SHN_UNDEF && table.is_named(symbol, name));
    }
  }
  const std::string word = printable(name);
  if (is_imported && !name.empty()) {
    return fmt::format("'{}' is not in {} itself, which takes it from a library", word, path);
  }
  if (!has_functions) {
    std::string text = fmt::format("{} has no function symbols (it was stripped)", path);
    const std::string& id = state_->build_id;
    if (id.size() > 2) {
      text += fmt::format("; its debug file would be {}/.build-id/{}/{}.debug",
                          state_->options.debug_folder, id.substr(0, 2), id.substr(2));
    }
    return text;
  }
  const std::string text = has_glob(name)
                               ? fmt::format("no function in {} matches '{}'", path, word)
                               : fmt::format("no function '{}' in {}", word, path);
  if (const std::string is_return = return_hint(word); !is_return.empty()) return text + is_return;
  std::vector<std::string> names = nearest(name);
  if (near != nullptr) {
    *near = std::move(names);
    return text;
  }
  const std::string hint = diag::did_you_mean(names);
  return hint.empty() ? text : text + "; " + printable(hint);
}

std::vector<VariableSymbol> ElfFile::find_variables(std::string_view name) const {
  std::set<VariableSymbol> found;
  std::set<VariableSymbol> of_functions;
  const NamePattern pattern(name, false);
  state_->each_symbol(is_variable, [&](const ElfSymbolTable& table, const ElfSymbol& symbol) {
    const std::string_view own = without_version(table.name(symbol));
    const VariableSymbol variable{symbol.value, symbol.size_bytes, symbol.type == STT_TLS};
    if (own == name || pattern.matches_demangled(own)) found.insert(variable);
    if (is_numbered(own, name)) of_functions.insert(variable);
  });
  if (found.empty()) found = std::move(of_functions);
  return {found.begin(), found.end()};
}

std::string ElfFile::why_no_variable(std::string_view name) const {
  std::vector<std::string> names;
  state_->each_symbol(is_variable, [&](const ElfSymbolTable& table, const ElfSymbol& symbol) {
    names.emplace_back(without_version(table.name(symbol)));
  });
  if (names.empty()) return printable(state_->path) + " names no variables (it was stripped)";
  const std::string hint = diag::did_you_mean(diag::nearest(name, names));
  return fmt::format("no variable '{}' in {}{}{}", printable(name), printable(state_->path),
                     hint.empty() ? "" : "; ", printable(hint));
}

const std::vector<FunctionSymbol>& ElfFile::functions() const {
  state_->sort_functions();
  return state_->functions;
}

std::optional<FunctionPlace> ElfFile::at(uint64_t address) const {
  if (!file_offset(address).has_value()) return std::nullopt;
  state_->sort_functions();
  const std::vector<FunctionSymbol>& all = state_->functions;
  const auto behind = std::upper_bound(
      all.begin(), all.end(), address,
      [](uint64_t a, const FunctionSymbol& function) { return a < function.address; });
  const auto first = static_cast<size_t>(behind - all.begin());
  const FunctionSymbol* best = nullptr;
  for (size_t i = first; i > 0 && first - i < kMostStepsBack; --i) {
    const FunctionSymbol& function = all[i - 1];
    if (best != nullptr && function.address != best->address) break;
    // Without a size it reaches up to the next one, or to the end of its section.
    const bool holds = function.size_bytes != 0
                           ? address < end_of(function)
                           : function.address == all[first - 1].address &&
                                 state_->image.in_one_section(function.address, address);
    if (holds && (best == nullptr || is_better_name(function, *best))) best = &function;
    if (best == nullptr && state_->reach[i - 1] <= address && function.size_bytes != 0) break;
  }
  if (best == nullptr) return std::nullopt;
  return FunctionPlace{*best, address - best->address};
}

std::optional<uint64_t> ElfFile::file_offset(uint64_t address) const {
  return state_->image.file_offset(address, true);
}

}  // namespace ktap::symbol
