// A debug file has the addresses of the program that it belongs to, but not its code: offsets are
// taken from the program's own segments.
#include "symbol/debug_files.h"

#include <utility>
#include <vector>

#include "symbol/xz.h"

namespace ktap::symbol {

namespace {

std::optional<DebugFile> open_debug_file(const std::string& path) {
  Result<sys::MappedFile> file = sys::MappedFile::open(path);
  if (!file.ok()) return std::nullopt;
  Result<ElfImage> image = ElfImage::parse(file.value().bytes());
  if (!image.ok()) return std::nullopt;
  return DebugFile{path, std::move(file).value(), std::move(image).value()};
}

bool belongs(const DebugFile& debug, const std::string& build_id, uint32_t crc) {
  const std::string its_id = debug.image.build_id();
  if (!build_id.empty() && !its_id.empty()) return its_id == build_id;
  return crc32(debug.file.bytes()) == crc;
}

}  // namespace

std::optional<DebugLink> debug_link(const ElfImage& image) {
  const ElfSection* section = image.section(".gnu_debuglink");
  if (section == nullptr) return std::nullopt;
  const Bytes bytes = image.contents(*section);
  DebugLink link;
  for (const uint8_t byte : bytes) {
    if (byte == 0) break;
    link.name += static_cast<char>(byte);
  }
  const size_t crc_at = (link.name.size() + 1 + 3) / 4 * 4;
  if (link.name.empty() || link.name.find('/') != std::string::npos) return std::nullopt;
  if (crc_at > bytes.size() || bytes.size() - crc_at < 4) return std::nullopt;
  link.crc = static_cast<uint32_t>(read_number(bytes, crc_at, 4));
  return link;
}

std::optional<DebugFile> find_debug_file(const ElfImage& image, const std::string& path,
                                         const std::string& root, const std::string& debug_folder) {
  std::vector<std::string> folders = {root + debug_folder};
  if (!root.empty()) folders.push_back(debug_folder);
  const std::string build_id = image.build_id();
  if (build_id.size() > 2) {
    const std::string name =
        "/.build-id/" + build_id.substr(0, 2) + "/" + build_id.substr(2) + ".debug";
    for (const std::string& folder : folders) {
      std::optional<DebugFile> debug = open_debug_file(folder + name);
      if (debug.has_value() && debug->image.build_id() == build_id) return debug;
    }
  }
  const std::optional<DebugLink> link = debug_link(image);
  if (!link.has_value()) return std::nullopt;
  const std::string program_folder = path.substr(0, path.rfind('/') + 1);
  std::vector<std::string> candidates = {root + program_folder + link->name,
                                         root + program_folder + ".debug/" + link->name};
  for (const std::string& folder : folders) {
    candidates.push_back(folder + "/" + program_folder + link->name);
  }
  for (const std::string& candidate : candidates) {
    if (candidate == root + path) continue;
    std::optional<DebugFile> debug = open_debug_file(candidate);
    if (debug.has_value() && belongs(*debug, build_id, link->crc)) return debug;
  }
  return std::nullopt;
}

}  // namespace ktap::symbol
