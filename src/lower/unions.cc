// Values of several types: where ways meet with an integer on one and a string on the other, the
// value is a union of alternatives, one a type, with a number that says at run time which of them
// it is. What uses it is lowered once for each alternative, on a way of its own, so that each
// operation still sees values of one type; the results meet behind it.
#include <algorithm>
#include <utility>

#include "lower/lowerer.h"

namespace ktap::lower {

namespace {

constexpr size_t kMaxOthers = 4;  // guessed

using Kind = AbstractValue::Kind;

/// A part of the value that is a union, or the value; null when there is none.
const AbstractValue* union_in(const AbstractValue& value) {
  if (is_union(value)) return &value;
  if (!value.is(Kind::Tuple)) return nullptr;
  for (const AbstractValue& part : value.parts) {
    if (const AbstractValue* found = union_in(part)) return found;
  }
  return nullptr;
}

/// A part of the value, or the value, that is the name of a number; null when there is none.
const AbstractValue* name_in(const AbstractValue& value) {
  if (value.is(Kind::Rendered) && value.may_be_nil) return &value;
  if (!value.is(Kind::Tuple)) return nullptr;
  for (const AbstractValue& part : value.parts) {
    if (const AbstractValue* found = name_in(part)) return found;
  }
  return nullptr;
}

void put_in(AbstractValue& value, const AbstractValue& old, const AbstractValue& now) {
  if (value.is(Kind::Mixed) || value.is(Kind::Rendered)) {
    if (same(value, old)) value = now;
    return;
  }
  for (AbstractValue& part : value.parts) put_in(part, old, now);
}

/// Holds SSA values that a phi cannot stand for.
bool is_fixed(const AbstractValue& value) {
  if (value.is(Kind::Iterator) || value.is(Kind::Undefined) || value.is(Kind::Mixed)) return true;
  if (value.is(Kind::Reading)) return true;
  if (value.is(Kind::Pointer) && value.id.valid()) return true;
  return std::any_of(value.parts.begin(), value.parts.end(), is_fixed);
}

}  // namespace

int Lowerer::tag_of(const AbstractValue& value) const {
  if (value.is(Kind::Nil)) return kNilTag;
  return tag_of_type(type_of(value));
}

/// Every alternative of each edge's value, by tag. False when they are too many.
bool Lowerer::collect_alternatives(const std::vector<const AbstractValue*>& values,
                                   Alternatives& found) {
  const auto put = [&](int tag, size_t edge, const AbstractValue* value) {
    auto& row = found.by_tag[tag];
    row.resize(values.size());
    if (row[edge] != nullptr) return false;
    for (const AbstractValue* other : row) {
      if (tag >= kFirstOther && other != nullptr && !same(*other, *value)) return false;
    }
    row[edge] = value;
    return true;
  };
  found.tags.assign(values.size(), -1);
  bool has_nil = false;
  for (size_t e = 0; e < values.size(); ++e) {
    if (!values[e]->is(Kind::Mixed)) continue;
    if (!is_union(*values[e])) return false;
    for (const AbstractValue& part : values[e]->parts) {
      has_nil = has_nil || part.tag == kNilTag;
      if (!put(part.tag, e, &part)) return false;
    }
  }
  for (size_t e = 0; e < values.size(); ++e) {
    if (values[e]->is(Kind::Mixed) || values[e]->is(Kind::Nil)) continue;
    if (is_fixed(*values[e])) return false;
    int tag = tag_of(*values[e]);
    while (!put(tag, e, values[e])) {
      if (++tag > kFirstOther + static_cast<int>(kMaxOthers)) return false;
    }
    found.tags[e] = tag;
  }
  // nil beside integers is an integer that may be nil.
  int nil_tag = kNilTag;
  for (const int tag : {kBoolTag, kIntTag, kStrTag}) {
    if (!has_nil && found.by_tag.count(tag) != 0) nil_tag = tag;
  }
  for (size_t e = 0; e < values.size(); ++e) {
    if (!values[e]->is(Kind::Nil)) continue;
    if (!put(nil_tag, e, values[e])) return false;
    found.tags[e] = nil_tag;
  }
  return true;
}

/// A value of the type of `like` for a way on which the union is something else.
ssa::ValueId Lowerer::filler(const ssa::Inst& like, ssa::BlockId block) {
  ssa::Inst inst = like;
  inst.operands.clear();
  inst.imm = 0;
  switch (like.type) {
    case ssa::Type::Int:
      inst.op = ssa::Op::ConstInt;
      break;
    case ssa::Type::Bool:
      inst.op = ssa::Op::ConstBool;
      break;
    case ssa::Type::Str:
      inst = {ssa::Op::ConstStr, ssa::Type::Str, ssa::StrKind::Id};
      inst.imm = linkage_.module.intern("");
      break;
    default:
      inst.op = ssa::Op::ConstNil;
      break;
  }
  return emit_in(block, std::move(inst));
}

/// One value that some edges bring, the same on each of them, made good for all ways.
AbstractValue Lowerer::carry(const std::vector<const AbstractValue*>& values,
                             const std::vector<Edge>& edges, ssa::BlockId into) {
  const AbstractValue* some = nullptr;
  for (const AbstractValue* value : values) some = value != nullptr ? value : some;
  AbstractValue result = *some;
  if (some->is(Kind::Ssa)) {
    ssa::Inst phi = function_[some->id];
    phi.imm = 0;
    std::vector<ssa::ValueId> operands;
    for (size_t e = 0; e < edges.size(); ++e) {
      operands.push_back(values[e] != nullptr ? values[e]->id : filler(phi, edges[e].block));
    }
    return add_phi(into, std::move(phi), std::move(operands));
  }
  for (size_t i = 0; i < some->parts.size(); ++i) {
    std::vector<const AbstractValue*> parts;
    for (const AbstractValue* value : values)
      parts.push_back(value != nullptr ? &value->parts[i] : nullptr);
    result.parts[i] = carry(parts, edges, into);
  }
  return result;
}

/// One alternative as a value behind the join; Undefined: there is none that holds them all.
AbstractValue Lowerer::join_alternative(int tag, std::vector<const AbstractValue*> values,
                                        const std::vector<Edge>& edges, ssa::BlockId into) {
  const AbstractValue* some = nullptr;
  bool all_same = true;
  for (const AbstractValue* value : values) {
    if (value == nullptr) continue;
    all_same = all_same && (some == nullptr || same(*some, *value));
    some = value;
  }
  if (all_same && some->is_constant()) return *some;
  if (tag >= kFirstOther) return carry(values, edges, into);
  const AbstractValue nothing = tag == kIntTag     ? AbstractValue::of(int64_t{0})
                                : tag == kBoolTag  ? AbstractValue::boolean(false)
                                : tag == kStackTag ? AbstractValue::nil()
                                                   : AbstractValue::string("");
  for (const AbstractValue*& value : values) value = value != nullptr ? value : &nothing;
  const auto joined = tag == kStrTag     ? join_strings(values, edges, into)
                      : tag == kStackTag ? join_stacks(values, edges, into)
                                         : join_numbers(values, edges, into);
  return joined.value_or(AbstractValue());
}

/// A union of what meets.
AbstractValue Lowerer::join_mixed(const std::vector<const AbstractValue*>& values,
                                  const std::vector<Edge>& edges, ssa::BlockId into) {
  AbstractValue mixed = AbstractValue::of_kind(Kind::Mixed);
  for (const AbstractValue* value : values) {
    const std::string what = describe(*value);
    if (mixed.text.find(what) != std::string::npos) continue;
    mixed.text += (mixed.text.empty() ? "" : " or ") + what;
  }
  Alternatives found;
  if (!collect_alternatives(values, found)) return mixed;
  for (const auto& [tag, row] : found.by_tag) {
    AbstractValue part = join_alternative(tag, row, edges, into);
    if (part.is(Kind::Undefined)) return mixed;
    part.tag = tag;
    mixed.parts.push_back(std::move(part));
  }
  if (mixed.parts.size() == 1) return AbstractValue(mixed.parts[0]);
  std::vector<ssa::ValueId> tags;
  for (size_t e = 0; e < edges.size(); ++e) {
    ssa::Inst tag{ssa::Op::ConstInt, ssa::Type::Int};
    tag.imm = found.tags[e];
    tags.push_back(found.tags[e] < 0 ? values[e]->id : emit_in(edges[e].block, std::move(tag)));
  }
  mixed.id = add_phi(into, {ssa::Op::Phi, ssa::Type::Int}, std::move(tags)).id;
  return mixed;
}

/// `what` for each alternative, on a way of its own; gives what the results meet as.
AbstractValue Lowerer::for_each_type(
    const AbstractValue& value, const std::function<AbstractValue(const AbstractValue&)>& what) {
  std::vector<Edge> ends;
  for (size_t i = 0; i < value.parts.size(); ++i) {
    ssa::BlockId others;
    if (i + 1 < value.parts.size()) {
      const ssa::BlockId here = new_block();
      others = new_block();
      branch(op2(ssa::Op::Eq, ssa::Type::Bool, value.id, const_int(value.parts[i].tag)), here,
             others);
      current_ = here;
    }
    AbstractValue result = what(value.parts[i]);
    if (stopped()) return {};
    if (reachable()) ends.push_back({current_, {std::move(result)}, 0});
    current_ = others;
  }
  return join(std::move(ends))[0];
}

/// When one of `values`, or a part of a multi-key among them, is of several types: `what` for each
/// of these, with values that are of one. A name that there may be none of is looked up first,
/// unless calls are kept for user space.
std::optional<AbstractValue> Lowerer::by_type(
    const std::vector<AbstractValue>& values,
    const std::function<AbstractValue(const std::vector<AbstractValue>&)>& what, bool keeps_calls) {
  for (const AbstractValue& value : values) {
    const AbstractValue* call = keeps_calls ? nullptr : name_in(value);
    if (call == nullptr || !can_settle(*call)) continue;
    const AbstractValue whole = *call;
    const AbstractValue name = settled(whole);
    std::vector<AbstractValue> now = values;
    for (AbstractValue& v : now) put_in(v, whole, name);
    return what(now);
  }
  for (const AbstractValue& value : values) {
    const AbstractValue* found = union_in(value);
    if (found == nullptr) continue;
    const AbstractValue whole = *found;
    return for_each_type(whole, [&](const AbstractValue& part) {
      std::vector<AbstractValue> now = values;
      for (AbstractValue& v : now) put_in(v, whole, part);
      return what(now);
    });
  }
  return std::nullopt;
}

/// What the value is where a test has found it so; nothing where it cannot be. Unwraps in the open
/// block.
std::optional<AbstractValue> Lowerer::narrowed(const AbstractValue& value, Found found) {
  if (is_union(value)) {
    AbstractValue rest = value;
    rest.parts.clear();
    for (const AbstractValue& part : value.parts) {
      std::optional<AbstractValue> now = narrowed(part, found);
      if (!now) continue;
      now->tag = part.tag;
      rest.parts.push_back(std::move(*now));
    }
    if (rest.parts.empty()) return std::nullopt;
    return rest.parts.size() == 1 ? AbstractValue(rest.parts[0]) : rest;
  }
  if (value.is(Kind::Pointer) && (value.may_be_nil || value.may_be_zero)) {
    if (found != Found::True && found != Found::NotNil) return value;
    AbstractValue there = AbstractValue::pointer(value.ctype, value.id, 0);
    if (value.may_be_nil) there.id = unwrap(AbstractValue::ssa(value.id));
    return there;
  }
  const bool may_be_false = ssa::sure_type(type_of(value)) == ssa::Type::Bool;
  const bool is_known = value.is_constant();
  const bool is_false = value.is(Kind::Nil) || (value.is(Kind::Bool) && value.integer == 0);
  switch (found) {
    case Found::True:
      if (is_known) return is_false ? std::nullopt : std::optional(value);
      if (may_be_false) return AbstractValue::boolean(true);
      return is_maybe(value) ? AbstractValue::ssa(unwrap(value)) : value;
    case Found::False:
      if (is_known) return is_false ? std::optional(value) : std::nullopt;
      if (may_be_false) return is_maybe(value) ? value : AbstractValue::boolean(false);
      if (is_maybe(value)) return AbstractValue::nil();
      return value.may_be_nil ? std::optional(value) : std::nullopt;
    case Found::Nil:
      if (is_known) return value.is(Kind::Nil) ? std::optional(value) : std::nullopt;
      if (is_maybe(value)) return AbstractValue::nil();
      return value.may_be_nil ? std::optional(value) : std::nullopt;
    case Found::NotNil:
      if (value.is(Kind::Nil)) return std::nullopt;
      return is_maybe(value) ? AbstractValue::ssa(unwrap(value)) : value;
  }
  return value;
}

}  // namespace ktap::lower
