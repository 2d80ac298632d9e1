// Which jobs may have a trampoline, and which of those want one.
#include "backend/trampolines.h"

#include <gtest/gtest.h>

#include "backend/test_support.h"

namespace ktap::backend::testing_support {
namespace {

constexpr int64_t kResult = 1, kArgument = 2;

/// A handler at the return of a function that reads those fields.
struct Return {
  explicit Return(const std::string& function, std::vector<int64_t> reads) {
    auto event = std::make_shared<schema::Event>();
    event->name = function + "%return";
    event->kind = schema::EventKind::ProbeReturn;
    event->fields.resize(3);
    event->fields[kResult].fetch.base = schema::Fetch::Base::Result;
    event->fields[kArgument].fetch.base = schema::Fetch::Base::Argument;
    event->entry_fields = 1;
    event->point.symbol = function;
    event->point.is_traceable = true;
    event->point.btf_id = 7;
    event->point.argument_count = 1;
    event->point.gives_word = false;
    made = event;
    group.kind = event->kind;
    group.events = {event};
    builder.at(builder.block());
    for (const int64_t field : reads) builder.op(Op::EventField, {}, field);
    builder.ret();
  }
  Job job() const { return {&builder.function, &group, 0, 0}; }
  std::string why() const { return why_no_trampoline(job(), module, facts); }
  bool wants() const { return wants_trampoline(job(), module); }

  bpf::KernelFacts facts;
  ssa::Module module;
  Builder builder;
  ssa::EventGroup group;
  std::shared_ptr<schema::Event> made;
};

TEST(Trampolines, ForWhatAFunctionThatGivesNothingWasCalledWith) {
  EXPECT_EQ(Return("fput", {kArgument}).why(), "");
  EXPECT_TRUE(Return("fput", {kArgument}).wants());
  EXPECT_FALSE(Return("fput", {}).wants());
  EXPECT_EQ(Return("fput", {kArgument, kResult}).why(),
            "it has no result to read of a function that returns no word");
  Return gives("vfs_read", {kArgument, kResult});
  gives.made->point.gives_word = true;
  EXPECT_EQ(gives.why(), "");
  EXPECT_TRUE(gives.wants());
}

TEST(Trampolines, OfModulesWhereTheKernelHasThem) {
  Return of_module("tun_chr_open", {kArgument});
  of_module.made->point.btf_module = "tun";
  EXPECT_EQ(of_module.why(), "this kernel has none at functions of modules (Linux 5.11)");
  of_module.facts.has_module_trampolines = true;
  EXPECT_EQ(of_module.why(), "");
}

TEST(Trampolines, NeverWhereNothingReturns) {
  for (const char* name : {"do_exit", "__x64_sys_exit", "__arm64_sys_exit_group"})
    EXPECT_EQ(Return(name, {kArgument}).why(), "this function never returns") << name;
  EXPECT_EQ(Return("mm_exit", {kArgument}).why(), "");
}

TEST(Trampolines, WhatKeepsAFunctionFromThem) {
  Return several("vfs_read", {});
  several.group.events.push_back(several.made);
  EXPECT_EQ(several.why(), "it takes one function at a time");
  Return untyped("vfs_read", {});
  untyped.made->point.btf_id = 0;
  EXPECT_NE(untyped.why(), "");
  Return untraced("vfs_read", {});
  untraced.made->point.is_traceable = false;
  EXPECT_NE(untraced.why(), "");
  Return of_program("read", {});
  of_program.made->point.path = "/bin/cat";
  EXPECT_NE(of_program.why(), "");
}

}  // namespace
}  // namespace ktap::backend::testing_support
