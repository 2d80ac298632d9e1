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

namespace {

/// Top-level `var a = 1` as `a = 1`, `local function f` as `function f`.
void make_variables_global(syntax::Script& script) {
  for (syntax::Stmt& stmt : script.body.statements) {
    if (auto* function = std::get_if<syntax::FunctionStmt>(&stmt.node)) function->is_local = false;
    auto* declared = std::get_if<syntax::VarDecl>(&stmt.node);
    if (declared == nullptr) continue;
    syntax::Assign assign;
    for (syntax::Param& name : declared->names)
      assign.targets.push_back({name.span, syntax::Name{std::move(name.name)}});
    assign.values = std::move(declared->values);
    if (assign.values.empty()) assign.values.push_back({stmt.span, syntax::NilLit{}});
    stmt.node = std::move(assign);
  }
}

std::unique_ptr<bc::Chunk> compile_analysed(const syntax::Script& script, const Analysis& analysis,
                                            const diag::Source& source, diag::Sink& sink) {
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

}  // namespace

std::unique_ptr<bc::Chunk> compile(const syntax::Script& script, const diag::Source& source,
                                   diag::Sink& sink) {
  if (sink.has_errors()) return nullptr;
  return compile_analysed(script, analyse(script), source, sink);
}

std::unique_ptr<bc::Chunk> compile_entry(syntax::Script script, const diag::Source& source,
                                         const std::vector<std::string>& globals,
                                         diag::Sink& sink) {
  if (sink.has_errors()) return nullptr;
  make_variables_global(script);
  return compile_analysed(script, analyse(script, globals), source, sink);
}

std::unique_ptr<bc::Function> compile_filter(const syntax::Expr& filter, const diag::Source& source,
                                             const std::vector<std::string>& globals, bool is_timer,
                                             diag::Sink& sink) {
  if (sink.has_errors()) return nullptr;
  const Analysis analysis = analyse(filter, globals);
  std::unique_ptr<bc::Function> made =
      Generator(source, sink, analysis)
          .filter(filter, is_timer ? Role::TimerFilter : Role::EventFilter);
  if (sink.has_errors()) return nullptr;
  bc::Chunk chunk;
  chunk.source_name = source.name();
  chunk.globals = globals;
  chunk.main = std::move(made);
  check_chunk(chunk);
  return std::move(chunk.main);
}

}  // namespace ktap::compiler
