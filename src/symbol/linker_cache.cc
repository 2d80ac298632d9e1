// The header, an array of entries, then their texts; positions count from the new format's header.
#include "symbol/linker_cache.h"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace ktap::symbol {

namespace {

constexpr std::string_view kMagic = "glibc-ld.so.cache1.1";
constexpr std::string_view kOldMagic = "ld.so-1.7.0";
constexpr size_t kOldHeaderBytes = 16;
constexpr size_t kOldEntryBytes = 12;
constexpr size_t kHeaderBytes = 48;
constexpr size_t kEntryBytes = 24;

bool starts_with(Bytes bytes, std::string_view start) {
  return bytes.size() >= start.size() && std::memcmp(bytes.data(), start.data(), start.size()) == 0;
}

std::string_view text_at(Bytes bytes, uint64_t offset) {
  if (offset >= bytes.size()) return {};
  const char* begin = reinterpret_cast<const char*>(bytes.data()) + offset;
  return {begin, strnlen(begin, bytes.size() - offset)};
}

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

/// Takes the digits at the start, without leading zeros.
std::string_view take_number(std::string_view& text) {
  size_t end = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  std::string_view digits = text.substr(0, end);
  text.remove_prefix(end);
  while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
  return digits;
}

}  // namespace

std::vector<CachedLibrary> parse_linker_cache(Bytes bytes) {
  if (starts_with(bytes, kOldMagic) && bytes.size() >= kOldHeaderBytes) {
    const uint64_t old_end =
        kOldHeaderBytes + kOldEntryBytes * read_number(bytes, kOldHeaderBytes - 4, 4);
    bytes = bytes.subspan(std::min<uint64_t>((old_end + 7) / 8 * 8, bytes.size()));
  }
  std::vector<CachedLibrary> libraries;
  if (!starts_with(bytes, kMagic) || bytes.size() < kHeaderBytes) return libraries;
  const uint64_t count = std::min<uint64_t>(read_number(bytes, kMagic.size(), 4),
                                            (bytes.size() - kHeaderBytes) / kEntryBytes);
  for (uint64_t i = 0; i < count; ++i) {
    const size_t at = kHeaderBytes + i * kEntryBytes;
    CachedLibrary library;
    library.name = text_at(bytes, read_number(bytes, at + 4, 4));
    library.path = text_at(bytes, read_number(bytes, at + 8, 4));
    library.is_special = read_number(bytes, at + 16, 8) != 0;
    if (!library.name.empty() && !library.path.empty()) libraries.push_back(library);
  }
  return libraries;
}

bool is_library_of(std::string_view candidate, std::string_view name) {
  if (candidate.substr(0, name.size()) != name && candidate.substr(0, 3) == "lib") {
    candidate.remove_prefix(3);
  }
  if (candidate.substr(0, name.size()) != name) return false;
  const std::string_view rest = candidate.substr(name.size());
  if (name.find(".so") != std::string_view::npos) return rest.empty() || rest[0] == '.';
  return rest == ".so" || rest.substr(0, 4) == ".so.";
}

bool is_older(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    if (is_digit(a[0]) && is_digit(b[0])) {
      const std::string_view left = take_number(a);
      const std::string_view right = take_number(b);
      if (left.size() != right.size()) return left.size() < right.size();
      if (left != right) return left < right;
      continue;
    }
    if (a[0] != b[0]) return a[0] < b[0];
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.empty() && !b.empty();
}

std::vector<CachedLibrary> libraries_named(const std::vector<CachedLibrary>& cache,
                                           std::string_view name) {
  std::vector<CachedLibrary> found;
  if (name.empty()) return found;
  const auto add = [&](auto fits) {
    std::copy_if(cache.begin(), cache.end(), std::back_inserter(found), fits);
  };
  add([&](const CachedLibrary& library) { return library.name == name; });
  if (found.empty()) {
    add([&](const CachedLibrary& library) { return is_library_of(library.name, name); });
  }
  std::stable_sort(found.begin(), found.end(), [](const CachedLibrary& a, const CachedLibrary& b) {
    if (is_older(b.name, a.name)) return true;
    if (is_older(a.name, b.name)) return false;
    return !a.is_special && b.is_special;
  });
  return found;
}

}  // namespace ktap::symbol
