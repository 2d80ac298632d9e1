// The tokens of a script as text. Walks the lexer as the parser does: where a trace statement takes
// its event text as bytes, so does this.
#include <fmt/format.h>

#include "base/chars.h"
#include "syntax/event_text.h"
#include "syntax/lexer.h"
#include "syntax/print.h"
#include "syntax/quote.h"

namespace ktap::syntax {
namespace {

class TokenPrinter {
 public:
  TokenPrinter(const diag::Source& source, diag::Sink& sink) : source_(source), sink_(sink) {}

  std::string run() {
    Lexer lexer(source_.text(), sink_);
    TokenKind before = TokenKind::End;
    while (true) {
      Token token = lexer.next();
      bool event = before != TokenKind::Dot && takes_event_text(lexer, token);
      bool timer = token.kind == TokenKind::Tick || token.kind == TokenKind::Profile;
      if (!(event && timer)) print(token);
      if (event) print_event_text(lexer, token, timer);
      if (token.kind == TokenKind::End) return std::move(out_);
      before = token.kind;
    }
  }

 private:
  static bool takes_event_text(const Lexer& lexer, const Token& token) {
    std::string_view text = lexer.text();
    size_t at = lexer.position();
    if (token.kind == TokenKind::Tick || token.kind == TokenKind::Profile) {
      return at < text.size() && text[at] == '-';
    }
    if (token.kind != TokenKind::Trace) return false;
    while (at < text.size() && is_blank(text[at])) ++at;
    return at < text.size() && std::string_view("(\"'=.").find(text[at]) == std::string_view::npos;
  }

  void print_event_text(Lexer& lexer, const Token& keyword, bool timer) {
    uint32_t begin = timer ? keyword.span.begin : lexer.position();
    EventTextScan scan = scan_event_text(lexer.text(), begin, timer);
    std::string_view text = lexer.text().substr(scan.text_begin, scan.text_end - scan.text_begin);
    line(scan.text_begin, "event", quoted(text));
    if (scan.has_filter) {
      line(scan.filter_begin - 1, "filter", "");
      Lexer filter(lexer.text().substr(0, scan.filter_end), sink_, scan.filter_begin);
      for (Token token = filter.next(); token.kind != TokenKind::End; token = filter.next())
        print(token);
    }
    lexer.seek(scan.body);
  }

  void print(const Token& token) {
    std::string value;
    switch (token.kind) {
      case TokenKind::End:
        break;
      case TokenKind::Name:
        value = token.text;
        break;
      case TokenKind::Int:
        value = fmt::format("{}", token.int_value);
        break;
      case TokenKind::Float:
        value = fmt::format("{}", token.float_value);
        break;
      case TokenKind::String:
        value = quoted(token.string_value);
        break;
      default:
        if (token.text != token_kind_name(token.kind)) value = token.text;
    }
    line(token.span.begin, token_kind_name(token.kind), value);
  }

  void line(uint32_t offset, std::string_view kind, std::string_view value) {
    diag::LineColumn at = source_.line_column(offset);
    out_ +=
        fmt::format("{}:{} {}{}{}\n", at.line, at.column, kind, value.empty() ? "" : " ", value);
  }

  const diag::Source& source_;
  diag::Sink& sink_;
  std::string out_;
};

}  // namespace

std::string print_tokens(const diag::Source& source, diag::Sink* sink) {
  diag::Sink unheard;
  return TokenPrinter(source, sink == nullptr ? unheard : *sink).run();
}

}  // namespace ktap::syntax
