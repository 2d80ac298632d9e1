// Unit test of bytecode/field_reads.h on code as the compiler makes it.
#include "bytecode/field_reads.h"

#include <gtest/gtest.h>

#include "compiler/testing.h"

namespace ktap::compiler {
namespace {

bool reads(const std::string& text) {
  Compiled compiled("var h = {} " + text);
  EXPECT_EQ(compiled.codes(), "");
  return compiled.chunk != nullptr && bytecode::reads_event_fields(*compiled.chunk->main);
}

TEST(FieldReads, WhatEveryEventHasIsNoField) {
  EXPECT_FALSE(reads("trace a:b { h[probename, execname, pid, tid, uid, cpu, ns] += 1 }"));
  EXPECT_FALSE(reads("trace a:b /execname == \"x\"/ { h[ustack()] += 1 } tick-1s { print(h) }"));
  EXPECT_FALSE(reads("print(1)"));
}

TEST(FieldReads, EachWayToReadOne) {
  for (const char* text : {"h[arg1] += 1", "h[args.name] += 1", "h[retval] += 1", "print(argstr)",
                           "print(e)", "h[e.probename] += 1"}) {
    EXPECT_TRUE(reads(std::string("trace a:b { ") + text + " }")) << text;
  }
  EXPECT_TRUE(reads("trace a:b /prev_comm == \"x\"/ { h[1] += 1 }"));
  EXPECT_TRUE(reads("function f() { return arg2 } trace a:b { h[f()] += 1 }"));
}

}  // namespace
}  // namespace ktap::compiler
