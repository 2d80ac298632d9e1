// Stacks of this process, out of its own registers and memory; broken tables; the small machine of
// expressions.
#include "symbol/unwind.h"

#include <dwarf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "symbol/call_frames.h"
#include "symbol/frame_expression.h"
#include "symbol/registers.h"
#include "symbol/test_files.h"

namespace ktap::symbol {
namespace {

TEST(FrameExpression, OffsetsAndMemory) {
  FrameRegisters registers;
  registers.set(7, 0x1000);
  const uint64_t words[] = {11, 22, 33};
  const MemoryPiece memory{0x1000, Bytes(reinterpret_cast<const uint8_t*>(words), sizeof words)};
  const auto run = [&](const std::vector<Dwarf_Op>& ops, std::optional<uint64_t> frame) {
    return evaluate(ops.data(), ops.size(), frame, registers, memory);
  };
  const auto address = run({{DW_OP_breg7, 8, 0, 0}}, std::nullopt);
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->value, 0x1008U);
  EXPECT_TRUE(address->is_address);
  const auto value = run({{DW_OP_call_frame_cfa, 0, 0, 0}, {DW_OP_stack_value, 0, 0, 1}}, 5);
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(value->value, 5U);
  EXPECT_FALSE(value->is_address);
  EXPECT_EQ(run({{DW_OP_breg7, 16, 0, 0}, {DW_OP_deref, 0, 0, 2}}, std::nullopt)->value, 33U);
  EXPECT_FALSE(run({{DW_OP_breg7, 24, 0, 0}, {DW_OP_deref, 0, 0, 2}}, std::nullopt).has_value());
  EXPECT_FALSE(run({{DW_OP_breg6, 0, 0, 0}}, std::nullopt).has_value());
  EXPECT_FALSE(run({{DW_OP_call_frame_cfa, 0, 0, 0}}, std::nullopt).has_value());
  EXPECT_FALSE(run({{DW_OP_plus, 0, 0, 0}}, std::nullopt).has_value());
  EXPECT_FALSE(run({}, 5).has_value());
}

TEST(FrameExpression, EndsAlways) {
  const Dwarf_Op loop[] = {{DW_OP_lit1, 0, 0, 0}, {DW_OP_skip, static_cast<uint64_t>(-4), 0, 1}};
  EXPECT_FALSE(evaluate(loop, 2, std::nullopt, {}, {}).has_value());
}

/// As the procedure linkage table of x86 has it: 8 more behind the push.
TEST(FrameExpression, OfALinkageTable) {
  FrameRegisters registers;
  registers.set(7, 0x2000);
  registers.set(16, 0x40102b);
  const Dwarf_Op ops[] = {{DW_OP_breg7, 8, 0, 0}, {DW_OP_breg16, 0, 0, 2}, {DW_OP_lit15, 0, 0, 4},
                          {DW_OP_and, 0, 0, 5},   {DW_OP_lit11, 0, 0, 6},  {DW_OP_ge, 0, 0, 7},
                          {DW_OP_lit3, 0, 0, 8},  {DW_OP_shl, 0, 0, 9},    {DW_OP_plus, 0, 0, 10}};
  EXPECT_EQ(evaluate(ops, std::size(ops), std::nullopt, registers, {})->value, 0x2010U);
}

#if defined(__x86_64__)

/// What the kernel would have copied.
struct Taken {
  std::vector<uint8_t> registers;
  std::vector<uint8_t> bytes;
  uint64_t begin = 0;
};

__attribute__((noinline)) void take(Taken* taken, size_t most_bytes) {
  ucontext_t context = {};
  getcontext(&context);
  constexpr int kGregs[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                            REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                            REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
  constexpr const char* kNames[] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
                                    "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};
  taken->registers.resize(kSavedRegistersBytes);
  for (size_t i = 0; i < std::size(kNames); ++i) {
    const uint16_t at = find_register(kNativeMachine, kNames[i])->offset_bytes;
    std::memcpy(taken->registers.data() + at, &context.uc_mcontext.gregs[kGregs[i]], 8);
  }
  const auto pointer = static_cast<uint64_t>(context.uc_mcontext.gregs[REG_RSP]);
  taken->begin = pointer & ~uint64_t{1023};
  taken->bytes.resize(most_bytes);
  // As far as what runs above main() reaches.
  std::memcpy(taken->bytes.data(), reinterpret_cast<const void*>(taken->begin), most_bytes);
}

__attribute__((noinline)) int third(Taken* taken, size_t most_bytes) {
  take(taken, most_bytes);
  return static_cast<int>(taken->begin & 1);
}
__attribute__((noinline)) int second(Taken* taken, size_t most_bytes) {
  volatile char room[600] = {};
  return third(taken, most_bytes) + room[7];
}
__attribute__((noinline)) int first(Taken* taken, size_t most_bytes) {
  return second(taken, most_bytes) + 1;
}

std::vector<std::string> names_of(UserSymbols& symbols, const Unwound& unwound) {
  std::vector<std::string> names;
  for (size_t i = 0; i < unwound.addresses.size(); ++i) {
    const std::string name =
        symbols.name(getpid(), unwound.addresses[i] - (i > 0 ? 1 : 0)).function;
    names.push_back(name.substr(name.rfind(':') + 1));
  }
  return names;
}

TEST(Unwind, OwnStackWithoutFramePointers) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer forbids to read a whole stack";
#endif
  Taken taken;
  volatile int sum = 0;
  sum = first(&taken, 4096);
  EXPECT_GE(sum, 1);
  UserSymbols symbols;
  StackCopy copy{taken.registers, taken.begin, taken.bytes};
  const Unwound whole = unwind(symbols, getpid(), copy, 50);
  const std::vector<std::string> names = names_of(symbols, whole);
  ASSERT_GE(names.size(), 5U);
  EXPECT_THAT(std::vector<std::string>(names.begin(), names.begin() + 4),
              testing::ElementsAre("take", "third", "second", "first"));
  EXPECT_EQ(unwind(symbols, getpid(), copy, 3).addresses.size(), 3U);

  // The frame of second() is not all in it.
  copy.bytes = copy.bytes.subspan(0, 1024 + 256);
  const Unwound cut = unwind(symbols, getpid(), copy, 50);
  EXPECT_LT(cut.addresses.size(), whole.addresses.size());
  EXPECT_TRUE(cut.is_cut);

  // What ends as it should wants nothing.
  EXPECT_EQ(whole.missing, MissingCode::None);
  EXPECT_EQ(cut.missing, MissingCode::None);

  copy.bytes = {};
  copy.registers = {};
  EXPECT_TRUE(unwind(symbols, getpid(), copy, 50).addresses.empty());
}

Taken in_handler;

__attribute__((noinline)) void on_signal(int) {
  take(&in_handler, 16384);
  asm volatile("");
}

/// A handler with a stack of its own: behind it nothing was copied.
TEST(Unwind, EndsWhereAnotherStackBegins) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer forbids to read a whole stack";
#endif
  static char own_stack[65536];
  stack_t stack = {};
  stack.ss_sp = own_stack;
  stack.ss_size = sizeof own_stack - 16384;  // so much more may be read
  stack_t before;
  ASSERT_EQ(sigaltstack(&stack, &before), 0);
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK;
  struct sigaction action_before;
  ASSERT_EQ(sigaction(SIGUSR2, &action, &action_before), 0);
  raise(SIGUSR2);
  sigaction(SIGUSR2, &action_before, nullptr);
  sigaltstack(&before, nullptr);
  UserSymbols symbols;
  const StackCopy copy{in_handler.registers, in_handler.begin, in_handler.bytes, {}};
  const Unwound unwound = unwind(symbols, getpid(), copy, 50);
  EXPECT_TRUE(unwound.is_elsewhere);
  EXPECT_FALSE(unwound.is_cut);
  EXPECT_EQ(unwound.missing, MissingCode::None);
  // take(), the handler, what returns from it, and where the signal came.
  EXPECT_EQ(unwound.addresses.size(), 4U);
}

