// For the tests of the compiler alone: text in, printed code or the codes of the diagnostics out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytecode/chunk.h"
#include "compiler/compiler.h"
#include "diag/diagnostic.h"
#include "syntax/parser.h"

namespace ktap::compiler {

struct Compiled {
  explicit Compiled(std::string text)
      : source("t.kp", std::move(text)),
        script(syntax::parse(source, sink)),
        chunk(compile(script, source, sink)) {}

  /// The code of one function, in the order of the disassembly, without places.
  std::string code(size_t number = 0) const {
    const std::string all = chunk == nullptr ? codes() : bytecode::disassemble(*chunk, nullptr);
    size_t begin = all.find("function #" + std::to_string(number) + " ");
    if (begin == std::string::npos) return all;
    begin = all.find('\n', begin) + 1;
    const size_t end = all.find("\n\n", begin);
    return all.substr(begin, end == std::string::npos ? end : end + 1 - begin);
  }
  /// "K0301 K0501", or "" when all is well.
  std::string codes() const {
    std::string out;
    for (const diag::Diagnostic& diagnostic : sink.diagnostics()) {
      if (!out.empty()) out += ' ';
      out += diag::code_name(diagnostic.code);
    }
    return out;
  }
  /// The source text that the first diagnostic points at.
  std::string pointed() const {
    if (sink.diagnostics().empty()) return "";
    const diag::Span span = sink.diagnostics().front().span;
    return std::string(source.text().substr(span.begin, span.end - span.begin));
  }

  diag::Sink sink;
  diag::Source source;
  syntax::Script script;
  std::unique_ptr<bytecode::Chunk> chunk;
};

}  // namespace ktap::compiler
