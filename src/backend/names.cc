// Names by number: they lie in the read-only map, one behind the other, in room for the longest.
#include <cstring>
#include <vector>

#include "backend/selector.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::JumpOp;
using bpf::Size;

void Selector::number_name(ssa::ValueId id) {
  const ssa::Inst& of = inst(id);
  const std::vector<std::string>& names = module_.names[static_cast<size_t>(of.imm)];
  const uint32_t stride = round_up8(of.max_bytes);
  std::vector<uint8_t> bytes(names.size() * stride);
  for (size_t i = 0; i < names.size(); ++i)
    std::memcpy(&bytes[i * stride], names[i].data(), names[i].size());
  const Home& home = homes_.homes[id.index];
  const bpf::Label done = asm_.make_label();
  load_tested(Reg::R3, payload_word(of.operands[0], 0, false));
  clear(home.payload, stride / 8);
  set_word(home.tag, 0);
  asm_.jump_to_if(JumpOp::Ge, Reg::R3, static_cast<int32_t>(names.size()), done);
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R3, static_cast<int32_t>(stride)));
  const uint32_t map = unit_.read_only_map();
  asm_.load_map_value(Reg::R2, map, unit_.add_read_only(bytes));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, Reg::R3));
  asm_.emit(bpf::load(Size::B, Reg::R1, Reg::R2, 0));
  asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, done);  // a number in between that has no name
  for (uint32_t i = 0; i < stride / 8; ++i) {
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R2, static_cast<int16_t>(8 * i)));
    store_word(home_word(id, i), Reg::R1);
  }
  set_word(home.tag, 1);
  asm_.bind(done);
}

}  // namespace ktap::backend
