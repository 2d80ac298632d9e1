// Fields of tracepoint records that the tracepoint's typed arguments hold as well: read from there,
// the program is a typed raw tracepoint, which comes and goes in a tenth of a millisecond (one
// through perf takes 40 to 75 ms to close) and costs 12 to 35 ns less an event. A curated list:
// what the kernel's TP_fast_assign copies as it is (include/trace/events/sched.h, syscalls.h).
#pragma once

#include <cstdint>
#include <optional>

#include "backend/unit.h"
#include "bpf/insn.h"

namespace ktap::backend {

/// A member of what an argument points to, or the argument itself.
struct TypedField {
  uint32_t argument = 0;  ///< in the context
  int32_t offset_bytes = 0;
  bool is_comm = false;    ///< 16 bytes of text, zero padded; else an i32
  bool is_itself = false;  ///< the argument: a number of 64 bits
};

/// Nothing: the record has to be read.
std::optional<TypedField> typed_field(const schema::Event& event, size_t field,
                                      const bpf::KernelFacts& facts);

/// Whether the job reads more of its tracepoint than its name and typed_field()s.
bool reads_record(const Job& job, const ssa::Module& module, const bpf::KernelFacts& facts);

}  // namespace ktap::backend
