// Lengths against what objdump finds in the C library and in this program; chosen instructions.
#include "symbol/instructions.h"

#include <gtest/gtest.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "symbol/elf_file.h"
#include "symbol/test_files.h"

namespace ktap::symbol {
namespace {

size_t length(Machine machine, const std::vector<uint8_t>& code) {
  return instruction_bytes(machine, code);
}

/// The files that this program consists of.
std::vector<std::string> loaded_files() {
  std::vector<std::string> paths = {"/proc/self/exe"};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        const std::string name = info->dlpi_name;
        if (!name.empty() && name[0] == '/')
          static_cast<std::vector<std::string>*>(data)->push_back(name);
        return 0;
      },
      &paths);
  return paths;
}

/// A line of objdump: "  9f1c0:\t48 8b 05 d1 3c 13 00 \tmov …".
struct Line {
  uint64_t address = 0;
  std::vector<uint8_t> code;
  std::string text;
};

bool parse(const std::string& line, Line* out) {
  const size_t colon = line.find(":\t");
  if (colon == std::string::npos || line[0] != ' ') return false;
  const size_t tab = line.find('\t', colon + 2);
  if (tab == std::string::npos) return false;
  out->address = std::stoull(line.substr(0, colon), nullptr, 16);
  out->text = line.substr(tab + 1);
  out->code.clear();
  for (size_t at = colon + 2; at + 2 < tab && line[at] != ' '; at += 3)
    out->code.push_back(static_cast<uint8_t>(std::stoi(line.substr(at, 2), nullptr, 16)));
  return !out->code.empty();
}

