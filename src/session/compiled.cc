// .ktap files on the disk. What the compiler made is verified before it is written: what this ktapc
// writes, every ktap of its version loads.
#include "session/compiled.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "base/printable.h"
#include "bytecode/file.h"

namespace ktap::session {

namespace {

bool is_regular(const std::string& path) {
  struct stat file {};
  return stat(path.c_str(), &file) == 0 && S_ISREG(file.st_mode);
}

Error cannot_write(const std::string& path, int error) {
  return {fmt::format("cannot write {}: {}", path, std::strerror(error)), error};
}

}  // namespace

std::string refuse_own_script(const std::string& output, const std::string& script) {
  struct stat first {};
  struct stat second {};
  if (stat(output.c_str(), &first) != 0 || stat(script.c_str(), &second) != 0) return "";
  if (first.st_dev != second.st_dev || first.st_ino != second.st_ino) return "";
  return fmt::format("{} is the script itself; name another file with -o", output);
}

Result<LoadedScript> load_compiled(const Options& options) {
  Result<bytecode::CompiledScript> loaded = bytecode::load(options.source_text);
  if (!loaded.ok())
    return Error{fmt::format("{}: {}", printable(options.source_name), loaded.error().message), 0};
  bytecode::CompiledScript script = std::move(loaded).value();
  std::string name = script.stripped ? options.source_name : script.chunk->source_name;
  return LoadedScript{std::move(script.chunk),
                      diag::Source(std::move(name), std::move(script.source_text))};
}

Result<void> write_compiled(const bytecode::Chunk& chunk, const diag::Source& source,
                            const Options& options) {
  const std::string& path = options.output_path;
  const std::string wrong = bytecode::verify(chunk);
  if (!wrong.empty()) {
    return Error{fmt::format("{}: its bytecode does not verify ({}); ktap can still run the source",
                             source.name(), wrong),
                 0};
  }
  Result<std::string> bytes = bytecode::save(chunk, source, options.strip);
  if (!bytes.ok()) return Error{fmt::format("{}: {}", source.name(), bytes.error().message), 0};
  const std::string own = refuse_own_script(path, source.name());
  if (!own.empty()) return Error{own, 0};
  std::FILE* file = std::fopen(path.c_str(), "wbe");
  if (file == nullptr) return cannot_write(path, errno);
  const bool all =
      std::fwrite(bytes.value().data(), 1, bytes.value().size(), file) == bytes.value().size();
  int error = all ? 0 : errno;
  if (std::fclose(file) != 0 && error == 0) error = errno;
  if (error == 0) return {};
  if (is_regular(path)) unlink(path.c_str());
  return cannot_write(path, error);
}

}  // namespace ktap::session
