// What two shapes have in common. See loop_hints.h.
#include "lower/loop_hints.h"

#include <algorithm>
#include <bit>

#include "base/limits.h"
#include "lower/abstract_value.h"

namespace ktap::lower {

namespace {

/// The type that holds nil beside `type`; None: there is none.
ssa::Type with_nil(ssa::Type type) {
  switch (type) {
    case ssa::Type::Int:
    case ssa::Type::MaybeInt:
      return ssa::Type::MaybeInt;
    case ssa::Type::Bool:
    case ssa::Type::MaybeBool:
      return ssa::Type::MaybeBool;
    case ssa::Type::Str:
    case ssa::Type::MaybeStr:
      return ssa::Type::MaybeStr;
    case ssa::Type::Stack:
    case ssa::Type::MaybeStack:
      return ssa::Type::MaybeStack;
    default:
      return ssa::Type::None;
  }
}

bool is_text(const LoopShape& shape) {
  return shape.kind == LoopShape::Kind::Value && ssa::sure_type(shape.type) == ssa::Type::Str;
}

/// As parts of a union; empty for what can be none.
std::vector<LoopShape> parts_of(const LoopShape& shape) {
  using Kind = LoopShape::Kind;
  if (shape.kind == Kind::Union) return shape.parts;
  std::vector<LoopShape> parts(kStackTag + 1);
  if (shape.kind == Kind::Nil || shape.kind == Kind::Text) {
    parts[shape.kind == Kind::Nil ? kNilTag : kStrTag] = shape;
    return parts;
  }
  const int tag = tag_of_type(shape.type);
  if (shape.kind != Kind::Value || tag == kFirstOther) return {};
  parts[static_cast<size_t>(tag)] = shape;
  // On ways of other types there is no stack.
  if (tag == kStackTag) parts[kStackTag].type = ssa::Type::MaybeStack;
  return parts;
}

/// Of shapes that are of different types.
LoopShape widen_to_union(const LoopShape& a, const LoopShape& b) {
  LoopShape both;
  const std::vector<LoopShape> of_a = parts_of(a), of_b = parts_of(b);
  both.kind = of_a.empty() || of_b.empty() ? LoopShape::Kind::Anything : LoopShape::Kind::Union;
  if (both.kind == LoopShape::Kind::Anything) return both;
  for (size_t tag = 0; tag < of_a.size(); ++tag) both.parts.push_back(widen(of_a[tag], of_b[tag]));
  return both;
}

}  // namespace

LoopShape widen(const LoopShape& a, const LoopShape& b) {
  using Kind = LoopShape::Kind;
  if (a == b || b.kind == Kind::Unknown) return a;
  if (a.kind == Kind::Unknown) return b;
  if (a.kind == Kind::Text && (is_text(b) || b.kind == Kind::Nil)) return a;
  if (b.kind == Kind::Text && (is_text(a) || a.kind == Kind::Nil)) return b;
  const bool a_nil = a.kind == Kind::Nil;
  const bool b_nil = b.kind == Kind::Nil;
  if ((!a_nil && a.kind != Kind::Value) || (!b_nil && b.kind != Kind::Value))
    return widen_to_union(a, b);
  LoopShape wider = a_nil ? b : a;
  if (!a_nil && !b_nil) {
    if (ssa::sure_type(a.type) != ssa::sure_type(b.type)) return widen_to_union(a, b);
    if (b.str_kind == ssa::StrKind::Bytes) wider.str_kind = b.str_kind;
    wider.max_bytes = std::max(a.max_bytes, b.max_bytes);
    if (a.type == b.type) return wider;
  }
  const ssa::Type other = a_nil || b_nil ? wider.type : with_nil(b.type);
  wider.type = with_nil(wider.type);
  if (wider.type == ssa::Type::None || with_nil(other) != wider.type) return widen_to_union(a, b);
  return wider;
}

LoopShape widen_again(const LoopShape& known, const LoopShape& shape) {
  LoopShape wider = widen(known, shape);
  if (known.str_kind == ssa::StrKind::Bytes && wider.max_bytes > known.max_bytes)
    wider.max_bytes = std::min(std::bit_ceil(wider.max_bytes), limits::kMaxMadeBytes);
  for (size_t tag = 0; tag < std::min(known.parts.size(), wider.parts.size()); ++tag)
    wider.parts[tag] = widen_again(known.parts[tag], wider.parts[tag]);
  return wider;
}

}  // namespace ktap::lower
