// Random numbers: two calls of the kernel's generator, which gives 32 bits.
#include "backend/selector.h"

namespace ktap::backend {

using bpf::AluOp;

void Selector::random(ssa::ValueId id) {
  asm_.call_helper(bpf::Helper::GetPrandomU32);
  asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R0, 32));
  store_result(id, Reg::R0);
  asm_.call_helper(bpf::Helper::GetPrandomU32);
  asm_.emit(bpf::mov32(Reg::R0, Reg::R0));
  const Reg high = in_register(id, Reg::R1);
  asm_.emit(bpf::alu64(AluOp::Or, Reg::R0, high));
  asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R0, 1));
  store_result(id, Reg::R0);
}

}  // namespace ktap::backend
