// Unit test of what names mean on an event.
#include "lower/event_reads.h"

#include <gtest/gtest.h>

#include "lower/test_world.h"

namespace ktap::lower {
namespace {

TEST(EventReads, OfASystemCallThatIsInNoTable) {
  schema::Event event;
  event.system = "syscalls";
  event.name = "sys_exit_younger";
  event.kind = schema::EventKind::Tracepoint;
  schema::Field field;
  field.name = "__syscall_nr";
  event.fields.push_back(field);
  field.name = "ret";
  event.fields.push_back(field);
  EXPECT_EQ(read_variable(event, schema::BuiltinVar::Retval).kind, EventRead::Kind::Field);
  EXPECT_EQ(read_member(event, "sc_nr").kind, EventRead::Kind::Field);
  EXPECT_EQ(read_member(event, "sc_is_enter").kind, EventRead::Kind::Bool);
  EXPECT_FALSE(read_member(event, "sc_is_enter").boolean);
  EXPECT_EQ(read_member(event, "sc_arg1").kind, EventRead::Kind::Nil);
  event.name = "sys_enter_younger";
  EXPECT_TRUE(read_member(event, "sc_is_enter").boolean);
  EXPECT_EQ(read_member(event, "sc_arg1").field, 1U);
  EXPECT_EQ(read_member(event, "sc_arg2").kind, EventRead::Kind::Nil);
  EXPECT_EQ(read_variable(event, schema::BuiltinVar::Retval).kind, EventRead::Kind::Missing);
  event.name = "sys_exit_younger";
  event.fields.pop_back();
  EXPECT_EQ(read_variable(event, schema::BuiltinVar::Retval).kind, EventRead::Kind::Missing);
}

TEST(EventReads, WhatNoScriptCanReadIsAMistakeAlsoWhereEventsAreToldApart) {
  const auto mistakes = [](const std::string& source, bool has_another) {
    std::vector<schema::EventPtr> events = {sched_switch()};
    if (has_another) events.push_back(syscall_enter("read", 0, {int_field("fd", 8)}));
    return TestWorld(source).mistakes(events);
  };
  const std::string source = "trace a:b { print(probename, arg4) }";
  EXPECT_EQ(mistakes(source, false),
            "mistake 1: field 'set' of sched_switch is 'struct set', which a script cannot read");
  EXPECT_EQ(mistakes(source, true), "");
  EXPECT_EQ(mistakes("trace a:b { print(probename, arg9) }", false), "");
}

}  // namespace
}  // namespace ktap::lower
