// See entry_updater.h.
#include "engine/entry_updater.h"

#include <cstring>
#include <vector>

#include "base/check.h"
#include "bpf/assembler.h"
#include "runtime/number.h"

namespace ktap::engine {

namespace {

using backend::kTakenPresence;
using TakenBy = backend::Table::TakenBy;
using bpf::AtomicOp;
using bpf::JumpOp;
using bpf::Reg;
using bpf::Size;

// What references to maps stand for.
constexpr uint32_t kEntries = 0, kOrder = 1;
constexpr int16_t kKeyOffset = 8;
/// The program that takes; others are named by their AtomicOp.
constexpr uint32_t kTake = UINT32_MAX;

/// R6 = the order, R0 = the entry; goes to `absent` when there is none.
void find_entry(bpf::Assembler& code, bpf::Label absent) {
  code.load_map_value(Reg::R6, kOrder, 0);
  code.load_map(Reg::R1, kEntries);
  code.emit(bpf::mov64(Reg::R2, Reg::R6));
  code.emit(bpf::alu64(bpf::AluOp::Add, Reg::R2, kKeyOffset));
  code.call_helper(bpf::Helper::MapLookupElem);
  code.jump_to_if(JumpOp::Eq, Reg::R0, 0, absent);
}

AtomicOp taking_op(const backend::Table& table) {
  switch (table.taken_by) {
    case TakenBy::Sum:
      return AtomicOp::Add;
    case TakenBy::Mask:
      return AtomicOp::And;
    case TakenBy::Toggle:
      return AtomicOp::Xor;
  }
  KTAP_UNREACHABLE();
}

/// Returns by how much the number of entries grows, and 1 more. The word says "not there" first, so
/// that nobody meets the entry with a 0 that it never had.
Result<bpf::Program> taking_code(const backend::Table& table) {
  const bool is_counted = table.is_counted;
  bpf::Assembler code;
  const bpf::Label absent = code.make_label(), empty = code.make_label(), out = code.make_label();
  find_entry(code, absent);
  code.emit(bpf::load(Size::DW, Reg::R2, Reg::R6, 0));
  code.emit(bpf::mov64(Reg::R3, 0));
  if (is_counted) {
    code.emit(bpf::atomic(AtomicOp::Xchg, Size::DW, Reg::R0, kTakenPresence, Reg::R3));
  } else {
    code.emit(bpf::store(Size::DW, Reg::R0, kTakenPresence, Reg::R3));
  }
  code.emit(bpf::atomic(taking_op(table), Size::DW, Reg::R0, 0, Reg::R2));
  code.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, 0));
  code.emit(bpf::mov64(Reg::R4, 0));
  code.jump_to_if(JumpOp::Eq, Reg::R1, 0, empty);
  code.emit(bpf::mov64(Reg::R1, 1));
  if (is_counted) {
    // Who adds meanwhile does the same: it is counted by whoever finds a 0 there.
    code.emit(bpf::atomic(AtomicOp::Xchg, Size::DW, Reg::R0, kTakenPresence, Reg::R1));
    code.jump_to_if(JumpOp::Ne, Reg::R1, 0, empty);
    code.emit(bpf::mov64(Reg::R4, 1));
  } else {
    code.emit(bpf::store(Size::DW, Reg::R0, kTakenPresence, Reg::R1));
  }
  code.bind(empty);
  code.emit(bpf::mov64(Reg::R0, 1));
  code.emit(bpf::alu64(bpf::AluOp::Add, Reg::R0, Reg::R4));
  code.emit(bpf::alu64(bpf::AluOp::Sub, Reg::R0, Reg::R3));
  code.jump_to(out);
  code.bind(absent);
  code.emit(bpf::mov64(Reg::R0, 1));
  code.bind(out);
  code.emit(bpf::exit_insn());
  bpf::Program program;
  KTAP_TRY(code.finish(program));
  return program;
}

