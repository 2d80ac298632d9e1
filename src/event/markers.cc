// Markers (USDT): `sdt:PATH:[PROVIDER:]MARK`. One that stands at several places is as many events
// of one name: the arguments of each lie elsewhere.
#include "event/markers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/glob.h"
#include "diag/diagnostic.h"
#include "event/program_files.h"
#include "event/provider.h"

namespace ktap::event {

using schema::Event;
using schema::EventPtr;
using schema::Fetch;
using schema::Field;
using schema::FieldKind;
using symbol::ElfFile;
using symbol::UsdtArgument;
using symbol::UsdtProbe;

namespace {

constexpr std::string_view kPrefix = "sdt:";
constexpr std::string_view kBlanks = " \t\r\n";

/// From a register, and from a second one where there is an index.
void set_address(const UsdtArgument& argument, uint8_t word_bytes, Field* field) {
  Fetch& fetch = field->fetch;
  fetch.base = Fetch::Base::Register;
  fetch.at = argument.base.offset_bytes;
  if (argument.index) {
    fetch.index_at = argument.index->offset_bytes;
    fetch.index_scale = argument.scale;
  }
  fetch.steps.push_back({argument.value, true, word_bytes});
}

/// An address in a part of a register: no compiler writes that.
bool has_part(const UsdtArgument& argument, uint8_t word_bytes) {
  return argument.base.size_bytes < word_bytes ||
         (argument.index && argument.index->size_bytes < word_bytes);
}

}  // namespace

Field marker_field(const UsdtArgument& argument, uint32_t number, uint8_t word_bytes) {
  Field field;
  field.name = fmt::format("arg{}", number);
  field.size_bytes = argument.size_bytes;
  field.is_signed = argument.is_signed;
  field.c_type = fmt::format("{}{}", argument.is_signed ? 's' : 'u', 8 * argument.size_bytes);
  switch (argument.kind) {
    case UsdtArgument::Kind::Register:
      field.fetch.base = Fetch::Base::Register;
      field.fetch.at = argument.base.offset_bytes;
      field.size_bytes = std::min(argument.size_bytes, argument.base.size_bytes);
      if (argument.base.shift_bits != 0) {
        field.fetch.shift_bits = argument.base.shift_bits;
        field.fetch.width_bits = static_cast<uint8_t>(8 * field.size_bytes);
      }
      return field;
    case UsdtArgument::Kind::Constant:
      field.fetch.base = Fetch::Base::Constant;
      field.fetch.at = argument.value;
      return field;
    case UsdtArgument::Kind::Memory:
      if (has_part(argument, word_bytes)) break;
      set_address(argument, word_bytes, &field);
      return field;
    case UsdtArgument::Kind::Unknown:
      break;
  }
  field.kind = FieldKind::Opaque;
  field.c_type = argument.problem.empty() ? "memory at a part of a register" : argument.problem;
  return field;
}

bool names_marker(std::string_view pattern, const UsdtProbe& probe) {
  const bool has_provider = pattern.find(':') != std::string_view::npos;
  const std::string name =
      has_provider ? fmt::format("{}:{}", probe.provider, probe.name) : std::string(probe.name);
  return has_glob(pattern) ? glob_match(pattern, name) : pattern == name;
}

namespace {

class Markers final : public Provider {
 public:
  void set_target(pid_t pid) override { files_.set_target(pid); }
  void include(const Pattern& pattern, Matches* out) override;
  void list(std::string_view glob, std::vector<std::string>* out) override;

 private:
  struct File {
    const ElfFile& elf;
    symbol::UsdtProbes all;
  };
  Result<const File*> file(const std::string& path);
  EventPtr event(const File& file, const UsdtProbe& probe);

