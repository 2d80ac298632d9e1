// The test machine: results, maps, ring, and above all that it refuses what is wrong.
#include "bpf/interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bpf/assembler.h"

namespace ktap::bpf {
namespace {

using R = Reg;

Program finish(Assembler& code) {
  Program program;
  EXPECT_TRUE(code.finish(program).ok());
  return program;
}

MapSpec spec(MapKind kind, uint32_t key, uint32_t value, uint32_t entries) {
  MapSpec out;
  out.kind = kind;
  out.key_size_bytes = key;
  out.value_size_bytes = value;
  out.max_entries = entries;
  return out;
}

std::string error_of(Assembler& code, const std::vector<MapSpec>& maps = {}) {
  Machine machine(maps, 2);
  auto result = machine.run(finish(code), Bytes(16));
  return result.ok() ? "" : result.error().message;
}

TEST(Interpreter, MayGotoRunsOutAtLast) {
  Assembler code;
  Label head = code.make_label(), done = code.make_label();
  code.load_const(R::R0, 0);
  code.bind(head);
  code.may_goto(done);
  code.emit(alu64(AluOp::Add, R::R0, 1));
  code.jump_to(head);
  code.bind(done);
  code.emit(exit_insn());
  Machine machine({}, 1);
  machine.may_gotos = 1000;
  auto got = machine.run(finish(code), {});
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(got.value(), 1000u);
}

/// bpf_loop() over `rounds`, with a callback that adds its number to r10 - 8 of the program and
/// ends at `last`.
Program called_back(int32_t rounds, int32_t last, int32_t result = kLoopEnds) {
  Assembler code;
  const Label function = code.make_label(), on = code.make_label();
  code.emit(store(Size::DW, R::R10, -8, 0));
  code.emit(mov64(R::R6, 5));
  code.emit(mov64(R::R1, rounds));
  code.load_function(R::R2, function);
  code.emit(mov64(R::R3, R::R10));
  code.emit(mov64(R::R4, 0));
  code.call_helper(Helper::Loop);
  code.emit(load(Size::DW, R::R1, R::R10, -8));
  code.emit(alu64(AluOp::Mul, R::R0, 1000));
  code.emit(alu64(AluOp::Add, R::R0, R::R1));
  code.emit(alu64(AluOp::Add, R::R0, R::R6));
  code.emit(exit_insn());
  code.begin_callback(function);
  code.emit(load(Size::DW, R::R6, R::R2, -8));
  code.emit(alu64(AluOp::Add, R::R6, R::R1));
  code.emit(store(Size::DW, R::R2, -8, R::R6));
  code.emit(mov64(R::R0, result));
  code.jump_to_if(JumpOp::Eq, R::R1, last, on);
  code.emit(mov64(R::R0, 0));
  code.bind(on);
  code.emit(exit_insn());
  return finish(code);
}

TEST(Interpreter, CallsBack) {
  Machine machine({}, 1);
  EXPECT_EQ(machine.run(called_back(10, 4), {}).value(), 5u * 1000 + 10 + 5);
  EXPECT_EQ(machine.run(called_back(3, 4), {}).value(), 3u * 1000 + 3 + 5);
  EXPECT_EQ(machine.run(called_back(0, 4), {}).value(), 5u);
  EXPECT_EQ(machine.run(called_back(kMostLoopRounds + 1, 4), {}).value(),
            static_cast<uint64_t>(-7 * 1000 + 5));
  EXPECT_THAT(machine.run(called_back(10, 4, 2), {}).error().message,
              testing::HasSubstr("neither 0 nor 1"));
  EXPECT_THAT(machine.run(called_back(10, -1, 0), {}).value(), 10u * 1000 + 45 + 5);
}

TEST(Interpreter, ACallbackHasItsOwnRegistersAndStack) {
  Assembler code;
  const Label function = code.make_label();
  code.emit(mov64(R::R6, 5));
  code.emit(mov64(R::R1, 1));
  code.load_function(R::R2, function);
  code.emit(mov64(R::R3, 0));
  code.emit(mov64(R::R4, 0));
  code.call_helper(Helper::Loop);
  code.emit(exit_insn());
  code.begin_callback(function);
  code.emit(mov64(R::R0, R::R6));
  code.emit(exit_insn());
  EXPECT_EQ(error_of(code), "instruction 8 (r0 = r6): r6 is not initialised");
}

/// Counts from 3 to 7 by an iterator at r10 - 8.
Program counting(bool destroys, uint32_t next_id) {
  Assembler code;
  Label head = code.make_label(), done = code.make_label();
  const auto iterator = [&] {
    code.emit(mov64(R::R1, R::R10));
    code.emit(alu64(AluOp::Add, R::R1, -8));
  };
  iterator();
  code.emit(mov64(R::R2, 3));
  code.emit(mov64(R::R3, 7));
  code.call_kernel(1);
  code.emit(mov64(R::R6, 0));
  code.bind(head);
  iterator();
  code.call_kernel(next_id);
  code.jump_to_if(JumpOp::Eq, R::R0, 0, done);
  code.emit(load(Size::W, R::R1, R::R0, 0));
  code.emit(alu64(AluOp::Mul, R::R6, 10));
  code.emit(alu64(AluOp::Add, R::R6, R::R1));
  code.jump_to(head);
  code.bind(done);
  iterator();
  if (destroys) code.call_kernel(3);
  code.emit(mov64(R::R0, R::R6));
  code.emit(exit_insn());
  return finish(code);
}

TEST(Interpreter, IteratorsCountAndMustBeDestroyed) {
  Machine machine({}, 1);
  machine.iter_num_new = 1;
  machine.iter_num_next = 2;
  machine.iter_num_destroy = 3;
  auto got = machine.run(counting(true, 2), {});
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(got.value(), 3456u);
  EXPECT_EQ(machine.run(counting(false, 2), {}).error().message, "an iterator is not destroyed");
  EXPECT_THAT(machine.run(counting(true, 9), {}).error().message,
              ::testing::HasSubstr("unknown kernel function"));
}

TEST(Interpreter, CastsReadWhatIsInTheKernelsMemory) {
  Machine machine({}, 1);
  machine.rdonly_cast = 5;
  machine.task.kernel_memory[0xffff880000000000] = Bytes{1, 2, 3, 4, 5, 6, 7, 8};
  const auto reading = [](int64_t address) {
    Assembler code;
    code.load_const(R::R1, address);
    code.emit(mov64(R::R2, 1));
    code.call_kernel(5);
    code.emit(load(Size::DW, R::R0, R::R0, 0));
    code.emit(exit_insn());
    return finish(code);
  };
  const auto there = machine.run(reading(-131941395333120), {});
  ASSERT_TRUE(there.ok()) << there.error().message;
  EXPECT_EQ(there.value(), 0x0807060504030201u);
  EXPECT_FALSE(machine.run(reading(-131941395333112), {}).ok());
}

TEST(Interpreter, Arithmetic) {
  struct Case {
    AluOp op;
    int64_t a, b, want64;
    uint64_t want32;
  };
  for (const Case& c :
       {Case{AluOp::Add, -1, 3, 2, 2}, Case{AluOp::Sub, 1, 3, -2, 0xfffffffe},
        Case{AluOp::Mul, INT64_MAX, 2, -2, 0xfffffffe},
        Case{AluOp::Div, -1, 2, INT64_MAX, 0x7fffffff}, Case{AluOp::Div, 7, 0, 0, 0},
        Case{AluOp::Mod, 7, 0, 7, 7}, Case{AluOp::Mod, 7, 4, 3, 3}, Case{AluOp::Lsh, 1, 65, 2, 2},
        Case{AluOp::Rsh, -1, 63, 1, 1}, Case{AluOp::Arsh, -8, 1, -4, 0xfffffffc}}) {
    for (bool is64 : {true, false}) {
      Assembler code;
      code.load_const(R::R0, c.a);
      code.load_const(R::R1, c.b);
      code.emit(is64 ? alu64(c.op, R::R0, R::R1) : alu32(c.op, R::R0, R::R1));
      code.emit(exit_insn());
      Machine machine({}, 1);
      auto got = machine.run(finish(code), {});
      ASSERT_TRUE(got.ok());
      EXPECT_EQ(got.value(), is64 ? static_cast<uint64_t>(c.want64) : c.want32)
          << static_cast<int>(c.op);
    }
  }
}

TEST(Interpreter, RefusesWhatIsUninitialised) {
  Assembler reg;
  reg.emit(mov64(R::R0, R::R5));
  EXPECT_THAT(error_of(reg), testing::HasSubstr("r5 is not initialised"));

  Assembler stack;
  stack.emit(load(Size::DW, R::R0, R::R10, -8));
  EXPECT_THAT(error_of(stack), testing::HasSubstr("stack byte -8 that nothing wrote"));

  Assembler clobbered;
  clobbered.emit(mov64(R::R1, 1));
  clobbered.call_helper(Helper::KtimeGetNs);
  clobbered.emit(mov64(R::R0, R::R1));
  EXPECT_THAT(error_of(clobbered), testing::HasSubstr("r1 is not initialised"));
}

TEST(Interpreter, RefusesBytesOutsideAnObject) {
  Assembler below;
  below.emit(store(Size::DW, R::R10, -520, 0));
  EXPECT_THAT(error_of(below), testing::HasSubstr("outside every writable object"));

  Assembler above;
  above.emit(store(Size::W, R::R10, 0, 0));
  EXPECT_THAT(error_of(above), testing::HasSubstr("outside every writable object"));

  Assembler context;
  context.emit(load(Size::DW, R::R0, R::R1, 16));
  EXPECT_THAT(error_of(context), testing::HasSubstr("outside every object"));

  Assembler misaligned;
  misaligned.emit(store(Size::DW, R::R10, -12, 0));
  EXPECT_THAT(error_of(misaligned), testing::HasSubstr("misaligned"));

  Assembler value;
  value.load_map_value(R::R1, 0, 8);
  value.emit(load(Size::DW, R::R0, R::R1, 0));
  EXPECT_THAT(error_of(value, {spec(MapKind::Array, 4, 8, 1)}), testing::HasSubstr("outside"));

  MapSpec constant = spec(MapKind::Array, 4, 8, 1);
  constant.read_only = true;
  Assembler write;
  write.load_map_value(R::R1, 0, 0);
  write.emit(store(Size::DW, R::R1, 0, 1));
  EXPECT_THAT(error_of(write, {constant}), testing::HasSubstr("outside every writable"));
}

TEST(Interpreter, RefusesAnEndlessLoopAndALostRecord) {
  Assembler loop;
  Label top = loop.make_label();
  loop.bind(top);
  loop.jump_to(top);
  EXPECT_THAT(error_of(loop), testing::HasSubstr("does not end"));

  Assembler lost;
  lost.load_map(R::R1, 0);
  lost.emit(mov64(R::R2, 8));
  lost.emit(mov64(R::R3, 0));
  lost.call_helper(Helper::RingbufReserve);
  lost.emit(exit_insn());
  EXPECT_THAT(error_of(lost, {spec(MapKind::RingBuffer, 0, 0, 4096)}),
              testing::HasSubstr("neither submitted nor discarded"));
}

// value[key 7] updated from a stack word; returns the helper's result.
Program update_program(int64_t key, int64_t value, int32_t flags) {
  Assembler code;
  code.load_const(R::R1, key);
  code.emit(store(Size::DW, R::R10, -8, R::R1));
  code.load_const(R::R1, value);
  code.emit(store(Size::DW, R::R10, -16, R::R1));
  code.load_map(R::R1, 0);
  code.emit(mov64(R::R2, R::R10));
  code.emit(alu64(AluOp::Add, R::R2, -8));
  code.emit(mov64(R::R3, R::R10));
  code.emit(alu64(AluOp::Add, R::R3, -16));
  code.emit(mov64(R::R4, flags));
  code.call_helper(Helper::MapUpdateElem);
  code.emit(exit_insn());
  return finish(code);
}

Bytes word(uint64_t value) {
  Bytes out(8);
  for (int i = 0; i < 8; ++i) out[static_cast<size_t>(i)] = static_cast<uint8_t>(value >> (8 * i));
  return out;
}

TEST(Interpreter, HashMaps) {
  Machine machine({spec(MapKind::PercpuHash, 8, 8, 2)}, 2);
  machine.task.cpu = 1;
  EXPECT_EQ(machine.run(update_program(7, 5, 1), {}).value(), 0u);
  EXPECT_EQ(static_cast<int64_t>(machine.run(update_program(7, 6, 1), {}).value()), -17);
  EXPECT_EQ(machine.value(0, word(7), 1), word(5));
  EXPECT_EQ(machine.value(0, word(7), 0), word(0));
  EXPECT_EQ(machine.run(update_program(8, 6, 0), {}).value(), 0u);
  EXPECT_EQ(static_cast<int64_t>(machine.run(update_program(9, 6, 0), {}).value()), -7);
  EXPECT_EQ(machine.keys(0).size(), 2u);
  EXPECT_TRUE(machine.value(0, word(9)).empty());
}

TEST(Interpreter, ProbeReads) {
  for (bool is_mapped : {true, false}) {
    Assembler code;
    code.emit(store(Size::DW, R::R10, -8, -1));
    code.emit(mov64(R::R1, R::R10));
    code.emit(alu64(AluOp::Add, R::R1, -8));
    code.emit(mov64(R::R2, 4));
    code.load_const(R::R3, 0x7000);
    code.call_helper(Helper::ProbeReadUserStr);
    code.emit(mov64(R::R6, R::R0));
    code.emit(load(Size::DW, R::R0, R::R10, -8));
    code.emit(alu64(AluOp::Xor, R::R0, R::R6));
    code.emit(exit_insn());
    Machine machine({}, 1);
    if (is_mapped) machine.task.user_memory[0x6ffe] = {'-', '-', 'a', 'b', 'c', 'd', 0};
    auto got = machine.run(finish(code), {});
    ASSERT_TRUE(got.ok());
    // "abc" and its NUL, cut; or four zeros and -EFAULT.
    uint64_t want = is_mapped ? 0xffffffff00636261u ^ 4u : 0xffffffff00000000u ^ uint64_t(-14);
    EXPECT_EQ(got.value(), want);
  }
}

}  // namespace
}  // namespace ktap::bpf
