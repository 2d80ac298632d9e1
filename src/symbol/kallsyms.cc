// A line: ADDRESS TYPE NAME, and with modules a tab and [MODULE]. Names are looked for with memmem
// over the whole text, which is quicker than any index that would have to be built first.
#include "symbol/kallsyms.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/glob.h"
#include "diag/diagnostic.h"
#include "symbol/maps.h"
#include "symbol/name_pattern.h"
#include "sys/errors.h"
#include "sys/text_file.h"

namespace ktap::symbol {

namespace {

constexpr const char* kPath = "/proc/kallsyms";
constexpr size_t kMostBytes = size_t{1} << 30;  // positions have 32 bits
constexpr size_t kUsualBytes = size_t{8} << 20;
/// No function or variable is larger: an address further behind is something else's.
constexpr uint64_t kMostOffset = uint64_t{16} << 20;

/// Addresses of the kernel. Below them stand offsets of per-CPU variables, as absolute symbols.
bool is_kernel_address(uint64_t address) {
  return sizeof(void*) == 8 ? address >> 63 != 0 : address >= 0x1000;
}

std::optional<KernelSymbol> parse_line(std::string_view line) {
  KernelSymbol symbol;
  const char* end = line.data() + line.size();
  const auto [behind, error] = std::from_chars(line.data(), end, symbol.address, 16);
  // " T x"
  if (error != std::errc() || end - behind < 4 || behind[0] != ' ' || behind[2] != ' ') {
    return std::nullopt;
  }
  symbol.type = behind[1];
  const std::string_view rest(behind + 3, static_cast<size_t>(end - behind - 3));
  const size_t tab = rest.find('\t');
  symbol.name = rest.substr(0, tab);
  if (symbol.name.empty()) return std::nullopt;
  if (tab == std::string_view::npos) return symbol;
  const std::string_view module = rest.substr(tab + 1);
  if (module.size() > 2 && module.front() == '[' && module.back() == ']') {
    symbol.module = module.substr(1, module.size() - 2);
  }
  return symbol;
}

/// Of two names of one place, is `a` the better known?
bool is_better(const KernelSymbol& a, const KernelSymbol& b) {
  const auto rank = [](const KernelSymbol& symbol) {
    return std::tuple(!symbol.is_function(), symbol.type == 't' || symbol.type == 'w',
                      std::min(symbol.name.find_first_not_of('_'), size_t{8}), symbol.name.size(),
                      symbol.name);
  };
  return rank(a) < rank(b);
}

}  // namespace

struct Kallsyms::State {
  struct Entry {
    uint64_t address;
    uint32_t line_at;
  };

  std::string text;
  bool is_sorted = false;
  std::vector<Entry> entries;

  std::string_view line(size_t at) const {
    const std::string_view whole = text;
    return whole.substr(at, whole.find('\n', at) - at);
  }

  /// Calls visit(symbol, where its line begins) until it returns false.
  template <class Visit>
  void each(Visit visit) const {
    for (size_t at = 0; at < text.size();) {
      const std::string_view one = line(at);
      const std::optional<KernelSymbol> symbol = parse_line(one);
      if (symbol.has_value() && !visit(*symbol, at)) return;
      at += one.size() + 1;
    }
  }

