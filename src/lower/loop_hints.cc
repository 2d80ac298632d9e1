// What two shapes have in common. See loop_hints.h.
#include "lower/loop_hints.h"

#include <utility>

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

}  // namespace

LoopShape widen(const LoopShape& a, const LoopShape& b) {
  using Kind = LoopShape::Kind;
  if (a == b || b.kind == Kind::Unknown) return a;
  if (a.kind == Kind::Unknown) return b;
  LoopShape anything;
  anything.kind = Kind::Anything;
  const bool a_nil = a.kind == Kind::Nil;
  const bool b_nil = b.kind == Kind::Nil;
  if ((!a_nil && a.kind != Kind::Value) || (!b_nil && b.kind != Kind::Value)) return anything;
  LoopShape wider = a_nil ? b : a;
  if (!a_nil && !b_nil && (a.str_kind != b.str_kind || a.max_bytes != b.max_bytes)) return anything;
  const ssa::Type other = a_nil || b_nil ? wider.type : with_nil(b.type);
  wider.type = with_nil(wider.type);
  if (wider.type == ssa::Type::None || with_nil(other) != wider.type) return anything;
  return wider;
}

}  // namespace ktap::lower
