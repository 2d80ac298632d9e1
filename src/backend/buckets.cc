// Which bucket of a histogram a sample falls into. In general without a branch for powers of two:
// the verifier walks 64 of these sequences in 4 500 instructions, of branchy ones in 92 000. The
// sample's magnitude is smeared to 2^k - 1; a multiplication then gives each of the 65 such numbers
// an index of its own in a table of 128 bytes (de Bruijn's idea; the multiplier was found by
// trying). Counts of up to three bytes, as most samples are, find their bucket by the first byte
// that is not zero; each of these ways ends with an unknown byte in R3, so that the verifier goes
// on from the first of them only.
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

/// The bucket by powers of two of a sample whose first byte that is not zero has `below` bits below
/// it.
std::vector<uint8_t> table_of_bytes(int below) {
  std::vector<uint8_t> table(256);
  for (unsigned byte = 0; byte < table.size(); ++byte)
    table[byte] = static_cast<uint8_t>(ssa::log2_bucket(static_cast<int64_t>(byte) << below));
  return table;
}

}  // namespace

/// R3 = the bucket by powers of two of the sample in R1 when that is 0 to 2^24 - 1, and then to
/// `done`. Uses R4.
void Selector::look_up_first_byte(bpf::Label done) {
  for (int below = 0; below < 24; below += 8) {
    bpf::Label larger = asm_.make_label();
    asm_.jump_to_if(JumpOp::Gt, Reg::R1, (256 << below) - 1, larger);
    asm_.load_map_value(Reg::R4, unit_.read_only_map(), unit_.add_read_only(table_of_bytes(below)));
    if (below != 0) asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R1, below));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, Reg::R1));
    asm_.emit(bpf::load(Size::B, Reg::R3, Reg::R4, 0));
    asm_.jump_to(done);
    asm_.bind(larger);
  }
}

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
  bpf::Label done = asm_.make_label();
  load_tested(Reg::R1, payload_word(inst(id).operands[0], 0, false));
  if (!log_linear) look_up_first_byte(done);
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
  if (!log_linear) asm_.emit(bpf::alu64(AluOp::And, Reg::R3, 0xff));
  asm_.bind(done);
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