  void sort() {
    if (is_sorted) return;
    is_sorted = true;
    each([this](const KernelSymbol& symbol, size_t at) {
      const bool is_absolute = symbol.type == 'a' || symbol.type == 'A';
      if (!is_absolute && is_kernel_address(symbol.address)) {
        entries.push_back({symbol.address, static_cast<uint32_t>(at)});
      }
      return true;
    });
    const auto before = [](const Entry& a, const Entry& b) {
      return std::tie(a.address, a.line_at) < std::tie(b.address, b.line_at);
    };
    if (!std::is_sorted(entries.begin(), entries.end(), before)) {
      std::sort(entries.begin(), entries.end(), before);
    }
  }
};

Kallsyms::Kallsyms(std::string text) : state_(new State{std::move(text)}) {}
Kallsyms::Kallsyms(Kallsyms&&) noexcept = default;
Kallsyms& Kallsyms::operator=(Kallsyms&&) noexcept = default;
Kallsyms::~Kallsyms() = default;

Result<Kallsyms> Kallsyms::read() {
  Result<std::string> text = sys::read_text(kPath, kMostBytes, kUsualBytes);
  if (!text.ok()) {
    Error error = sys::system_error(fmt::format("reading {}", kPath), text.error().sys_errno);
    if (error.sys_errno == ENOENT) {
      error.message += "; this kernel has no list of its symbols (CONFIG_KALLSYMS)";
    }
    return error;
  }
  return Kallsyms(std::move(text).value());
}

Result<void> Kallsyms::check_addresses() const {
  bool shown = false;
  state_->each([&shown](const KernelSymbol& symbol, size_t) {
    shown = symbol.address != 0;
    return !shown;
  });
  if (shown) return {};
  return Error{
      fmt::format("{} shows all addresses as 0; `sysctl kernel.kptr_restrict` must be 0 "
                  "or 1 and ktap run by root or with CAP_SYSLOG",
                  kPath)};
}

std::vector<KernelSymbol> Kallsyms::find(std::string_view name) const {
  std::vector<KernelSymbol> found;
  const std::string& text = state_->text;
  const std::string needle = fmt::format(" {}", name);
  for (size_t from = 0; from < text.size() && !name.empty();) {
    const void* hit = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
    if (hit == nullptr) break;
    const auto at = static_cast<size_t>(static_cast<const char*>(hit) - text.data());
    from = at + needle.size();
    if (from < text.size() && text[from] != '\n' && text[from] != '\t') continue;
    const size_t newline = text.rfind('\n', at);
    const std::optional<KernelSymbol> symbol =
        parse_line(state_->line(newline == std::string::npos ? 0 : newline + 1));
    if (symbol.has_value() && symbol->name == name) found.push_back(*symbol);
  }
  return found;
}

std::vector<KernelSymbol> Kallsyms::glob(std::string_view pattern, std::string_view module) const {
  std::vector<KernelSymbol> found;
  const NamePattern names(pattern, true);
  const NamePattern modules(module, true);
  state_->each([&](const KernelSymbol& symbol, size_t) {
    if (symbol.is_function() && names.matches_raw(symbol.name) &&
        modules.matches_raw(symbol.module)) {
      found.push_back(symbol);
    }
    return true;
  });
  return found;
}

std::vector<KernelSymbol> Kallsyms::functions_at(const std::set<uint64_t>& addresses) const {
  std::vector<KernelSymbol> found;
  const std::string_view text = state_->text;
  for (size_t at = 0; at < text.size() && !addresses.empty();) {
    uint64_t address = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), address, 16);
    const std::string_view line = state_->line(at);
    at += line.size() + 1;
    if (address < *addresses.begin() || address > *addresses.rbegin()) continue;
    if (addresses.count(address) == 0) continue;
    const std::optional<KernelSymbol> symbol = parse_line(line);
    if (symbol.has_value() && symbol->is_function()) found.push_back(*symbol);
  }
  return found;
}

std::vector<std::string> Kallsyms::nearest(std::string_view name, size_t most) const {
  std::vector<std::string> candidates;
  state_->each([&](const KernelSymbol& symbol, size_t) {
    if (symbol.is_function()) candidates.emplace_back(symbol.name);
    return true;
  });
  return diag::nearest(name, candidates, most);
}

std::optional<KernelPlace> Kallsyms::at(uint64_t address) const {
  state_->sort();
  const std::vector<State::Entry>& entries = state_->entries;
  auto entry =
      std::upper_bound(entries.begin(), entries.end(), address,
                       [](uint64_t a, const State::Entry& other) { return a < other.address; });
  if (entry == entries.begin()) return std::nullopt;
  const uint64_t begin = (entry - 1)->address;
  if (address - begin >= kMostOffset) return std::nullopt;
  const uint64_t size = entry == entries.end() ? 0 : entry->address - begin;
  std::optional<KernelSymbol> best;
  while (entry != entries.begin() && (entry - 1)->address == begin) {
    --entry;
    const std::optional<KernelSymbol> symbol = parse_line(state_->line(entry->line_at));
    if (symbol.has_value() && (!best.has_value() || is_better(*symbol, *best))) best = symbol;
  }
  if (!best.has_value()) return std::nullopt;
  return KernelPlace{*best, address - begin, size};
}

std::string to_string(const KernelPlace& place) {
  std::string text = fmt::format("{}+{:#x}", place.symbol.name, place.offset);
  if (!place.symbol.module.empty()) text += fmt::format(" [{}]", place.symbol.module);
  return text;
}

}  // namespace ktap::symbol
