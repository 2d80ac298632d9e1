// The compiled script as a file (.ktap): what ktapc writes and ktap reads, on any machine. The
// format is described in docs/decisions/0007-ktap-file.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "bytecode/chunk.h"
#include "diag/source.h"

namespace ktap::bytecode {

/// Raised when bytes of the file change their meaning; a new row in a .def table needs no new
/// version.
constexpr uint16_t kFileVersion = 1;
/// Bytes before what the checksum and the size cover: magic, version, flags, size, checksum.
constexpr size_t kFileHeaderBytes = 20;

/// A script out of a file.
struct CompiledScript {
  std::unique_ptr<Chunk> chunk;  ///< verified; its source_name is "" when stripped
  std::string source_text;       ///< "" when stripped
  bool stripped = false;         ///< no source text, no places, no names of variables
};

/// True when `bytes` begin as a .ktap file does.
bool is_compiled(std::string_view bytes);

/// The file's bytes. `strip` leaves out the debug part: source text, places, names of parameters
/// and captured variables.
///
/// Requires: verify(chunk) is "".
/// Errors: more than limits::kMaxCompiledBytes.
Result<std::string> save(const Chunk& chunk, const diag::Source& source, bool strip);

/// Reads and verifies.
///
/// Errors: no .ktap file, cut short, damaged, too large, made by a newer ktap, bytecode that does
/// not verify; a text that follows "FILE: ".
Result<CompiledScript> load(std::string_view bytes);

/// Writes the size and the checksum that fit into the header: for tests and fuzzing, which change
/// what stands behind it. Does nothing to bytes shorter than a header.
void mend_header(std::string& bytes);

}  // namespace ktap::bytecode