  ProgramFiles files_;
  std::map<std::string, File> read_;
  std::map<std::string, EventPtr> known_;  // by all that makes them different
};

std::vector<std::string> nearest_to(std::string_view path, std::string_view name,
                                    const symbol::UsdtProbes& all) {
  const bool has_provider = name.find(':') != std::string_view::npos;
  std::vector<std::string> names;
  for (const UsdtProbe& probe : all.probes)
    names.push_back(has_provider ? fmt::format("{}:{}", probe.provider, probe.name)
                                 : std::string(probe.name));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::string> near = diag::nearest(name, names);
  for (std::string& one : near) one = fmt::format("{}{}:{}", kPrefix, path, one);
  return near;
}

void Markers::include(const Pattern& pattern, Matches* out) {
  const auto refuse = [&](std::string text) {
    out->mistakes.push_back(mistake(pattern, std::move(text)));
  };
  const std::string_view rest = std::string_view(pattern.text).substr(kPrefix.size());
  const size_t end = files_.find_path_end(rest);
  if (end == std::string_view::npos || end == 0 || end + 1 == rest.size())
    return refuse("a marker is written sdt:PATH:MARK or sdt:PATH:PROVIDER:MARK");
  const std::string path(rest.substr(0, end));
  const std::string_view name = rest.substr(end + 1);
  if (name.find_first_of(kBlanks) != std::string_view::npos)
    return refuse(fmt::format("'{}{}:{}' is followed by more; a marker has its own arguments",
                              kPrefix, path, name.substr(0, name.find_first_of(kBlanks))));
  const Result<const File*> opened = file(path);
  if (!opened.ok()) return refuse(opened.error().message);
  if (std::string text = files_.replaced(opened.value()->elf); !text.empty())
    out->warnings.push_back(mistake(pattern, std::move(text)));
  const symbol::UsdtProbes& all = opened.value()->all;
  bool found = false;
  for (const UsdtProbe& probe : all.probes) {
    if (!names_marker(name, probe)) continue;
    found = true;
    out->events.push_back(event(*opened.value(), probe));
  }
  if (found) return;
  std::string text = all.probes.empty() ? fmt::format("{} has no markers", path)
                                        : fmt::format("no marker of {} matches '{}'", path, name);
  if (!all.problems.empty())
    text += fmt::format("; {} cannot be used: {}", all.problems.size(), all.problems.front());
  refuse(std::move(text));
  out->mistakes.back().nearest = nearest_to(path, name, all);
}

Result<const Markers::File*> Markers::file(const std::string& path) {
  const auto known = read_.find(path);
  if (known != read_.end()) return &known->second;
  KTAP_ASSIGN(const ElfFile* opened, files_.open(path));
  symbol::UsdtProbes all = symbol::read_usdt(opened->image());
  return &read_.emplace(path, File{*opened, std::move(all)}).first->second;
}

EventPtr Markers::event(const File& file, const UsdtProbe& probe) {
  const std::string system = fmt::format("{}{}:{}", kPrefix, file.elf.path(), probe.provider);
  EventPtr& event = known_[fmt::format("{}:{}:{}", system, probe.name, probe.file_offset)];
  if (event != nullptr) return event;
  auto made = std::make_shared<Event>();
  made->system = system;
  made->name = std::string(probe.name);
  made->kind = schema::EventKind::Probe;
  made->point.path = file.elf.full_path();
  made->point.file = file_number(file.elf);
  made->point.offset_bytes = probe.file_offset;
  made->point.address = probe.address;
  made->point.semaphore_bytes = probe.semaphore_offset;
  made->fields.push_back(register_field("__probe_ip", Fetch::Base::Address));
  const uint8_t word_bytes = file.elf.image().is_wide() ? 8 : 4;
  for (const UsdtArgument& argument : probe.arguments)
    made->fields.push_back(
        marker_field(argument, static_cast<uint32_t>(made->fields.size()), word_bytes));
  event = std::move(made);
  return event;
}

void Markers::list(std::string_view glob, std::vector<std::string>* out) {
  if (glob.substr(0, kPrefix.size()) != kPrefix) return;
  const std::string_view rest = glob.substr(kPrefix.size());
  const size_t end = files_.find_path_end(rest);
  const Result<const File*> opened = file(std::string(rest.substr(0, end)));
  if (!opened.ok()) return;
  const std::string_view name = end == std::string_view::npos ? "*" : rest.substr(end + 1);
  for (const UsdtProbe& probe : opened.value()->all.probes) {
    if (names_marker(name, probe))
      out->push_back(fmt::format("{}{}:{}:{}", kPrefix, opened.value()->elf.path(), probe.provider,
                                 probe.name));
  }
}

}  // namespace

std::unique_ptr<Provider> markers() { return std::make_unique<Markers>(); }

}  // namespace ktap::event
