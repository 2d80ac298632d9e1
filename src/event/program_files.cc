// See program_files.h.
#include "event/program_files.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "symbol/resolve.h"

namespace ktap::event {

size_t path_end(std::string_view text) {
  text = text.substr(0, text.find_first_of(" \t\r\n("));
  const size_t slash = text.rfind('/');
  const size_t behind = slash == std::string_view::npos ? slash : text.find(':', slash);
  return behind != std::string_view::npos ? behind : text.find(':');
}

size_t path_end(std::string_view text, const std::function<bool(const std::string&)>& is_there) {
  const size_t usual = path_end(text);
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || usual < slash) return usual;  // a bare name
  for (size_t colon = text.rfind(':'); colon != std::string_view::npos && colon > slash;
       colon = text.rfind(':', colon - 1)) {
    const bool is_of_name = text[colon - 1] == ':' || text.substr(colon, 2) == "::";  // `ns::f`
    if (!is_of_name && is_there(std::string(text.substr(0, colon)))) return colon;
  }
  return usual;
}

std::string file_number(const symbol::ElfFile& file) {
  const sys::FileIdentity identity = file.identity();
  return fmt::format("{}:{}", identity.device, identity.inode);
}

size_t ProgramFiles::find_path_end(std::string_view text) {
  return path_end(text, [this](const std::string& path) {
    const auto opened = open(path);
    return opened.ok() || opened.error().sys_errno != ENOENT;  // that it is no program is said
  });
}

Result<const symbol::ElfFile*> ProgramFiles::open(const std::string& name) {
  const auto known = files_.find(name);
  if (known != files_.end()) return &known->second;
  symbol::ResolveOptions options;
  options.pid = target_;
  KTAP_ASSIGN(symbol::ElfFile opened, symbol::open_named(name, options));
  return &files_.emplace(name, std::move(opened)).first->second;
}

std::string ProgramFiles::replaced(const symbol::ElfFile& file) {
  if (target_ == 0 || !asked_.insert(file.path()).second) return {};
  const std::string old = symbol::deleted_file(target_, file.path());
  if (old.empty()) return {};
  return fmt::format(
      "process {} does not run this {}: what it runs has been deleted, or replaced, since it "
      "began; to trace that, probe {}",
      target_, file.path(), old);
}

}  // namespace ktap::event
