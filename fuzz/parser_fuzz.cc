// libFuzzer target for lexer and parser: any bytes as a script, as a filter and as an event text.
// Nothing may crash, hang or read outside; every diagnostic must lie inside the source and render.
// What the parser makes of good scripts is the golden tests' affair.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "diag/diagnostic.h"
#include "syntax/parser.h"

namespace {

void check_diagnostics(const ktap::diag::Source& source, const ktap::diag::Sink& sink) {
  for (const ktap::diag::Diagnostic& diagnostic : sink.diagnostics()) {
    KTAP_CHECK(diagnostic.span.begin <= diagnostic.span.end);
    KTAP_CHECK(diagnostic.span.end <= source.text().size());
    KTAP_CHECK(!diagnostic.text.empty());
  }
  KTAP_CHECK(sink.diagnostics().empty() == ktap::diag::render_all(source, sink).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const ktap::diag::Source source("fuzz", text);
  {
    ktap::diag::Sink sink;
    ktap::syntax::parse(source, sink);
    check_diagnostics(source, sink);
  }
  {
    ktap::diag::Sink sink;
    ktap::syntax::parse_expression(source, sink);
    check_diagnostics(source, sink);
  }
  const ktap::syntax::EventTextSplit split = ktap::syntax::split_event_text(text);
  KTAP_CHECK(split.filter_begin <= split.filter_end && split.filter_end <= text.size());
  KTAP_CHECK(split.text.empty() || (split.text.data() >= text.data() &&
                                    split.text.data() + split.text.size() <= text.data() + size));
  return 0;
}
