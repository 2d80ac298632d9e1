// The notes of .note.stapsdt: three addresses (of the marker, of .stapsdt.base when it was linked,
// of the semaphore) and three texts (provider, name, arguments).
#include "symbol/usdt.h"

#include <fmt/format.h>

#include <utility>

#include "base/printable.h"

namespace ktap::symbol {

namespace {

constexpr uint32_t kNoteType = 3;
constexpr size_t kTexts = 3;

/// Texts that each end with NUL; false when there are fewer.
bool split_texts(Bytes bytes, std::string_view (&texts)[kTexts]) {
  const char* begin = reinterpret_cast<const char*>(bytes.data());
  std::string_view rest(begin, bytes.size());
  for (std::string_view& text : texts) {
    const size_t end = rest.find('\0');
    if (end == std::string_view::npos) return false;
    text = rest.substr(0, end);
    rest.remove_prefix(end + 1);
  }
  return true;
}

/// Where code and semaphore lie in the file; else what is wrong.
std::string place(const ElfImage& image, UsdtProbe& probe) {
  const std::optional<uint64_t> code = image.file_offset(probe.address, true);
  if (!code.has_value()) {
    return fmt::format("its address {:#x} is not in the file's code", probe.address);
  }
  probe.file_offset = *code;
  if (probe.semaphore_address == 0) return {};
  const std::optional<uint64_t> semaphore = image.file_offset(probe.semaphore_address);
  if (!semaphore.has_value()) {
    return fmt::format("its semaphore {:#x} is not in the file's data", probe.semaphore_address);
  }
  probe.semaphore_offset = *semaphore;
  return {};
}

}  // namespace

UsdtProbes read_usdt(const ElfImage& image) {
  UsdtProbes result;
  const ElfSection* base = image.section(".stapsdt.base");
  const size_t word = image.is_wide() ? 8 : 4;
  for (const ElfNote& note : image.notes()) {
    if (note.type != kNoteType || note.owner != "stapsdt") continue;
    std::string_view texts[kTexts];
    if (note.contents.size() < 3 * word || !split_texts(note.contents.subspan(3 * word), texts)) {
      result.problems.emplace_back("a USDT note that is cut off");
      continue;
    }
    UsdtProbe probe;
    probe.provider = texts[0];
    probe.name = texts[1];
    probe.address = read_number(note.contents, 0, word);
    probe.semaphore_address = read_number(note.contents, 2 * word, word);
    if (base != nullptr) {
      // A file that was prelinked has moved, its notes have not.
      const uint64_t distance = base->address - read_number(note.contents, word, word);
      probe.address += distance;
      if (probe.semaphore_address != 0) probe.semaphore_address += distance;
    }
    const std::string problem = place(image, probe);
    if (!problem.empty()) {
      result.problems.push_back(
          printable(fmt::format("{}:{}: {}", probe.provider, probe.name, problem)));
      continue;
    }
    probe.arguments = parse_usdt_arguments(image.machine(), texts[2]);
    result.probes.push_back(std::move(probe));
  }
  return result;
}

}  // namespace ktap::symbol
