// Where ways meet: registers that differ become phis, of the type that fits all of them.
#include "lower/lowerer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lower/code_walk.h"

namespace ktap::lower {

/// The same for ways of a frame, which have captured variables beside their values.
std::vector<AbstractValue> Lowerer::join_with_locals(std::vector<Edge> edges) {
  size_t count = 0;
  size_t local_count = 0;
  for (const Edge& edge : edges) {
    count = std::max(count, edge.values.size());
    local_count = std::max(local_count, edge.locals.size());
  }
  for (Edge& edge : edges) {
    edge.values.resize(count);
    edge.locals.resize(local_count);
    edge.values.insert(edge.values.end(), edge.locals.begin(), edge.locals.end());
  }
  std::vector<AbstractValue> values = join(std::move(edges));
  const auto middle = values.begin() + static_cast<ptrdiff_t>(count);
  locals_.assign(middle, values.end());
  locals_.resize(std::max(locals_.size(), local_names_.size()));
  values.erase(middle, values.end());
  return values;
}

/// All ways to a place of the frame's code become one.
void Lowerer::meet(Frame& frame, std::vector<Edge> edges) {
  frame.top = edges.front().top;
  frame.boxes = edges.front().boxes;
  // A variable whose block has ended on one way and not on another is out of use.
  for (const Edge& edge : edges) {
    for (size_t r = 0; r < frame.boxes.size(); ++r) {
      frame.boxes[r] = std::max(frame.boxes[r], edge.boxes[r]);
    }
  }
  frame.registers = join_with_locals(std::move(edges));
}

/// Ways that have ended (a failure, exit()) do not meet the others.
std::vector<AbstractValue> Lowerer::join(std::vector<Edge> edges) {
  const size_t most = edges.empty() ? 1 : edges[0].values.size();
  edges.erase(std::remove_if(edges.begin(), edges.end(),
                             [](const Edge& edge) { return !edge.block.valid(); }),
              edges.end());
  if (edges.empty()) {
    current_ = {};
    return std::vector<AbstractValue>(most, AbstractValue::nil());
  }
  if (edges.size() == 1) {
    current_ = edges[0].block;
    return std::move(edges[0].values);
  }
  size_t count = 0;
  for (const Edge& edge : edges) count = std::max(count, edge.values.size());
  for (Edge& edge : edges) edge.values.resize(count);
  make_texts(edges);
  const ssa::BlockId into = new_block();
  std::vector<AbstractValue> joined;
  for (size_t i = 0; i < count; ++i) joined.push_back(join_values(edges, i, into));
  for (const Edge& edge : edges) {
    emit_in(edge.block, {ssa::Op::Jump});
    connect(edge.block, into);
  }
  current_ = into;
  return joined;
}

AbstractValue Lowerer::join_values(const std::vector<Edge>& edges, size_t index,
                                   ssa::BlockId into) {
  std::vector<const AbstractValue*> values;
  for (const Edge& edge : edges) values.push_back(&edge.values[index]);
  bool all_same = true;
  for (const AbstractValue* value : values) {
    if (value->is(Kind::Undefined)) return {};
    all_same = all_same && same(*value, *values[0]);
  }
  if (all_same) return *values[0];
  if (values[0]->is(Kind::Tuple)) {
    AbstractValue tuple = *values[0];
    const bool alike = std::all_of(values.begin(), values.end(), [&](const AbstractValue* v) {
      return v->is(Kind::Tuple) && v->parts.size() == tuple.parts.size();
    });
    if (alike) {
      std::vector<Edge> parts;
      for (size_t e = 0; e < edges.size(); ++e)
        parts.push_back({edges[e].block, values[e]->parts, 0});
      for (size_t i = 0; i < tuple.parts.size(); ++i) tuple.parts[i] = join_values(parts, i, into);
      return tuple;
    }
  }
  if (auto joined = join_pointers(values, edges, into)) return *joined;
  if (auto joined = join_numbers(values, edges, into)) return *joined;
  if (auto joined = join_strings(values, edges, into)) return *joined;
  if (auto joined = join_stacks(values, edges, into)) return *joined;
  return join_mixed(values, edges, into);
}

/// Kernel pointers of one type, or nil.
std::optional<AbstractValue> Lowerer::join_pointers(const std::vector<const AbstractValue*>& values,
                                                    const std::vector<Edge>& edges,
                                                    ssa::BlockId into) {
  const AbstractValue* some = nullptr;
  for (const AbstractValue* v : values) some = v->is(Kind::Pointer) ? v : some;
  if (some == nullptr) return std::nullopt;
  AbstractValue joined = AbstractValue::pointer(some->ctype, {}, 0);
  for (const AbstractValue* v : values) {
    const bool is_nil = v->is(Kind::Nil) && v->integer == 0;
    if (!is_nil && (!v->is(Kind::Pointer) || v->ctype != joined.ctype)) return std::nullopt;
    joined.may_be_nil = joined.may_be_nil || v->may_be_nil || is_nil;
    joined.may_be_zero = joined.may_be_zero || v->may_be_zero;
  }
  // Beside a nil that is no null pointer, as those of tables and variables are, none may be one.
  const bool are_kept = joined.may_be_nil || joined.may_be_zero;
  for (const AbstractValue* v : values) {
    const bool is_there = v->id.valid() && function_[v->id].type == ssa::Type::Int;
    const bool is_kept = v->is(Kind::Nil) || v->may_be_nil || v->may_be_zero;
    if (are_kept && !is_there && !is_kept) return std::nullopt;
  }
  std::vector<ssa::ValueId> operands;
  for (size_t i = 0; i < values.size(); ++i) {
    const ssa::BlockId from = edges[i].block;
    operands.push_back(values[i]->is(Kind::Nil)
                           ? emit_in(from, {ssa::Op::ConstNil, ssa::Type::MaybeInt})
                           : maybe_address(*values[i], from));
  }
  joined.id = add_phi(into, ssa::Inst{ssa::Op::Phi, ssa::Type::MaybeInt}, std::move(operands)).id;
  return joined;
}

AbstractValue Lowerer::add_phi(ssa::BlockId into, ssa::Inst phi,
                               std::vector<ssa::ValueId> operands) {
  const bool all_same = std::all_of(operands.begin(), operands.end(),
                                    [&](ssa::ValueId id) { return id == operands[0]; });
  if (all_same) return AbstractValue::ssa(operands[0]);
  phi.op = ssa::Op::Phi;
  phi.operands = std::move(operands);
  return AbstractValue::ssa(emit_in(into, std::move(phi)));
}

/// Integers, booleans, and either with nil.
std::optional<AbstractValue> Lowerer::join_numbers(const std::vector<const AbstractValue*>& values,
                                                   const std::vector<Edge>& edges,
                                                   ssa::BlockId into) {
  ssa::Inst phi{ssa::Op::Phi};
  bool maybe = false;
  for (const AbstractValue* v : values) {
    maybe = maybe || v->is(Kind::Nil) || is_maybe(*v);
    if (v->is(Kind::Nil)) continue;
    const ssa::Type type = ssa::sure_type(type_of(*v));
    if (type != ssa::Type::Int && type != ssa::Type::Bool) return std::nullopt;
    if (phi.type != ssa::Type::None && phi.type != type) return std::nullopt;
    phi.type = type;
  }
  if (phi.type == ssa::Type::None) return std::nullopt;
  if (maybe) phi.type = ssa::maybe_type(phi.type);
  std::vector<ssa::ValueId> operands;
  for (size_t i = 0; i < values.size(); ++i) {
    const AbstractValue& v = *values[i];
    ssa::Inst inst{ssa::Op::ConstNil};
    inst.type = phi.type;
    ssa::ValueId id = v.id;
    if (v.is(Kind::Nil)) {
      id = emit_in(edges[i].block, std::move(inst));
    } else {
      if (!v.is(Kind::Ssa)) {
        ssa::Inst constant{v.is(Kind::Int) ? ssa::Op::ConstInt : ssa::Op::ConstBool, type_of(v)};
        constant.imm = v.integer;
        id = emit_in(edges[i].block, std::move(constant));
      }
      if (maybe && !is_maybe(v)) {
        inst.op = ssa::Op::Wrap;
        inst.operands = {id};
        id = emit_in(edges[i].block, std::move(inst));
      }
    }
    operands.push_back(id);
  }
  return add_phi(into, std::move(phi), std::move(operands));
}

/// Strings, and strings with nil. Literals and names are ids among themselves and bytes beside what
/// was read.
std::optional<AbstractValue> Lowerer::join_strings(const std::vector<const AbstractValue*>& values,
                                                   const std::vector<Edge>& edges,
                                                   ssa::BlockId into) {
  ssa::Inst shape{ssa::Op::Phi, ssa::Type::Str, ssa::StrKind::Id};
  uint32_t longest = 1;
  bool can_be_bytes = true;
  for (const AbstractValue* v : values) {
    if (v->is(Kind::Nil) || is_maybe(*v)) shape.type = ssa::Type::MaybeStr;
    if (v->is(Kind::Nil)) continue;
    if (ssa::sure_type(type_of(*v)) != ssa::Type::Str) return std::nullopt;
    if (v->is(Kind::Ssa) && function_[v->id].str_kind == ssa::StrKind::Bytes)
      shape.str_kind = ssa::StrKind::Bytes;
    can_be_bytes = can_be_bytes && text_bound(*v);
    longest = std::max(longest, text_bound(*v).value_or(0));
  }
  const bool is_bytes = shape.str_kind == ssa::StrKind::Bytes;
  if (is_bytes && !can_be_bytes) return std::nullopt;
  if (is_bytes) shape.max_bytes = longest;
  std::vector<ssa::ValueId> operands;
  for (size_t i = 0; i < values.size(); ++i) {
    const std::optional<ssa::ValueId> id = as_joined(*values[i], edges[i].block, shape);
    if (!id) return std::nullopt;
    operands.push_back(*id);
  }
  return add_phi(into, std::move(shape), std::move(operands));
}

/// Stacks, and stacks with nil: as deep as the deepest.
std::optional<AbstractValue> Lowerer::join_stacks(const std::vector<const AbstractValue*>& values,
                                                  const std::vector<Edge>& edges,
                                                  ssa::BlockId into) {
  ssa::Inst shape{ssa::Op::Phi, ssa::Type::Stack, ssa::StrKind::Bytes};
  for (const AbstractValue* v : values) {
    if (v->is(Kind::Nil) || is_maybe(*v)) shape.type = ssa::Type::MaybeStack;
    if (v->is(Kind::Nil)) continue;
    if (ssa::sure_type(type_of(*v)) != ssa::Type::Stack) return std::nullopt;
    shape.max_bytes = std::max(shape.max_bytes, function_[v->id].max_bytes);
  }
  if (shape.max_bytes == 0) return std::nullopt;
  std::vector<ssa::ValueId> operands;
  for (size_t i = 0; i < values.size(); ++i)
    operands.push_back(*as_joined(*values[i], edges[i].block, shape));
  return add_phi(into, std::move(shape), std::move(operands));
}

/// One operand of the phi `shape` of strings or stacks, at the end of `block`.
std::optional<ssa::ValueId> Lowerer::as_joined(const AbstractValue& v, ssa::BlockId block,
                                               const ssa::Inst& shape) {
  if (v.is(Kind::Nil)) {
    ssa::Inst nil = shape;
    nil.op = ssa::Op::ConstNil;
    return emit_in(block, std::move(nil));
  }
  ssa::ValueId id = v.id;
  if (v.is(Kind::Str)) {
    ssa::Inst text{ssa::Op::ConstStr, ssa::Type::Str, ssa::StrKind::Id};
    text.imm = linkage_.module.intern(v.text);
    id = emit_in(block, std::move(text));
  } else if (shape.str_kind == ssa::StrKind::Bytes && function_[id].str_kind == ssa::StrKind::Id &&
             function_[id].op != ssa::Op::ConstStr) {
    if (is_maybe(v)) return std::nullopt;  // a name that may be nil, beside what was read
    ssa::Inst bytes{ssa::Op::StrBytes, ssa::Type::Str, ssa::StrKind::Bytes,
                    std::max(*text_bound(v), uint32_t{1})};
    bytes.operands = {id};
    id = emit_in(block, std::move(bytes));
  }
  if (ssa::is_maybe(shape.type) && !ssa::is_maybe(function_[id].type)) {
    ssa::Inst wrap = shape;
    wrap.op = ssa::Op::Wrap;
    wrap.operands = {id};
    id = emit_in(block, std::move(wrap));
  }
  return id;
}

}  // namespace ktap::lower
