// Reads the script a second time, token by token. What stands between two tokens is blanks and
// comments; event texts are cut out where the tree says that a statement has one.
#include "pretty/items.h"

#include <map>
#include <set>

#include "base/chars.h"
#include "base/name_brackets.h"
#include "diag/diagnostic.h"
#include "syntax/event_text.h"
#include "syntax/lexer.h"

namespace ktap::pretty {

using syntax::TokenKind;

namespace {

int binary_precedence(TokenKind kind) {
  switch (kind) {
    case TokenKind::OrOr:
      return 1;
    case TokenKind::AndAnd:
      return 2;
    case TokenKind::Equal:
    case TokenKind::NotEqual:
    case TokenKind::Less:
    case TokenKind::LessEqual:
    case TokenKind::Greater:
    case TokenKind::GreaterEqual:
    case TokenKind::Tilde:
      return 3;
    case TokenKind::Pipe:
      return 4;
    case TokenKind::Caret:
      return 5;
    case TokenKind::Ampersand:
      return 6;
    case TokenKind::ShiftLeft:
    case TokenKind::ShiftRight:
      return 7;
    case TokenKind::DotDot:
      return 8;
    case TokenKind::Plus:
    case TokenKind::Minus:
      return 9;
    case TokenKind::Star:
    case TokenKind::Slash:
    case TokenKind::Percent:
      return 10;
    default:
      return 0;
  }
}

/// The item may end an operand, so that an operator, `(` or `[` behind it belongs to it.
bool ends_operand(const Item& item) {
  switch (item.role) {
    case Role::CloseParen:
    case Role::CloseTable:
    case Role::CloseBlock:
      return true;
    case Role::Plain:
      break;
    default:
      return false;
  }
  switch (item.token) {
    case TokenKind::Name:
    case TokenKind::Int:
    case TokenKind::Float:
    case TokenKind::String:
    case TokenKind::Nil:
    case TokenKind::True:
    case TokenKind::False:
      return true;
    default:
      return false;
  }
}

class ItemReader {
 public:
  ItemReader(const diag::Source& source, const BlockNode& tree)
      : text_(source.text()), lexer_(text_, unheard_) {
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") at_ = 3;
    for (const StatementNode& statement : tree.statements) collect(statement);
  }

  std::vector<Item> run() {
    while (true) {
      syntax::Token token = lexer_.next();
      read_gap(token.span.begin);
      if (token.kind == TokenKind::End) break;
      if (plain_events_.count(token.span.begin) > 0) {
        read_event(token);
      } else {
        add_token(token);
      }
    }
    return std::move(items_);
  }

 private:
  void collect(const StatementNode& statement) {
    if (statement.plain_event) plain_events_.insert(statement.begin);
    for (const BlockNode& block : statement.blocks) {
      blocks_.insert(block.begin);
      for (const StatementNode& inner : block.statements) collect(inner);
    }
  }

  /// Comments and line breaks up to `end`.
  void read_gap(uint32_t end) {
    while (at_ < end) {
      if (text_[at_] == '\n') ++newlines_;
      if (text_[at_] != '#') {
        ++at_;
        continue;
      }
      const uint32_t begin = at_;
      while (at_ < end && text_[at_] != '\n') ++at_;
      uint32_t last = at_;
      while (last > begin && is_blank(text_[last - 1])) --last;
      add(Role::Comment, TokenKind::End, std::string(text_.substr(begin, last - begin)), begin,
          last);
    }
  }

  Item& add(Role role, TokenKind token, std::string text, uint32_t begin, uint32_t end) {
    items_.push_back(Item{role, token, std::move(text), begin, end, newlines_, 0});
    newlines_ = 0;
    return items_.back();
  }

  void add_token(const syntax::Token& token) {
    const Item* before = last_of_code();
    const Role role = role_of(token, before);
    const bool member = before != nullptr && before->role == Role::Dot;
    Item& item = add(role, token.kind, std::string(token.text), token.span.begin, token.span.end);
    if (role == Role::Binary) item.precedence = binary_precedence(token.kind);
    // A keyword behind a dot is a name.
    if (member) item.token = TokenKind::Name;
    at_ = token.span.end;
  }

  const Item* last_of_code() const {
    for (size_t i = items_.size(); i-- > 0;) {
      if (items_[i].role != Role::Comment) return &items_[i];
    }
    return nullptr;
  }

  /// The last items are `function` and a name: the parentheses behind may stand in the next line.
  bool names_function() const {
    const Item* item = nullptr;
    for (size_t i = items_.size(); i-- > 0;) {
      item = &items_[i];
      const bool in_name =
          item->role == Role::Comment || item->role == Role::Dot || item->token == TokenKind::Name;
      if (!in_name) break;
    }
    return item != nullptr && item->token == TokenKind::Function;
  }

