// Kernel memory by its types: `curtask`, cast(), `.member` and `[i]` behind them. A typed value is
// a C type and an address, both known here as far as the script tells: the type always, the address
// as a number of SSA and a constant that members add to. What a member or element is decides
// whether bytes are read (numbers, pointers, text) or only the address moves (structs, arrays). An
// address that leads nowhere is nil, and what is looked up in nil is nil again.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "lower/kernel_types.h"
#include "lower/lowerer.h"
#include "ssa/kernel_access.h"

namespace ktap::lower {

using schema::CKind;
using schema::CMember;
using schema::CShape;
using schema::CType;

namespace {

constexpr int64_t kMaxOffsetBytes = INT32_MAX / 2;

}  // namespace

const schema::KernelTypes* Lowerer::kernel_types() {
  const schema::KernelTypes* types = options_.machine.types ? options_.machine.types() : nullptr;
  if (types == nullptr) {
    EventMistake mistake;
    mistake.code = diag::Code::NoKernelType;
    mistake.text = "this kernel does not describe its types: it has no /sys/kernel/btf/vmlinux";
    type_mistake(std::move(mistake));
  }
  return types;
}

/// Who knows the type: the kernel, or a program.
const schema::KernelTypes* Lowerer::types_of(CType type) {
  if (!schema::is_user_type(type)) return kernel_types();
  KTAP_CHECK(options_.machine.user_types != nullptr);
  return options_.machine.user_types;
}

AbstractValue Lowerer::current_task() {
  const schema::KernelTypes* types = kernel_types();
  if (types == nullptr) return {};
  const Result<CType> task = types->parse("struct task_struct");
  if (!task.ok()) {
    refuse(task.error().message);
    return {};
  }
  ssa::Inst inst{ssa::Op::EventVar, ssa::Type::Int};
  inst.imm = static_cast<int64_t>(schema::BuiltinVar::Curtask);
  return AbstractValue::pointer(task.value(), emit(std::move(inst)), 0);
}

bool Lowerer::is_task(const AbstractValue& pointer) const {
  if (!pointer.id.valid()) return false;
  const ssa::Inst& from = function_[pointer.id];
  return from.op == ssa::Op::EventVar &&
         from.imm == static_cast<int64_t>(schema::BuiltinVar::Curtask);
}

/// A mistake of the script, wherever it runs; the code goes no further.
void Lowerer::type_mistake(EventMistake mistake) {
  mistake.span = place_.span;
  mistake.line = place_.line;
  refuse(mistake.text);
  linkage_.mistakes.push_back(std::move(mistake));
}

/// pointer.NAME or pointer[i].
AbstractValue Lowerer::typed_index(const AbstractValue& pointer, const AbstractValue& key) {
  if (pointer.may_be_nil) {  // of a table: an absent entry is no null pointer
    const std::string note = key.is(Kind::Str) ? fmt::format(" (field '{}')", key.text) : "";
    const AbstractValue sure =
        check_not_nil(AbstractValue::ssa(pointer.id), fmt::format("cannot index nil{}", note));
    if (stopped()) return {};
    AbstractValue there = pointer;
    there.id = sure.id;
    there.may_be_nil = false;
    return typed_index(there, key);
  }
  if (pointer.may_be_zero)
    return typed_index(AbstractValue::pointer(pointer.ctype, plain(pointer).id, 0), key);
  const schema::KernelTypes* types = types_of(pointer.ctype);
  if (types == nullptr) return {};
  if (key.is(Kind::Str)) {
    const Result<CMember> member = find_member(*types, pointer.ctype, key.text, &linkage_.mistakes);
    if (member.ok()) return typed_value(*types, pointer, member.value());
    linkage_.mistakes.back().span = place_.span;
    linkage_.mistakes.back().line = place_.line;
    refuse(member.error().message);
    return {};
  }
  const int64_t size = types->shape(pointer.ctype).size_bytes;
  if (size == 0) {
    EventMistake mistake;
    mistake.code = diag::Code::NoStructMember;
    mistake.text = fmt::format("'{}' has no elements: the size of '{}' is not known",
                               types->name({pointer.ctype.id, pointer.ctype.pointers + 1}),
                               types->name(pointer.ctype));
    type_mistake(std::move(mistake));
    return {};
  }
  AbstractValue element = pointer;
  if (!pointer.id.valid() && pointer.integer == 0) {
    // nil: of whatever index
  } else if (key.is(Kind::Int)) {
    element.integer = pointer.integer + key.integer * size;
  } else {
    const AbstractValue index = check_not_nil(key, pointer_index_error(runtime::Type::Nil));
    if (stopped()) return {};
    if (type_of(index) != ssa::Type::Int) {
      refuse_use("an index into kernel memory", index);
      return {};
    }
    const ssa::ValueId bytes = op2(ssa::Op::Mul, ssa::Type::Int, index.id, const_int(size));
    element = moved(pointer, bytes);
  }
  return typed_value(*types, element, CMember{pointer.ctype, 0, 0});
}

/// A number or text that lay where a pointer led: no run can have members of it.
bool Lowerer::is_read_from_memory(const AbstractValue& value) const {
  if (!value.is(Kind::Ssa)) return false;
  const ssa::Op op = function_[value.id].op;
  return op == ssa::Op::KernelRead || op == ssa::Op::KernelText;
}

void Lowerer::no_member(const AbstractValue& of, const AbstractValue& key) {
  const bool is_text = function_[of.id].op == ssa::Op::KernelText;
  EventMistake mistake;
  mistake.code = diag::Code::NoStructMember;
  mistake.text = fmt::format("{} that is read from memory has no {}", is_text ? "text" : "a number",
                             key.is(Kind::Str) ? fmt::format("member '{}'", key.text) : "elements");
  if (is_text && !key.is(Kind::Str)) mistake.hint = "a character of it is string.byte(s, n)";
  type_mistake(std::move(mistake));
}

/// The pointer, that many bytes on; nil stays nil.
AbstractValue Lowerer::moved(const AbstractValue& pointer, ssa::ValueId bytes) {
  AbstractValue base = plain(pointer);
  if (base.is(Kind::Int)) base = AbstractValue::ssa(const_int(base.integer));
  AbstractValue result = pointer;
  result.integer = 0;
  if (!is_maybe(base)) {
    result.id = op2(ssa::Op::Add, ssa::Type::Int, base.id, bytes);
    return result;
  }
  const ssa::BlockId absent = enter_where_there(base);
  const ssa::ValueId sum = op2(ssa::Op::Add, ssa::Type::Int, base.id, bytes);
  const std::vector<AbstractValue> values =
      join({{absent, {AbstractValue::nil()}, 0}, {current_, {AbstractValue::ssa(sum)}, 0}});
  result.id = values[0].id;
  return result;
}

/// A pointer as the number that it is, or nil.
AbstractValue Lowerer::plain(const AbstractValue& value) {
  if (!value.is(Kind::Pointer)) return value;
  if (value.may_be_zero) return not_null(AbstractValue::ssa(value.id));
  if (!value.id.valid())
    return value.integer == 0 ? AbstractValue::nil() : AbstractValue::of(value.integer);
  if (value.integer == 0) return AbstractValue::ssa(value.id);
  if (function_[value.id].type == ssa::Type::Int)
    return AbstractValue::ssa(
        op2(ssa::Op::Add, ssa::Type::Int, value.id, const_int(value.integer)));
  return AbstractValue::ssa(maybe_address(value, current_));
}

/// The same as a MaybeInt, made at the end of a block: what is joined with others.
ssa::ValueId Lowerer::maybe_address(const AbstractValue& pointer, ssa::BlockId in) {
  ssa::ValueId base = pointer.id;
  if (!base.valid()) {
    ssa::Inst constant{pointer.integer == 0 ? ssa::Op::ConstNil : ssa::Op::ConstInt,
                       pointer.integer == 0 ? ssa::Type::MaybeInt : ssa::Type::Int};
    constant.imm = pointer.integer;
    base = emit_in(in, std::move(constant));
    if (pointer.integer == 0) return base;
  } else if (pointer.integer == 0 && function_[base].type == ssa::Type::MaybeInt) {
    return base;
  }
  ssa::Inst address{ssa::Op::KernelAddress, ssa::Type::MaybeInt};
  address.imm = pointer.id.valid() ? pointer.integer : 0;
  address.operands = {base};
  return emit_in(in, std::move(address));
}

/// What lies at a member or element; `at` is the struct's address, or the element's own.
AbstractValue Lowerer::typed_value(const schema::KernelTypes& types, const AbstractValue& at,
                                   const CMember& member) {
  const CShape shape = types.shape(member.type);
  if (!at.id.valid() && at.integer == 0)  // nil again; with members where a pointer has some
    return AbstractValue::pointer(
        shape.kind == CKind::Pointer || shape.kind == CKind::Array ? shape.target : member.type, {},
        0);
  const int64_t offset = at.integer + member.offset_bits / 8;
  if (at.id.valid() && (offset > kMaxOffsetBytes || offset < -kMaxOffsetBytes)) {
    refuse("an index into kernel memory that is too far");
    return {};
  }
  AbstractValue place = at;
  place.integer = offset;
  place.ctype = member.type;
  switch (shape.kind) {
    case CKind::Struct:
      return place;
    case CKind::Array:
      if (shape.is_text) return read_text(place, shape.count, shape.count);
      place.ctype = shape.target;
      return place;
    case CKind::Pointer: {
      const AbstractValue address = read_number(place, shape, member);
      if (stopped()) return {};
      const AbstractValue pointer = AbstractValue::pointer(shape.target, address.id, 0);
      return shape.is_text ? read_text(pointer, 0, limits::kStringBytes) : pointer;
    }
    case CKind::Int:
    case CKind::Bool:
    case CKind::Enum:
      if (shape.size_bytes <= 8) return read_number(place, shape, member);
      break;
    case CKind::Void:
    case CKind::Opaque:
      break;
  }
  EventMistake mistake;
  mistake.code = diag::Code::NoStructMember;
  mistake.text = fmt::format("'{}' is no type that a script can read", types.name(member.type));
  type_mistake(std::move(mistake));
  return {};
}

/// The base as an operand of a read, and how far the read is from it.
ssa::ValueId Lowerer::read_base(const AbstractValue& place, int64_t& offset) {
  offset = place.integer;
  if (place.id.valid()) return place.id;
  offset = 0;
  return const_int(place.integer);
}

AbstractValue Lowerer::read_number(const AbstractValue& place, const CShape& shape,
                                   const CMember& member) {
  ssa::KernelAccess access;
  int64_t offset = 0;
  const ssa::ValueId base = read_base(place, offset);
  access.size_bytes = shape.size_bytes;
  access.is_signed = shape.is_signed;
  access.is_pointer = shape.kind == CKind::Pointer;
  access.is_user = schema::is_user_type(place.ctype);
  if (member.width_bits != 0) {
    // The smallest aligned number that holds all of its bits; at worst one that is not aligned.
    const uint32_t first = member.offset_bits % 64, last = first + member.width_bits - 1;
    offset -= first / 8;
    access.size_bytes = 8;
    access.shift_bits = first;
    for (uint32_t size = 1; size <= 8; size *= 2) {
      if (first / (size * 8) != last / (size * 8)) continue;
      access.size_bytes = size;
      access.shift_bits = first % (size * 8);
      offset += (first / (size * 8)) * size;
      break;
    }
    if (last >= 64) {
      access.shift_bits = first % 8;
      offset += first / 8;
    }
    access.width_bits = member.width_bits;
    if (access.shift_bits + access.width_bits > 64) {
      refuse("a bit field that no number of 64 bits holds");
      return {};
    }
  }
  access.offset_bytes = static_cast<int32_t>(offset);
  const bool is_bool = shape.kind == CKind::Bool;
  const bool is_sure = is_task(place) && !access.is_pointer;
  ssa::Inst inst{ssa::Op::KernelRead, is_bool ? ssa::Type::Bool : ssa::Type::Int};
  if (!is_sure) inst.type = ssa::maybe_type(inst.type);
  inst.imm = access.pack();
  inst.operands = {base};
  return AbstractValue::ssa(emit(std::move(inst)));
}

/// Up to a NUL, or to the end of an array of `array_bytes`.
AbstractValue Lowerer::read_text(const AbstractValue& place, uint32_t array_bytes,
                                 uint32_t limit_bytes) {
  int64_t offset = 0;
  const ssa::ValueId base = read_base(place, offset);
  ssa::Inst inst{ssa::Op::KernelText, is_task(place) ? ssa::Type::Str : ssa::Type::MaybeStr,
                 ssa::StrKind::Bytes};
  inst.max_bytes =
      limit_bytes == 0 ? limits::kStringBytes : std::min(limit_bytes, limits::kStringBytes);
  inst.imm =
      ssa::TextAccess{static_cast<int32_t>(offset), array_bytes, schema::is_user_type(place.ctype)}
          .pack();
  inst.operands = {base};
  return AbstractValue::ssa(emit(std::move(inst)));
}

/// cast("struct sock *", address).
AbstractValue Lowerer::cast(const std::vector<AbstractValue>& args) {
  if (!args[0].is(Kind::Str)) {
    refuse("cast() to a type that is not known before the handlers run");
    return {};
  }
  const schema::KernelTypes* types = kernel_types();
  if (types == nullptr) return {};
  const Result<CType> target = cast_target(*types, args[0].text, &linkage_.mistakes);
  if (!target.ok()) {
    linkage_.mistakes.back().span = place_.span;
    linkage_.mistakes.back().line = place_.line;
    refuse(target.error().message);
    return {};
  }
  if (args[1].is(Kind::Pointer)) {
    AbstractValue pointer = args[1];
    if (pointer.may_be_zero) pointer = AbstractValue::pointer(pointer.ctype, plain(pointer).id, 0);
    // Of the task as another type nothing is loaded directly: the kernel asks for its members.
    if (is_task(pointer) && pointer.ctype != target.value()) {
      pointer.id = maybe_address(pointer, current_);
      pointer.integer = 0;
    }
    pointer.ctype = target.value();
    pointer.may_be_nil = false;
    return pointer;
  }
  AbstractValue address = args[1];
  if (address.is(Kind::Int) || address.is(Kind::Nil))
    return AbstractValue::pointer(target.value(), {}, address.integer);
  if (ssa::sure_type(type_of(address)) != ssa::Type::Int) {
    refuse_use("cast()", address);
    return {};
  }
  return AbstractValue::pointer(target.value(), not_null(address).id, 0);
}

/// The number, or nil where it is 0 or nil.
AbstractValue Lowerer::not_null(AbstractValue address) {
  if (!is_maybe(address)) return nil_where_zero(address.id);
  const ssa::BlockId absent = enter_where_there(address);
  address = nil_where_zero(address.id);
  return join({{absent, {AbstractValue::nil()}, 0}, {current_, {address}, 0}})[0];
}

/// A field that points to memory of a known type; nil where it is NULL.
AbstractValue Lowerer::pointer_of(uint32_t field, ssa::ValueId address) {
  const AbstractValue checked = not_null(AbstractValue::ssa(address));
  return AbstractValue::pointer(event().fields[field].target, checked.id, 0);
}

/// kaddr("jiffies"): known here.
AbstractValue Lowerer::kernel_address(const AbstractValue& name) {
  if (!name.is(Kind::Str) || !options_.machine.symbol) {
    refuse("kaddr() of a name that is not known before the handlers run");
    return {};
  }
  const Result<int64_t> address = options_.machine.symbol(name.text);
  if (address.ok()) return AbstractValue::of(address.value());
  type_mistake(no_kernel_symbol(address.error()));
  return {};
}

}  // namespace ktap::lower