TEST(Instructions, LengthsAreThoseOfObjdump) {
  if (kNativeMachine != Machine::X86_64 && kNativeMachine != Machine::RiscV)
    GTEST_SKIP() << "instructions of one length";
  if (!has_command("objdump")) GTEST_SKIP() << "objdump is not installed";
  const TempFolder folder;
  size_t compared = 0, wrong = 0;
  for (const std::string& path : loaded_files()) {
    ASSERT_TRUE(folder.run(
        "objdump -d -w --insn-width=16 " +
        (path == "/proc/self/exe" ? "/proc/" + std::to_string(getpid()) + "/exe" : path) +
        " >lines"));
    std::ifstream lines(folder / "lines");
    std::string text;
    Line line;
    while (std::getline(lines, text)) {
      // FWAIT before another is one of its own; bytes that are none are data.
      if (!parse(text, &line) || line.code[0] == 0x9b) continue;
      if (line.text.find("(bad)") != std::string::npos || line.text[0] == '.' ||
          line.text.find("rex") == 0)
        continue;
      ++compared;
      // What follows it belongs to none.
      std::vector<uint8_t> code = line.code;
      code.resize(code.size() + 8, 0x90);
      if (length(kNativeMachine, code) == line.code.size()) continue;
      if (++wrong < 20) ADD_FAILURE() << path << ": " << text;
    }
  }
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(compared, 100'000U);
}

TEST(Instructions, WhatIsCutOffIsNone) {
  EXPECT_EQ(length(Machine::X86_64, {}), 0U);
  EXPECT_EQ(length(Machine::X86_64, {0x48}), 0U);
  EXPECT_EQ(length(Machine::X86_64, {0xe8, 0, 0, 0}), 0U);
  EXPECT_EQ(length(Machine::X86_64, {0xe8, 0, 0, 0, 0}), 5U);
  EXPECT_EQ(length(Machine::X86_64, std::vector<uint8_t>(16, 0x66)), 0U);
  EXPECT_EQ(length(Machine::X86_64, {0x06}), 0U);  // of 32 bits
  EXPECT_EQ(length(Machine::X86, {0x06}), 1U);
  EXPECT_EQ(length(Machine::RiscV, {0x01, 0x00}), 2U);
  EXPECT_EQ(length(Machine::RiscV, {0x13, 0x00, 0x00}), 0U);
  EXPECT_EQ(length(Machine::RiscV, {0x13, 0x00, 0x00, 0x00}), 4U);
  EXPECT_EQ(length(Machine::Arm64, {0, 0, 0, 0, 0}), 4U);
}

/// Of all that may stand there none is read past its end, nor longer than the machine's longest.
TEST(Instructions, AnyBytesHaveALengthWithinThem) {
  uint32_t state = 7;
  for (int i = 0; i < 300'000; ++i) {
    std::vector<uint8_t> code(1 + i % 17);
    for (uint8_t& byte : code) {
      state = state * 1664525 + 1013904223;
      byte = static_cast<uint8_t>(state >> 24);
    }
    for (const Machine machine : {Machine::X86_64, Machine::X86, Machine::RiscV, Machine::Arm}) {
      EXPECT_LE(length(machine, code), std::min<size_t>(code.size(), 15));
      (void)why_no_probe(machine, code);
      (void)code_addresses(machine, code, 4096);
    }
  }
}

TEST(Instructions, WhatProbesCannotStandOn) {
  const auto why = [](const std::vector<uint8_t>& code) {
    return std::string(why_no_probe(Machine::X86_64, code));
  };
  EXPECT_EQ(why({0x55}), "");                    // push %rbp
  EXPECT_EQ(why({0xf3, 0x0f, 0x1e, 0xfa}), "");  // endbr64
  EXPECT_EQ(why({0xc5, 0xfc, 0x10, 0x06}), "");  // vmovups (%rsi),%ymm0
  EXPECT_NE(why({0xc5, 0xf8, 0x57, 0xc0}).find("vector"), std::string::npos);  // vxorps
  EXPECT_NE(why({0x62, 0xe2, 0x7d, 0x28, 0x7a, 0xc6}).find("vector"), std::string::npos);
  EXPECT_NE(why({0xf0, 0xff, 0x07}).find("prefix"), std::string::npos);  // lock incl (%rdi)
  EXPECT_NE(why({0xf4}), "");                                            // hlt
  EXPECT_NE(why({0x06}), "");
}

TEST(Instructions, WhatProbesCannotStandOnOfArm) {
  const auto why = [](uint32_t word) {
    std::vector<uint8_t> code(4);
    for (size_t i = 0; i < 4; ++i) code[i] = static_cast<uint8_t>(word >> 8 * i);
    return std::string(why_no_probe(Machine::Arm, code));
  };
  EXPECT_EQ(why(0xe92d4010), "");                                     // push {r4, lr}
  EXPECT_EQ(why(0xe52db004), "");                                     // push {fp}
  EXPECT_EQ(why(0xe8bd8010), "");                                     // pop {r4, pc}
  EXPECT_EQ(why(0xe1a0c00d), "");                                     // mov ip, sp
  EXPECT_EQ(why(0xe0000091), "");                                     // mul r0, r1, r0
  EXPECT_EQ(why(0xe320f000), "");                                     // nop
  EXPECT_EQ(why(0xebfffffe), "");                                     // bl
  EXPECT_EQ(why(0xf5d0f000), "");                                     // pld [r0]
  EXPECT_NE(why(0xee000a10).find("floating"), std::string::npos);     // vmov s0, r0
  EXPECT_NE(why(0xed2d8b02).find("floating"), std::string::npos);     // vpush {d8}
  EXPECT_NE(why(0xee1d3f70).find("coprocessor"), std::string::npos);  // mrc: the thread pointer
  EXPECT_NE(why(0xf4600a8f).find("vector"), std::string::npos);       // vld1.32 {d16}, [r0]
  EXPECT_NE(why(0xe1900f9f).find("exclusive"), std::string::npos);    // ldrex r0, [r0]
  EXPECT_NE(why(0xe92dd800).find("lr and pc"), std::string::npos);    // push {fp, ip, lr, pc}
  EXPECT_NE(why(0xef000000).find("system call"), std::string::npos);  // svc 0
  EXPECT_EQ(why_no_probe(Machine::Arm, std::vector<uint8_t>{0x10, 0x0a}), "");
}

TEST(Instructions, AddressesThatCodeForms) {
  // lea 0x10(%rip),%rdx; lea 0x10(%rsi),%rax; lea -7(%rip),%rax; ret
  const std::vector<uint8_t> x86 = {0x48, 0x8d, 0x15, 0x10, 0,    0,    0,    0x48, 0x8d, 0x46,
                                    0x10, 0x48, 0x8d, 0x05, 0xf9, 0xff, 0xff, 0xff, 0xc3};
  EXPECT_EQ(code_addresses(Machine::X86_64, x86, 0x1000), (std::vector<uint64_t>{0x1017, 0x100b}));
  // adrp x0, two pages on; add x0, x0, #0x123; adrp x1, a page back; add x2, x3, #4
  const std::vector<uint8_t> arm = {0x00, 0x00, 0x00, 0xd0, 0x00, 0x8c, 0x04, 0x91,
                                    0xe1, 0xff, 0xff, 0xf0, 0x62, 0x10, 0x00, 0x91};
  EXPECT_EQ(code_addresses(Machine::Arm64, arm, 0x5000), std::vector<uint64_t>{0x7123});
}

}  // namespace
}  // namespace ktap::symbol
