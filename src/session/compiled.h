// .ktap files on the disk: what ktapc writes, what ktap takes in place of source text.
#pragma once

#include <memory>

#include "base/result.h"
#include "bytecode/chunk.h"
#include "diag/source.h"
#include "session/options.h"

namespace ktap::session {

struct LoadedScript {
  std::unique_ptr<bytecode::Chunk> chunk;
  diag::Source source;  ///< the text that it was compiled from; empty when it was stripped
};

/// "" unless `output`, of -o, is the file that the script was read from.
std::string refuse_own_script(const std::string& output, const std::string& script);

/// The script out of the bytes in options.source_text.
///
/// Errors: as bytecode::load, with the file's name in front.
Result<LoadedScript> load_compiled(const Options& options);

/// Writes options.output_path; what was there stays when the script cannot be compiled, and half a
/// file is never left behind.
///
/// Errors: too large; the path names the script itself, or cannot be written.
Result<void> write_compiled(const bytecode::Chunk& chunk, const diag::Source& source,
                            const Options& options);

}  // namespace ktap::session
