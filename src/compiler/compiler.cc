// The two entries of the compiler: first walk (names), second walk (code), then the chunk's own
// check, which only a mistake of ours can fail.
#include "compiler/compiler.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/check.h"
#include "base/limits.h"
#include "compiler/analysis.h"
#include "compiler/generator.h"

namespace ktap::compiler {

namespace bc = bytecode;

namespace {

void check_chunk(const bc::Chunk& chunk) {
  const std::string problem = bc::verify(chunk);
  if (!problem.empty())
    std::fprintf(stderr, "%s: %s\n", chunk.source_name.c_str(), problem.c_str());
  KTAP_CHECK(problem.empty());
}

}  // namespace

std::unique_ptr<bc::Chunk> compile(const syntax::Script& script, const diag::Source& source,
                                   diag::Sink& sink) {
  if (sink.has_errors()) return nullptr;
  const Analysis analysis = analyse(script);
  if (analysis.excess_global) {
    sink.report(diag::Code::TooManyGlobals, *analysis.excess_global,
                fmt::format("more than {} global variables", limits::kMaxGlobals - 1));
    return nullptr;
  }
  auto chunk = std::make_unique<bc::Chunk>();
  chunk->source_name = source.name();
  chunk->globals = analysis.globals;
  chunk->main = Generator(source, sink, analysis).script(script);
  if (sink.has_errors()) return nullptr;
  check_chunk(*chunk);
  return chunk;
}

std::unique_ptr<bc::Function> compile_filter(const syntax::Expr& filter, const diag::Source& source,
                                             const std::vector<std::string>& globals,
                                             diag::Sink& sink) {
  if (sink.has_errors()) return nullptr;
  const Analysis analysis = analyse(filter, globals);
  std::unique_ptr<bc::Function> made =
      Generator(source, sink, analysis).filter(filter, Role::EventFilter);
  if (sink.has_errors()) return nullptr;
  bc::Chunk chunk;
  chunk.source_name = source.name();
  chunk.globals = globals;
  chunk.main = std::move(made);
  check_chunk(chunk);
  return std::move(chunk.main);
}

}  // namespace ktap::compiler