/// Returns a Found.
Result<bpf::Program> updating_code(const backend::Table& table, AtomicOp op) {
  using Found = EntryUpdater::Found;
  bpf::Assembler code;
  const bpf::Label absent = code.make_label(), out = code.make_label();
  find_entry(code, absent);
  int16_t word = 0;
  if (table.value.kind == ssa::KeyPart::Kind::Union) {
    word = ssa::kUnionWordOffset;
    code.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, 0));
    code.jump_to_if(JumpOp::Ne, Reg::R1, ssa::kIntTag, absent);
  }
  code.emit(bpf::load(Size::DW, Reg::R1, Reg::R6, 0));
  code.emit(bpf::atomic(op, Size::DW, Reg::R0, word, Reg::R1));
  code.emit(bpf::mov64(Reg::R1, 1));
  if (table.is_taken && !table.is_counted)
    code.emit(bpf::store(Size::DW, Reg::R0, kTakenPresence, Reg::R1));
  if (table.is_taken && table.is_counted)
    code.emit(bpf::atomic(AtomicOp::Xchg, Size::DW, Reg::R0, kTakenPresence, Reg::R1));
  code.emit(bpf::mov64(Reg::R0, static_cast<int32_t>(Found::There)));
  code.jump_to_if(JumpOp::Ne, Reg::R1, 0, out);
  code.emit(bpf::mov64(Reg::R0, static_cast<int32_t>(Found::New)));
  code.jump_to(out);
  code.bind(absent);
  code.emit(bpf::mov64(Reg::R0, static_cast<int32_t>(Found::Absent)));
  code.bind(out);
  code.emit(bpf::exit_insn());
  bpf::Program program;
  KTAP_TRY(code.finish(program));
  return program;
}

}  // namespace

Result<void> EntryUpdater::make_memory() {
  if (order_) return {};
  bpf::MapSpec spec;
  spec.name = "order";
  spec.key_size_bytes = 4;
  spec.value_size_bytes = kKeyOffset + map_.spec().key_size_bytes;
  spec.max_entries = 1;
  spec.mmapable = true;
  KTAP_ASSIGN(sys::Map order, sys::Map::create(spec));
  KTAP_ASSIGN(memory_, sys::MappedArray::map(order));
  order_ = std::move(order);
  return {};
}

Result<sys::UniqueFd> EntryUpdater::make_program(uint32_t kind) {
  KTAP_TRY(make_memory());
  KTAP_ASSIGN(const bpf::Program program, kind == kTake
                                              ? taking_code(table_)
                                              : updating_code(table_, static_cast<AtomicOp>(kind)));
  sys::LoadFailure failure;
  const std::vector<bpf::Insn> code =
      program.relocated([&](uint32_t of) { return of == kOrder ? order_->fd() : map_.fd(); });
  std::optional<sys::UniqueFd> loaded =
      sys::load_program("update", bpf::ProgramKind::RawTracepoint, code, &failure);
  if (!loaded) return failure.error;
  return std::move(*loaded);
}

std::optional<uint32_t> EntryUpdater::run(uint32_t kind, const uint8_t* key, int64_t operand) {
  auto program = programs_.find(kind);
  if (program == programs_.end()) program = programs_.emplace(kind, make_program(kind)).first;
  if (!program->second.ok()) return std::nullopt;
  std::memcpy(memory_.data(), &operand, sizeof operand);
  std::memcpy(memory_.data() + kKeyOffset, key, map_.spec().key_size_bytes);
  const Result<uint32_t> said = sys::run_once(program->second.value().get());
  if (!said.ok()) return std::nullopt;
  return said.value();
}

std::optional<int64_t> EntryUpdater::take(const uint8_t* key, int64_t seen) {
  int64_t operand = seen;
  if (table_.taken_by == TakenBy::Sum) operand = runtime::wrap_sub(0, seen);
  if (table_.taken_by == TakenBy::Mask) operand = ~seen;
  const std::optional<uint32_t> said = run(kTake, key, operand);
  if (!said) return std::nullopt;
  return int64_t{*said} - 1;
}

std::optional<EntryUpdater::Found> EntryUpdater::update(const uint8_t* key, bpf::AtomicOp op,
                                                        int64_t operand) {
  const std::optional<uint32_t> said = run(static_cast<uint32_t>(op), key, operand);
  if (!said) return std::nullopt;
  return static_cast<Found>(*said);
}

}  // namespace ktap::engine
