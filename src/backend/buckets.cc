// Which bucket of a histogram a sample falls into, without a branch for powers of two: the verifier
// walks 64 of these sequences in 4 500 instructions, of branchy ones in 92 000. The sample's
// magnitude is smeared to 2^k - 1; a multiplication then gives each of the 65 such numbers an index
// of its own in a table of 128 bytes (de Bruijn's idea; the multiplier was found by trying).
#include <algorithm>
#include <vector>

#include "backend/selector.h"
#include "ssa/buckets.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::JumpOp;
using bpf::Size;
using ssa::Op;
using ssa::ValueId;

namespace {

constexpr uint64_t kMultiplier = 0xe832eb7369878d4f;
constexpr int kIndexBits = 7;
constexpr int kSubBits = 4;  // 16 log-linear buckets to a power of two

/// By the index of 2^k - 1: k, or by how far such a number is shifted to its log-linear bucket.
std::vector<uint8_t> table_of(bool log_linear) {
  std::vector<uint8_t> table(size_t{1} << kIndexBits);
  for (int k = 0; k <= 64; ++k) {
    const uint64_t smeared = k == 64 ? UINT64_MAX : (uint64_t{1} << k) - 1;
    const int value = log_linear ? std::max(k - kSubBits - 1, 0) : k;
    table[(smeared * kMultiplier) >> (64 - kIndexBits)] = static_cast<uint8_t>(value);
  }
  return table;
}

}  // namespace

/// R3 = the table's entry for the magnitude in R1, which stays. Uses R2, R4.
void Selector::look_up_length(bool log_linear) {
  asm_.emit(bpf::mov64(Reg::R3, Reg::R1));
  for (int shift = 1; shift < 64; shift *= 2) {
    asm_.emit(bpf::mov64(Reg::R2, Reg::R3));
    asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R2, shift));
    asm_.emit(bpf::alu64(AluOp::Or, Reg::R3, Reg::R2));
  }
  asm_.load_const(Reg::R2, static_cast<int64_t>(kMultiplier));
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R3, Reg::R2));
  asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R3, 64 - kIndexBits));
  asm_.load_map_value(Reg::R4, unit_.read_only_map(), unit_.add_read_only(table_of(log_linear)));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, Reg::R3));
  asm_.emit(bpf::load(Size::B, Reg::R3, Reg::R4, 0));
}

/// Negative samples mirror the positive ones: |x| = (x ^ s) - s with s = x >> 63, and back alike.
void Selector::power_bucket(ValueId id) {
  const bool log_linear = inst(id).op == Op::LogLinearBucket;
  load_tested(Reg::R1, payload_word(inst(id).operands[0], 0, false));
  asm_.emit(bpf::mov64(Reg::R5, Reg::R1));
  asm_.emit(bpf::alu64(AluOp::Arsh, Reg::R5, 63));
  asm_.emit(bpf::alu64(AluOp::Xor, Reg::R1, Reg::R5));
  asm_.emit(bpf::alu64(AluOp::Sub, Reg::R1, Reg::R5));
  look_up_length(log_linear);
  if (log_linear) {
    // 16 × shift + (x >> shift): below 16 the number itself, above it a 1 and the next four bits.
    asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R1, Reg::R3));
    asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R3, kSubBits));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R1));
  }
  asm_.emit(bpf::alu64(AluOp::Xor, Reg::R3, Reg::R5));
  asm_.emit(bpf::alu64(AluOp::Sub, Reg::R3, Reg::R5));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3,
                       static_cast<int32_t>(log_linear ? ssa::kLogLinearZero : ssa::kLog2Zero)));
  store_result(id, Reg::R3);
}

void Selector::linear_bucket(ValueId id) {
  const ssa::LinearBounds& bounds = module_.linear[static_cast<size_t>(inst(id).imm)];
  bpf::Label done = asm_.make_label();
  load_tested(Reg::R1, payload_word(inst(id).operands[0], 0, false));
  const auto jump_past = [&](JumpOp op, int64_t bound) {
    if (bound == static_cast<int32_t>(bound)) {
      return asm_.jump_to_if(op, Reg::R1, static_cast<int32_t>(bound), done);
    }
    asm_.load_const(Reg::R2, bound);
    asm_.jump_to_if(op, Reg::R1, Reg::R2, done);
  };
  asm_.emit(bpf::mov64(Reg::R3, 0));
  jump_past(JumpOp::SLt, bounds.lo);
  asm_.emit(bpf::mov64(Reg::R3, static_cast<int32_t>(ssa::linear_bucket_count(bounds)) - 1));
  jump_past(JumpOp::SGe, bounds.hi);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R1));
  asm_.load_const(Reg::R2, bounds.lo);
  asm_.emit(bpf::alu64(AluOp::Sub, Reg::R3, Reg::R2));
  asm_.load_const(Reg::R2, bounds.step);
  asm_.emit(bpf::alu64(AluOp::Div, Reg::R3, Reg::R2));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, static_cast<int32_t>(ssa::kLinearFirst)));
  asm_.bind(done);
  store_result(id, Reg::R3);
}

}  // namespace ktap::backend
