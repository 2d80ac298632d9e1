// What notes say → fields, on the machines whose notes we read.
#include "event/markers.h"

#include <gtest/gtest.h>

#include "event/provider.h"

namespace ktap::event {
namespace {

using schema::Fetch;
using schema::Field;
using schema::FieldKind;
using symbol::Machine;

Field field_of(std::string_view text, Machine machine = Machine::X86_64) {
  return marker_field(symbol::parse_usdt_arguments(machine, text).at(0), 3, 8);
}

int64_t offset_of(std::string_view name, Machine machine = Machine::X86_64) {
  return symbol::find_register(machine, name)->offset_bytes;
}

TEST(Markers, RegistersAndTheirParts) {
  const Field whole = field_of("-4@%edi");
  EXPECT_EQ(whole.name, "arg3");
  EXPECT_EQ(whole.c_type, "s32");
  EXPECT_EQ(whole.kind, FieldKind::Int);
  EXPECT_EQ(whole.size_bytes, 4U);
  EXPECT_TRUE(whole.is_signed);
  Fetch fetch;
  fetch.base = Fetch::Base::Register;
  fetch.at = offset_of("rdi");
  EXPECT_EQ(whole.fetch, fetch);
  const Field part = field_of("1@%ah");
  EXPECT_EQ(part.fetch.shift_bits, 8);
  EXPECT_EQ(part.fetch.width_bits, 8);
  EXPECT_FALSE(part.is_signed);
  EXPECT_EQ(field_of("4@%al").size_bytes, 1U);  // there is no more of it
  EXPECT_EQ(field_of("8@x2", Machine::Arm64).fetch.at, offset_of("x2", Machine::Arm64));
}

TEST(Markers, ConstantsAreAsWideAsTheySay) {
  const Field byte = field_of("1@$-1");
  EXPECT_EQ(byte.fetch.base, Fetch::Base::Constant);
  EXPECT_EQ(byte.fetch.at, 255);
}

TEST(Markers, MemoryIsTheProcesss) {
  const Field plain = field_of("-2@-20(%rbp)");
  EXPECT_EQ(plain.size_bytes, 2U);
  EXPECT_EQ(plain.fetch.at, offset_of("rbp"));
  EXPECT_EQ(plain.fetch.index_at, -1);
  EXPECT_EQ(plain.fetch.steps, (std::vector<schema::FetchStep>{{-20, true, 8}}));
  const Field indexed = field_of("8@16(%rax,%rcx,4)");
  EXPECT_EQ(indexed.fetch.at, offset_of("rax"));
  EXPECT_EQ(indexed.fetch.index_at, offset_of("rcx"));
  EXPECT_EQ(indexed.fetch.index_scale, 4);
  EXPECT_EQ(indexed.fetch.steps, (std::vector<schema::FetchStep>{{16, true, 8}}));
  EXPECT_EQ(field_of("8@[sp, 12]", Machine::Arm64).fetch.steps.at(0).offset_bytes, 12);
}

TEST(Markers, WhatWeCannotReadSaysWhy) {
  const Field field = field_of("8@%xmm0");
  EXPECT_EQ(field.kind, FieldKind::Opaque);
  EXPECT_EQ(field.c_type, "floating-point register %xmm0");
  EXPECT_EQ(field_of("4@(%eax)").kind, FieldKind::Opaque);
  EXPECT_EQ(field_of("4@(%eax)").c_type, "memory at a part of a register");
}

TEST(Markers, NamesWithAndWithoutAProvider) {
  symbol::UsdtProbe probe;
  probe.provider = "libc";
  probe.name = "setjmp";
  for (const char* name : {"setjmp", "libc:setjmp", "set*", "lib*:*", "*:*"})
    EXPECT_TRUE(names_marker(name, probe)) << name;
  for (const char* name : {"libc", "lib*", "setjm", "rtld:setjmp", "libc:longjmp"})
    EXPECT_FALSE(names_marker(name, probe)) << name;
}

#ifdef __x86_64__
// This test program itself has a marker at two places.
#define KTAP_TEST_MARK(arguments)                                             \
  "990: nop\n.pushsection .note.stapsdt, \"\", \"note\"\n.balign 4\n"         \
  ".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n" \
  "993: .8byte 990b, 0, 0\n.asciz \"ktap\", \"tested\", \"" arguments         \
  "\"\n994:\n"                                                                \
  ".balign 4\n.popsection\n"

TEST(Markers, OneAtTwoPlacesIsTwoEvents) {
  __asm__ volatile(KTAP_TEST_MARK("8@%rdi") KTAP_TEST_MARK("4@$7 8@%rsi"));
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const Matches matches =
      catalog->match("sdt:/proc/self/exe:tested, sdt:/proc/self/exe:ktap:test*");
  ASSERT_TRUE(matches.mistakes.empty()) << matches.mistakes[0].text;
  ASSERT_EQ(matches.events.size(), 2U);
  const schema::Event& first = *matches.events[0];
  EXPECT_EQ(first.system, "sdt:/proc/self/exe:ktap");
  EXPECT_EQ(first.name, "tested");
  EXPECT_EQ(first.kind, schema::EventKind::Probe);
  EXPECT_EQ(first.fields.size(), 2U);
  EXPECT_EQ(matches.events[1]->fields.size(), 3U);
  EXPECT_EQ(matches.events[1]->point.offset_bytes, first.point.offset_bytes + 1);
}

TEST(Markers, AWrongNameHasItsNearest) {
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const Matches bare = catalog->match("sdt:/proc/self/exe:testde");
  ASSERT_EQ(bare.mistakes.size(), 1U);
  EXPECT_EQ(bare.mistakes[0].text, "no marker of /proc/self/exe matches 'testde'");
  EXPECT_EQ(bare.mistakes[0].nearest, std::vector<std::string>{"sdt:/proc/self/exe:tested"});
  const Matches full = catalog->match("sdt:/proc/self/exe:ktpa:tested");
  ASSERT_EQ(full.mistakes.size(), 1U);
  EXPECT_EQ(full.mistakes[0].nearest, std::vector<std::string>{"sdt:/proc/self/exe:ktap:tested"});
}
#endif

}  // namespace
}  // namespace ktap::event
