// Parse, lay out, parse again, compare. The event texts of the two trees may differ in their
// blanks, so the comparison sees them with blanks made equal.
#include "pretty/format.h"

#include "pretty/items.h"
#include "pretty/layout.h"
#include "pretty/tree.h"
#include "syntax/parser.h"
#include "syntax/print.h"

namespace ktap::pretty {

namespace {

/// What must not change: the tree, and each event text, filter and comment.
struct Meaning {
  std::string tree;
  std::vector<std::string> comments;
  bool operator==(const Meaning&) const = default;
};

Meaning meaning_of(const syntax::Script& script, const std::vector<Item>& items) {
  Meaning made;
  made.tree = syntax::print_ast(script, normal_event_text);
  for (const Item& item : items) {
    if (item.role == Role::Comment) made.comments.push_back(item.text);
  }
  return made;
}

}  // namespace

std::optional<std::string> format_script(const diag::Source& source, diag::Sink& sink,
                                         std::string* failure) {
  const syntax::Script script = syntax::parse(source, sink);
  if (sink.has_errors()) return std::nullopt;
  const BlockNode tree = make_tree(script, source);
  const std::vector<Item> items = read_items(source, tree);
  std::string text = lay_out(tree, items);

  const diag::Source again(source.name(), text);
  diag::Sink unheard;
  const syntax::Script second = syntax::parse(again, unheard);
  if (unheard.has_errors()) {
    *failure = "the result would not parse: " + unheard.diagnostics().front().text;
    return std::nullopt;
  }
  const Meaning before = meaning_of(script, items);
  const Meaning after = meaning_of(second, read_items(again, make_tree(second, again)));
  if (before == after) return text;
  *failure = before.tree == after.tree ? "comments would be lost or moved"
                                       : "the result would be another script";
  return std::nullopt;
}

}  // namespace ktap::pretty
