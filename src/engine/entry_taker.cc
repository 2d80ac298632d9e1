// See entry_taker.h.
#include "engine/entry_taker.h"

#include <cstring>
#include <optional>
#include <vector>

#include "backend/unit.h"
#include "bpf/assembler.h"

namespace ktap::engine {

namespace {

using backend::kTakenPresence;
using bpf::AtomicOp;
using bpf::JumpOp;
using bpf::Reg;
using bpf::Size;

// What references to maps stand for.
constexpr uint32_t kEntries = 0, kOrder = 1;
constexpr int16_t kKeyOffset = 8;

/// Returns by how much the number of entries grows, and 1 more. The word says "not there" first, so
/// that nobody meets the entry with a 0 that it never had.
Result<bpf::Program> taking_code(bool is_counted) {
  bpf::Assembler code;
  const bpf::Label absent = code.make_label(), empty = code.make_label(), out = code.make_label();
  code.load_map_value(Reg::R6, kOrder, 0);
  code.load_map(Reg::R1, kEntries);
  code.emit(bpf::mov64(Reg::R2, Reg::R6));
  code.emit(bpf::alu64(bpf::AluOp::Add, Reg::R2, kKeyOffset));
  code.call_helper(bpf::Helper::MapLookupElem);
  code.jump_to_if(JumpOp::Eq, Reg::R0, 0, absent);
  code.emit(bpf::load(Size::DW, Reg::R2, Reg::R6, 0));
  code.emit(bpf::mov64(Reg::R3, 0));
  if (is_counted) {
    code.emit(bpf::atomic(AtomicOp::Xchg, Size::DW, Reg::R0, kTakenPresence, Reg::R3));
  } else {
    code.emit(bpf::store(Size::DW, Reg::R0, kTakenPresence, Reg::R3));
  }
  code.emit(bpf::mov64(Reg::R1, 0));
  code.emit(bpf::alu64(bpf::AluOp::Sub, Reg::R1, Reg::R2));
  code.emit(bpf::atomic(AtomicOp::Add, Size::DW, Reg::R0, 0, Reg::R1));
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

}  // namespace

Result<EntryTaker> EntryTaker::make(const sys::Map& map, bool is_counted) {
  bpf::MapSpec spec;
  spec.name = "order";
  spec.key_size_bytes = 4;
  spec.value_size_bytes = kKeyOffset + map.spec().key_size_bytes;
  spec.max_entries = 1;
  spec.mmapable = true;
  KTAP_ASSIGN(sys::Map order, sys::Map::create(spec));
  KTAP_ASSIGN(sys::MappedArray memory, sys::MappedArray::map(order));
  KTAP_ASSIGN(const bpf::Program program, taking_code(is_counted));
  sys::LoadFailure failure;
  const std::vector<bpf::Insn> code =
      program.relocated([&](uint32_t of) { return of == kOrder ? order.fd() : map.fd(); });
  std::optional<sys::UniqueFd> loaded =
      sys::load_program("take", bpf::ProgramKind::RawTracepoint, code, &failure);
  if (!loaded) return failure.error;
  return EntryTaker(std::move(order), std::move(memory), std::move(*loaded),
                    map.spec().key_size_bytes);
}

Result<int64_t> EntryTaker::take(const uint8_t* key, int64_t seen) {
  std::memcpy(memory_.data(), &seen, sizeof seen);
  std::memcpy(memory_.data() + kKeyOffset, key, key_size_bytes_);
  KTAP_ASSIGN(const uint32_t said, sys::run_once(program_.get()));
  return int64_t{said} - 1;
}

}  // namespace ktap::engine
