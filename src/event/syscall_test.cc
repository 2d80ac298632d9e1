// System calls: numbers, argument types, and the seeds' text form.
#include <asm/unistd.h>
#include <gtest/gtest.h>

#include "event/render.h"
#include "event/syscall_table.h"

namespace ktap::event {
namespace {

using schema::Event;
using schema::EventKind;
using schema::Field;
using schema::FieldKind;

#if __SIZEOF_POINTER__ == 8
TEST(SyscallNumber, ByNameAndByTheKernelsFunction) {
  EXPECT_EQ(syscall_number("read"), __NR_read);
  EXPECT_EQ(syscall_number("openat"), __NR_openat);
  EXPECT_EQ(syscall_number("newfstat"), __NR_fstat);
  EXPECT_EQ(syscall_number("newuname"), __NR_uname);
  EXPECT_EQ(syscall_number("umount"), __NR_umount2);
  EXPECT_EQ(syscall_number("sendfile64"), __NR_sendfile);
  EXPECT_EQ(syscall_number("pread64"), __NR_pread64);
}

TEST(SyscallNumber, YoungerThanTheHeaders) {
  EXPECT_EQ(syscall_number("cachestat"), 451);
  EXPECT_EQ(syscall_number("file_setattr"), 469);
}
#endif

TEST(SyscallNumber, Unknown) {
  EXPECT_EQ(syscall_number("no_such_call"), -1);
  EXPECT_EQ(syscall_number(""), -1);
}

TEST(SyscallName, ByNumber) {
  EXPECT_EQ(syscall_name(__NR_read), "read");
  EXPECT_EQ(syscall_name(__NR_close), "close");
  EXPECT_EQ(syscall_name(-1), "");
  EXPECT_EQ(syscall_name(99999), "");
}

TEST(ArgumentShape, WidthAndSignAreTheDeclared) {
  EXPECT_EQ(argument_shape("int").size_bytes, 4U);
  EXPECT_TRUE(argument_shape("int").is_signed);
  EXPECT_EQ(argument_shape("unsigned int").size_bytes, 4U);
  EXPECT_FALSE(argument_shape("unsigned int").is_signed);
  EXPECT_EQ(argument_shape("umode_t").size_bytes, 2U);
  EXPECT_EQ(argument_shape("const clockid_t").size_bytes, 4U);
  EXPECT_EQ(argument_shape("size_t").size_bytes, sizeof(long));
  EXPECT_EQ(argument_shape("const enum landlock_rule_type").size_bytes, 4U);
  EXPECT_EQ(argument_shape("const char *").kind, FieldKind::Pointer);
  EXPECT_EQ(argument_shape("const void *const").kind, FieldKind::Pointer);
  EXPECT_EQ(argument_shape("cap_user_header_t").kind, FieldKind::Pointer);
  EXPECT_EQ(argument_shape("something_else_t").size_bytes, sizeof(long));
}

/// fields: the number, then arguments as a record of words of so many bytes has them.
std::vector<Field> recorded(uint32_t word_bytes, std::initializer_list<const char*> types) {
  std::vector<Field> fields(1);
  for (const char* type : types) {
    Field field;
    field.c_type = type;
    field.offset_bytes = 12 + static_cast<uint32_t>(fields.size() - 1) * word_bytes;
    field.size_bytes = word_bytes;
    fields.push_back(field);
  }
  return fields;
}

TEST(ArgumentShape, OfARecord) {
  std::vector<Field> fields = recorded(8, {"int", "char *", "loff_t", "umode_t"});
  shape_arguments(fields, 8);
  EXPECT_EQ(fields[1].size_bytes, 4U);
  EXPECT_TRUE(fields[1].is_signed);
  EXPECT_EQ(fields[2].kind, FieldKind::Pointer);
  EXPECT_EQ(fields[3].offset_bytes, 28U);
  EXPECT_EQ(fields[3].size_bytes, 8U);
  EXPECT_EQ(fields[4].offset_bytes, 36U);
  EXPECT_EQ(fields[4].size_bytes, 2U);
}

TEST(ArgumentShape, OnMachinesOfFourBytesWideArgumentsHaveTwoRegisters) {
  std::vector<Field> pread = recorded(4, {"unsigned int", "char *", "u32", "loff_t"});
  shape_arguments(pread, 4);
  EXPECT_EQ(pread[2].offset_bytes, 16U);
  EXPECT_EQ(pread[2].size_bytes, 4U);
  EXPECT_EQ(pread[3].kind, FieldKind::Int);
  EXPECT_EQ(pread[4].kind, FieldKind::Opaque);  // r4 and r5; the record has r0 to r3
  EXPECT_EQ(pread[4].c_type, "loff_t, in a register that the kernel does not record");
  std::vector<Field> mark = recorded(4, {"int", "unsigned int", "__u64", "int", "char *"});
  shape_arguments(mark, 4);
  EXPECT_EQ(mark[3].offset_bytes, 20U);
  EXPECT_EQ(mark[3].size_bytes, 8U);
  EXPECT_EQ(mark[4].kind, FieldKind::Int);
  EXPECT_EQ(mark[4].offset_bytes, 28U);
  EXPECT_EQ(mark[5].kind, FieldKind::Opaque);
  std::vector<Field> truncate = recorded(4, {"int", "loff_t"});
  shape_arguments(truncate, 4);
  EXPECT_EQ(truncate[2].kind, FieldKind::Opaque);
}

Event syscall_event(const char* name,
                    std::initializer_list<std::pair<const char*, const char*>> args) {
  Event event;
  event.system = "syscalls";
  event.name = name;
  event.kind = EventKind::SyscallEnter;
  event.fields.emplace_back();
  for (const auto& [arg, type] : args) {
    Field field;
    field.name = arg;
    field.size_bytes = argument_shape(type).size_bytes;
    event.fields.push_back(field);
  }
  return event;
}

TEST(SyscallText, HexOfTheDeclaredWidth) {
  const Event read = syscall_event(
      "sys_enter_read", {{"fd", "unsigned int"}, {"buf", "char *"}, {"count", "size_t"}});
  const uint64_t words[7] = {0, 3, 0x7ffd8c90, 0x1000, 9, 9, 9};
  EXPECT_EQ(syscall_text(read, words), "sys_read(fd: 3, buf: 7ffd8c90, count: 1000)");
  const Event open = syscall_event("sys_enter_openat", {{"dfd", "int"}, {"mode", "umode_t"}});
  const uint64_t minus_one[7] = {257, UINT64_MAX, UINT64_MAX, 0, 0, 0, 0};
  EXPECT_EQ(syscall_text(open, minus_one), "sys_openat(dfd: ffffffff, mode: ffff)");
  const uint64_t none[7] = {};
  EXPECT_EQ(syscall_text(syscall_event("sys_enter_getpid", {}), none), "sys_getpid()");
}

TEST(SyscallText, BitsOfARegister) {
  Event event = syscall_event("f", {{"low", "int"}, {"high", "int"}});
  event.kind = EventKind::Probe;
  event.fields[1].fetch.width_bits = 4;
  event.fields[2].fetch.width_bits = 12;
  event.fields[2].fetch.shift_bits = 4;
  const uint64_t words[3] = {0, 0xbe5a, 0xbe5a};
  EXPECT_EQ(syscall_text(event, words), "f(low: a, high: be5)");
}

/// `twice`: its word may hold anything, and the field behind says so; `constant` is in no register.
TEST(SyscallText, ArgumentsThatWereOptimisedAway) {
  Event event = syscall_event("f", {{"used", "int"}, {"gone", "int"}, {"constant", "int"}});
  event.kind = EventKind::Probe;
  event.fields[3].fetch.base = schema::Fetch::Base::Constant;
  event.fields[3].fetch.at = 5;
  event.fields[2].as_text = 4;
  Field gone = event.fields[2];
  gone.as_text = -1;
  gone.kind = FieldKind::Opaque;
  gone.fetch.base = schema::Fetch::Base::Constant;
  event.fields.push_back(gone);
  event.unnumbered_fields = 1;
  const uint64_t words[5] = {0, 7, 0xbe5a, 0xbe5a, 0xbe5a};
  EXPECT_EQ(syscall_text(event, words), "f(used: 7, gone: {…}, constant: 5)");
}

TEST(SyscallText, Exit) {
  Event event = syscall_event("sys_exit_read", {{"ret", "long"}});
  event.kind = EventKind::SyscallExit;
  const uint64_t words[2] = {0, 0x20};
  EXPECT_EQ(syscall_text(event, words), "sys_read -> 0x20");
  const uint64_t failed[2] = {0, static_cast<uint64_t>(-2)};
  EXPECT_EQ(syscall_text(event, failed),
            sizeof(long) == 8 ? "sys_read -> 0xfffffffffffffffe" : "sys_read -> 0xfffffffe");
}

}  // namespace
}  // namespace ktap::event
