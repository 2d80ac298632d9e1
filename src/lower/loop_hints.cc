// What two shapes have in common. See loop_hints.h.
#include "lower/loop_hints.h"

#include <algorithm>
#include <bit>

#include "base/limits.h"

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
    default:
      return ssa::Type::None;
  }
}

bool is_text(const LoopShape& shape) {
  return shape.kind == LoopShape::Kind::Value && ssa::sure_type(shape.type) == ssa::Type::Str;
}

}  // namespace

LoopShape widen(const LoopShape& a, const LoopShape& b) {
  using Kind = LoopShape::Kind;
  if (a == b || b.kind == Kind::Unknown) return a;
  if (a.kind == Kind::Unknown) return b;
  if (a.kind == Kind::Text && (is_text(b) || b.kind == Kind::Nil)) return a;
  if (b.kind == Kind::Text && (is_text(a) || a.kind == Kind::Nil)) return b;
  LoopShape anything;
  anything.kind = Kind::Anything;
  const bool a_nil = a.kind == Kind::Nil;
  const bool b_nil = b.kind == Kind::Nil;
  if ((!a_nil && a.kind != Kind::Value) || (!b_nil && b.kind != Kind::Value)) return anything;
  LoopShape wider = a_nil ? b : a;
  if (!a_nil && !b_nil) {
    if (is_text(a) != is_text(b)) return anything;
    if (b.str_kind == ssa::StrKind::Bytes) wider.str_kind = b.str_kind;
    wider.max_bytes = std::max(a.max_bytes, b.max_bytes);
    if (ssa::sure_type(a.type) != ssa::sure_type(b.type)) return anything;
    if (a.type == b.type) return wider;
  }
  const ssa::Type other = a_nil || b_nil ? wider.type : with_nil(b.type);
  wider.type = with_nil(wider.type);
  if (wider.type == ssa::Type::None || with_nil(other) != wider.type) return anything;
  return wider;
}

LoopShape widen_again(const LoopShape& known, const LoopShape& shape) {
  LoopShape wider = widen(known, shape);
  if (known.str_kind == ssa::StrKind::Bytes && wider.max_bytes > known.max_bytes)
    wider.max_bytes = std::min(std::bit_ceil(wider.max_bytes), limits::kMaxMadeBytes);
  return wider;
}

}  // namespace ktap::lower