/// The stack of a process of which nothing is known.
TEST(Unwind, OfNobody) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer forbids to read a whole stack";
#endif
  Taken taken;
  volatile int sum = 0;
  sum = first(&taken, 2048);
  EXPECT_GE(sum, 1);
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  waitpid(pid, nullptr, 0);
  UserSymbols symbols;
  const StackCopy copy{taken.registers, taken.begin, taken.bytes, {}};
  EXPECT_EQ(unwind(symbols, pid, copy, 50).missing, MissingCode::Maps);
  EXPECT_EQ(unwind(symbols, pid, copy, 1).missing, MissingCode::None);
}

#endif

/// Whatever stands in the tables: no crash, no endless loop.
TEST(CallFrames, OfBrokenBytes) {
  if (!has_command("gcc")) GTEST_SKIP() << "gcc is not installed";
  TempFolder folder;
  folder.write(
      "p.c",
      "__attribute__((noinline)) int f(volatile int *p) { volatile char room[99]; room[3] = *p;\n"
      "  return room[3] + *p; }\n"
      "int main(void) { volatile int v = 1; return f(&v); }\n");
  ASSERT_TRUE(folder.run("gcc -O2 p.c -o p"));
  std::ifstream input(folder / "p", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(input)), {});
  const Result<ElfImage> image =
      ElfImage::parse(Bytes(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  ASSERT_TRUE(image.ok());
  uint64_t state = 9;
  const auto random = [&state] {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return state >> 33;
  };
  size_t found = 0;
  for (int round = 0; round < 400; ++round) {
    std::string broken = bytes;
    for (const ElfSection& section : image.value().sections()) {
      if (section.name.substr(0, 9) != ".eh_frame" || round == 0) continue;
      for (uint64_t i = 0; i < 3; ++i)
        broken[section.offset + random() % section.size_bytes] ^= static_cast<char>(random());
    }
    const Result<ElfFile> file = ElfFile::from_memory(
        Bytes(reinterpret_cast<const uint8_t*>(broken.data()), broken.size()), "broken");
    ASSERT_TRUE(file.ok());
    CallFrames frames(file.value());
    for (const FunctionSymbol& function : file.value().functions()) {
      for (uint64_t at = 0; at < function.size_bytes + 4; ++at)
        found += frames.at(function.address + at) != nullptr ? 1 : 0;
    }
  }
  EXPECT_GT(found, 0U);
}

}  // namespace
}  // namespace ktap::symbol