  Role role_of(const syntax::Token& token, const Item* before) {
    const bool operand = before != nullptr && ends_operand(*before);
    switch (token.kind) {
      case TokenKind::LeftBrace:
        braces_.push_back(blocks_.count(token.span.begin) > 0);
        return braces_.back() ? Role::OpenBlock : Role::OpenTable;
      case TokenKind::RightBrace: {
        const bool block = braces_.empty() || braces_.back();
        if (!braces_.empty()) braces_.pop_back();
        return block ? Role::CloseBlock : Role::CloseTable;
      }
      case TokenKind::LeftParen: {
        const bool callable = operand && before->token != TokenKind::String &&
                              (!token.newline_before || names_function());
        const bool in = callable && before->text == "in";
        return callable && !in ? Role::OpenCall : Role::OpenParen;
      }
      case TokenKind::LeftBracket:
        return operand ? Role::OpenIndex : Role::OpenBracket;
      case TokenKind::RightParen:
      case TokenKind::RightBracket:
        return Role::CloseParen;
      case TokenKind::Comma:
        return Role::Comma;
      case TokenKind::Semicolon:
        return braces_.empty() || braces_.back() ? Role::Semicolon : Role::Comma;
      case TokenKind::Dot:
        return Role::Dot;
      case TokenKind::PlusPlus:
      case TokenKind::MinusMinus:
        return Role::Postfix;
      default:
        break;
    }
    if (!operand && (token.kind == TokenKind::Minus || token.kind == TokenKind::Bang ||
                     token.kind == TokenKind::Tilde))
      return Role::Unary;
    if (binary_precedence(token.kind) > 0) return Role::Binary;
    const bool assigns = token.kind == TokenKind::Aggregate ||
                         (token.kind >= TokenKind::Assign && token.kind <= TokenKind::ConcatAssign);
    return assigns ? Role::Assign : Role::Plain;
  }

  /// `trace EVENTS /FILTER/`, `tick-10ms`, up to the body.
  void read_event(const syntax::Token& keyword) {
    const bool timer = keyword.kind != TokenKind::Trace;
    const uint32_t begin = timer ? keyword.span.begin : lexer_.position();
    if (!timer) add_token(keyword);
    const syntax::EventTextScan scan = syntax::scan_event_text(text_, begin, timer);
    const std::string_view event = text_.substr(scan.text_begin, scan.text_end - scan.text_begin);
    const std::vector<syntax::EventPart> parts = syntax::event_parts(event);
    for (size_t i = 0; i < parts.size(); ++i) {
      std::string part =
          normal_event_text(event.substr(parts[i].begin, parts[i].end - parts[i].begin));
      if (i + 1 < parts.size()) part += ',';
      add(Role::Event, TokenKind::End, std::move(part), scan.text_begin + parts[i].begin,
          scan.text_begin + parts[i].end);
    }
    if (scan.has_filter) read_filter(scan);
    at_ = scan.body;
    newlines_ = 0;
    lexer_.seek(scan.body);
  }

  void read_filter(const syntax::EventTextScan& scan) {
    const std::string_view text =
        text_.substr(scan.filter_begin, scan.filter_end - scan.filter_begin);
    const std::string_view event = text_.substr(scan.text_begin, scan.text_end - scan.text_begin);
    const bool is_glob = syntax::glob_word(event, text, 0).end != 0;
    // A comment, or a string, or a glob without quotes: it stays as it is.
    if (text.find('#') != std::string_view::npos || is_glob) {
      add(Role::Event, TokenKind::End, "/" + std::string(text) + "/", scan.filter_begin - 1,
          scan.filter_end + 1);
      return;
    }
    add(Role::OpenSlash, TokenKind::End, "/", scan.filter_begin - 1, scan.filter_begin);
    syntax::Lexer inner(text_.substr(0, scan.filter_end), unheard_, scan.filter_begin);
    for (syntax::Token token = inner.next(); token.kind != TokenKind::End; token = inner.next()) {
      newlines_ = 0;
      add_token(token);
    }
    newlines_ = 0;
    add(Role::CloseSlash, TokenKind::End, "/", scan.filter_end, scan.filter_end + 1);
  }

  std::string_view text_;
  diag::Sink unheard_;
  syntax::Lexer lexer_;
  std::set<uint32_t> plain_events_;
  std::set<uint32_t> blocks_;
  std::vector<bool> braces_;  ///< open ones: a block's, else a table's
  std::vector<Item> items_;
  uint32_t at_ = 0;
  int newlines_ = 0;
};

}  // namespace

std::vector<Item> read_items(const diag::Source& source, const BlockNode& tree) {
  return ItemReader(source, tree).run();
}

std::string normal_event_text(std::string_view text) {
  std::string out;
  const NameBrackets brackets(text);
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    size_t next = brackets.behind(i);
    if (c == '"' || c == '\'') {
      const size_t end = text.find(c, i + 1);
      next = end == std::string_view::npos ? text.size() : end + 1;
    }
    if (c == ',') {
      while (!out.empty() && out.back() == ' ') out.pop_back();
      out += ", ";
    } else if (is_blank(c)) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += text.substr(i, next - i);
    }
    i = next;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace ktap::pretty
