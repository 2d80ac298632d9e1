// A script as a flat list of what is printed: tokens, comments, parts of event texts, each spelled
// as it stands in the source, with the line breaks that stood before it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diag/source.h"
#include "pretty/tree.h"
#include "syntax/token.h"

namespace ktap::pretty {

/// What an item is for the layout.
enum class Role : uint8_t {
  Plain,       ///< a word, number, string, keyword
  Comment,     ///< `# …` without the blanks at its end
  Event,       ///< a part of an event text, its comma included
  OpenSlash,   ///< of a filter
  CloseSlash,  ///< of a filter
  Unary,       ///< `- ! ~ not` before an operand
  Binary,      ///< an operator between two operands
  Assign,      ///< `=`, `+=`, `<<<`
  Postfix,     ///< `++ --`
  Comma,       ///< also `;` in a table
  Semicolon,   ///< between statements: not printed
  Dot,
  OpenParen,
  OpenCall,  ///< the `(` behind what is called or a function's name
  OpenIndex,
  OpenBracket,  ///< of a table's key
  CloseParen,   ///< also `]`
  OpenTable,
  CloseTable,
  OpenBlock,
  CloseBlock,
};

struct Item {
  Role role = Role::Plain;
  syntax::TokenKind token = syntax::TokenKind::End;
  std::string text;
  uint32_t begin = 0;
  uint32_t end = 0;
  int newlines = 0;    ///< before it, since the item before
  int precedence = 0;  ///< Binary: from 1, loosest
};

/// The items of a script that parses; `tree` is its own.
std::vector<Item> read_items(const diag::Source& source, const BlockNode& tree);

/// An event text with one blank wherever blanks separate, and `, ` between its parts.
std::string normal_event_text(std::string_view text);

}  // namespace ktap::pretty
