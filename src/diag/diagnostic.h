// What is wrong with a script: stable code, span, text, notes, hints; collected in a Sink, rendered
// once. Form (language, section 9): `FILE:LINE:COL: error: TEXT`, the source line, a caret span,
// notes, hints.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "diag/source.h"

namespace ktap::diag {

enum class Severity : uint8_t { Error, Warning, Note };

/// One enumerator a line of codes.def: K01xx lexer, K02xx parser, K03xx names and scopes, K04xx
/// events and fields, K05xx calls, formats and types, K06xx limits, K07xx "not there yet".
enum class Code : uint16_t {
#define KTAP_DIAGNOSTIC(code, number, severity, summary) code = number,
#include "diag/codes.def"
#undef KTAP_DIAGNOSTIC
};

struct Note {
  Span span;
  std::string text;  ///< "declared here"
};

/// An edit that most likely mends what is wrong: these bytes, replaced by that text.
struct Fix {
  Span span;
  std::string replacement;
};

struct Diagnostic {
  Code code;
  Severity severity = Severity::Error;
  Span span;
  std::string text;  ///< one line, no full stop
  std::vector<Note> notes;
  std::vector<std::string> hints;  ///< "did you mean 'execname'?"
  std::vector<Fix> fixes;          ///< for tools; people read the hints
};

/// Collects diagnostics; after limits::kMaxDiagnostics errors it keeps counting but drops them.
class Sink {
 public:
  /// Severity is the code's own.
  Diagnostic& report(Code code, Span span, std::string text);

  /// Adds what another sink holds.
  void add(const Sink& other);

  bool has_errors() const { return error_count_ > 0; }
  int error_count() const { return error_count_; }
  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }
  /// The same in source order; what is said of the same place in the same words, once.
  std::vector<const Diagnostic*> in_source_order() const;
  /// How many errors were dropped.
  int dropped_errors() const;

 private:
  std::vector<Diagnostic> diagnostics_;
  Diagnostic dropped_{};
  int error_count_ = 0;
};

/// "K0203".
std::string code_name(Code code);
/// `text` with its control bytes as escapes (`\n`, `\x1b`), so that a message keeps to its line and
/// gives the terminal no commands.
std::string printable(std::string_view text);
/// The whole text of one diagnostic, newline at the end; texts, notes and hints are made printable.
std::string render(const Source& source, const Diagnostic& diagnostic);
/// All of them in source order, then "N more errors" when some were dropped.
std::string render_all(const Source& source, const Sink& sink);

/// The candidates nearest to `word` (edit distance with transpositions, at most a third of its
/// length), best first, at most `most`.
std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates,
                                 size_t most = 3);
/// "did you mean 'a', 'b' or 'c'?" or "" when nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);
/// The same of names that were chosen already.
std::string did_you_mean(const std::vector<std::string>& names);
/// The same as a hint of `diagnostic`, with a fix of its span when one name alone is near.
void suggest(Diagnostic& diagnostic, std::string_view word,
             const std::vector<std::string>& candidates);

/// Of a place that is a whole expression (`args.conut`): the fix is of the word at its end alone;
/// none where it does not end with that word, or no text is there (null).
void suggest_last_word(Diagnostic& diagnostic, std::string_view word,
                       const std::vector<std::string>& candidates, const Source* source);

}  // namespace ktap::diag
