// The compiler as a whole, where the printed code is not the best witness: which diagnostics, which
// names, the limits at their edges. The code of each construct is in tests/golden/bytecode.
#include "compiler/compiler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/limits.h"
#include "compiler/testing.h"

namespace ktap::compiler {
namespace {

using bytecode::Op;

std::string repeated(int count, const std::string& before, const std::string& after) {
  std::string out;
  for (int i = 0; i < count; ++i) out += before + std::to_string(i) + after;
  return out;
}

bool has_op(const bytecode::Function& function, Op op) {
  return std::any_of(function.code.begin(), function.code.end(),
                     [op](bytecode::Insn i) { return i.op() == op; });
}

// ---- names ----

TEST(Names, UndefinedOnesAreReportedOnce) {
  EXPECT_EQ(Compiled("print(nope, nope) print(nope)").codes(), "K0301");
  EXPECT_EQ(Compiled("print(nope, other)").codes(), "K0301 K0301");
  EXPECT_EQ(Compiled("function f() { return nope }").codes(), "K0301");
}

TEST(Names, FunctionsAssignOnlyWhatMainAssigns) {
  EXPECT_EQ(Compiled("function f() { x = 1 }").codes(), "K0302");
  EXPECT_EQ(Compiled("function f() { x = 1 } x = 2").codes(), "");
  EXPECT_EQ(Compiled("trace a:b { x += 1 } if (arg[1]) { x = 0 }").codes(), "");
  EXPECT_EQ(Compiled("trace a:b { arg = 1 }").codes(), "");
}

TEST(Names, BuiltinsMayBeHidden) {
  EXPECT_EQ(Compiled("hist = {} hist.x = 1 print(hist)").codes(), "");
  EXPECT_EQ(Compiled("function f(print) { return print }").codes(), "");
  EXPECT_EQ(Compiled("var table = {} table.foo = 1").codes(), "");
  EXPECT_EQ(Compiled("var args = {} print(args)").codes(), "");
  EXPECT_EQ(Compiled("function f() { print = 1 }").codes(), "K0302");
  EXPECT_EQ(Compiled("{ }").codes().substr(0, 1), "K");
}

TEST(Names, ARegisterIsReusedAfterItsBlock) {
  const Compiled c("do { var a = 1 } do { var b = 2 }");
  EXPECT_EQ(c.chunk->main->register_count, 1);
}

TEST(Names, AnInnerVariableOfTheSameNameIsAnotherUpvalue) {
  const Compiled c(
      "var x = 1 function f() { return x } var x = 2 function g() { return function () { return x "
      "} }");
  ASSERT_NE(c.chunk, nullptr);
  EXPECT_EQ(c.chunk->main->children[0]->upvalues[0].index, 0);
  EXPECT_EQ(c.chunk->main->children[1]->upvalues[0].index, 1);
  EXPECT_FALSE(c.chunk->main->children[1]->children[0]->upvalues[0].from_parent_register);
}

// ---- filters ----

TEST(Filter, WordsStandOnlyBesideText) {
  EXPECT_NE(Compiled("trace a:b /comm == bash/ { }").code(1).find("field \"comm\""),
            std::string::npos);
  EXPECT_NE(Compiled("trace a:b /comm == bash/ { }").code(1).find("field or word \"bash\""),
            std::string::npos);
  EXPECT_NE(Compiled("trace a:b /bash == execname/ { }").code(1).find("field or word \"bash\""),
            std::string::npos);
  EXPECT_NE(Compiled("trace a:b /args.comm ~ bash/ { }").code(1).find("field or word \"bash\""),
            std::string::npos);
  EXPECT_NE(Compiled("trace a:b /e.comm != bash/ { }").code(1).find("field or word \"bash\""),
            std::string::npos);
  for (const char* text : {"trace a:b /pid == bash/ { }", "trace a:b /comm < bash/ { }",
                           "trace a:b /5 == bash/ { }", "trace a:b /comm == \"bash\"/ { }",
                           "trace a:b /bash/ { }", "trace a:b /\"x\" == bash/ { }"}) {
    EXPECT_EQ(Compiled(text).code(1).find("word"), std::string::npos) << text;
  }
}

TEST(Filter, NamesInTheirOrder) {
  EXPECT_NE(Compiled("var count = 1 trace a:b /count > 1/ { }").code(1).find("GetUpval"),
            std::string::npos);
  EXPECT_NE(Compiled("count = 1 trace a:b /count > 1/ { }").code(1).find("GetGlobal"),
            std::string::npos);
  EXPECT_NE(Compiled("trace a:b /count > 1/ { }").code(1).find("EventField"), std::string::npos);
  EXPECT_NE(Compiled("trace a:b /pid > 1/ { }").code(1).find("EventVar"), std::string::npos);
  EXPECT_NE(Compiled("trace a:b /len(comm) > 1/ { }").code(1).find("LoadBuiltin"),
            std::string::npos);
  for (const std::string head : {"tick-1s", "trace tick-1s"}) {
    EXPECT_EQ(Compiled(head + " /nope > 1/ { }").codes(), "K0301") << head;
    EXPECT_EQ(Compiled(head + " /execname == nope/ { }").codes(), "") << head;
    EXPECT_EQ(Compiled(head + " /nope ~ execname && print != probename/ { }").codes(), "") << head;
    EXPECT_EQ(Compiled(head + " /cpu == nope/ { }").codes(), "K0301") << head;
    EXPECT_EQ(Compiled(head + " { print(args.x) }").codes(), "K0402") << head;
    EXPECT_EQ(Compiled(head + "/cpu == 0/ { }").codes(), "K0406") << head;
  }
  EXPECT_EQ(Compiled("trace \"tick-1s /nope > 1/\" { }").codes(), "K0301");
  EXPECT_FALSE(
      has_op(*Compiled("tick-1s /execname == a/ { }").chunk->main->children[0], Op::EventWord));
  EXPECT_EQ(Compiled("trace a:b { print(comm) }").codes(), "K0301");
}

TEST(Filter, OfAComputedText) {
  const diag::Source source("t.kp", "fd > limit && execname == bash");
  diag::Sink sink;
  const syntax::ExprPtr expr = syntax::parse_expression(source, sink);
  const auto function = compile_filter(*expr, source, {"arg", "limit"}, false, sink);
  ASSERT_NE(function, nullptr);
  EXPECT_EQ(function->param_count, 0);
  EXPECT_TRUE(function->upvalues.empty());
  EXPECT_TRUE(has_op(*function, Op::EventField));
  EXPECT_TRUE(has_op(*function, Op::EventWord));
  EXPECT_TRUE(has_op(*function, Op::GetGlobal));
  EXPECT_EQ(function->code.back().op(), Op::Return);
}

TEST(Filter, OfTheFunctionTraceNamesFunctions) {
  const auto functions = [](const std::string& text) {
    const diag::Source source("t.kp", text);
    diag::Sink sink;
    const syntax::ExprPtr filter = syntax::parse_expression(source, sink);
    const TracedFunctions found = traced_functions(
        "ftrace:function", *filter, [](const std::string& name) { return name == "mine"; });
    if (found.filter == nullptr) return found.event_text;
    const diag::Span rest = found.filter->span;
    return found.event_text + " /" + text.substr(rest.begin, rest.end - rest.begin) + "/";
  };
  EXPECT_EQ(functions("ip ~ \"mutex*\""), "function:mutex*");
  EXPECT_EQ(functions("ip ~ \"{vfs,ksys}_*\""), "function:{vfs,ksys}_*");
  EXPECT_EQ(functions("ip == \"vfs_read\""), "function:vfs_read");
  EXPECT_EQ(functions("ip == vfs_read"), "function:vfs_read");
  EXPECT_EQ(functions("(ip ~ \"a*\") && pid == 1"), "function:a* /pid == 1/");
  EXPECT_EQ(functions("pid == 1 && cpu == 2 && ip ~ \"a*\""), "function:a* /pid == 1 && cpu == 2/");
  for (const char* other :
       {"ip == \"vfs*\"", "ip ~ \"a*,b*\"", "ip ~ \"a* ~b\"", "ip != \"a\"", "ip ~ \"\"",
        "pid ~ \"a\"", "ip ~ \"a*\" || pid == 1", "ip == mine", "ip == 1"})
    EXPECT_EQ(functions(other), "") << other;
  const std::string named = "trace ftrace:function /ip ~ \"mutex*\"/ { }";
  EXPECT_EQ(Compiled(named).code(1).find("EventField"), std::string::npos);
  EXPECT_EQ(Compiled(named).codes(), "");
  EXPECT_NE(Compiled("var ip = \"a\" " + named).code(1).find("GetUpval"), std::string::npos);
}

TEST(Filter, OfAComputedTextMayBeWrong) {
  const diag::Source source("t.kp", "len(1, 2) > 1");
  diag::Sink sink;
  const syntax::ExprPtr expr = syntax::parse_expression(source, sink);
  EXPECT_EQ(compile_filter(*expr, source, {"arg"}, false, sink), nullptr);
  EXPECT_TRUE(sink.has_errors());
}

TEST(Filter, OfAComputedTimer) {
  const diag::Source source("t.kp", "fd == 3");
  diag::Sink sink;
  const syntax::ExprPtr expr = syntax::parse_expression(source, sink);
  EXPECT_EQ(compile_filter(*expr, source, {"arg"}, true, sink), nullptr);
  EXPECT_TRUE(sink.has_errors());
}

// ---- handlers ----

TEST(Handler, CannotRegisterAnother) {
  EXPECT_EQ(Compiled("trace a:b { trace c:d { } }").codes(), "K0306");
  EXPECT_EQ(Compiled("trace_end { tick-1s { } }").codes(), "K0306");
  EXPECT_EQ(Compiled("tick-1s { var f = function () { timer.tick(\"1s\", function () { }) } f() }")
                .codes(),
            "K0306");
  EXPECT_EQ(Compiled("timer.tick(\"1s\", function () { trace a:b { } })").codes(), "K0306");
  EXPECT_EQ(Compiled("function f() { trace a:b { } } f()").codes(), "");
  EXPECT_EQ(Compiled("for (i = 1, 3) { trace (\"a:b\" .. i) { } }").codes(), "");
}

TEST(Handler, FormsAndKinds) {
  const Compiled c(
      "trace a:b { }\ntrace \"a:b\" function (e) { }\nprofile-99hz { }\ntrace_end function () { }\n"
      "trace \"a:b\" print");
  EXPECT_NE(c.code().find("Register     event"), std::string::npos);
  EXPECT_NE(c.code().find("Register     profile"), std::string::npos);
  EXPECT_NE(c.code().find("Register     end"), std::string::npos);
  EXPECT_EQ(c.chunk->main->children[0]->param_count, 0);
  EXPECT_EQ(c.chunk->main->children[1]->param_count, 1);
}

// ---- calls and formats ----

TEST(Calls, ArgumentsOfBuiltins) {
  EXPECT_EQ(Compiled("len()").codes(), "K0501");
  EXPECT_EQ(Compiled("exit(1, 2)").codes(), "K0501");
  EXPECT_EQ(Compiled("function f() { } len(f())").codes(), "");
  EXPECT_EQ(Compiled("function f() { } len(1, f())").codes(), "");
  EXPECT_EQ(Compiled("function f() { } len(1, 2, f())").codes(), "K0501");
  EXPECT_EQ(Compiled("print(pid(), execname())").codes(), "");
  EXPECT_EQ(Compiled("print(pid(1))").codes(), "K0501");
  EXPECT_EQ(Compiled("trace a:b { print(retval()) }").codes(), "K0505");
}

TEST(Names, WhatOnlyEventsGive) {
  EXPECT_EQ(Compiled("tick-1s { print(args.x, arg0, retval, e.x) }").codes(),
            "K0402 K0403 K0403 K0402");
  EXPECT_EQ(Compiled("timer.tick('1s', function (e) { print(e.fd, e['fd'], e.name) })").codes(),
            "K0402 K0402");
  EXPECT_EQ(Compiled("tick-1s { var f = function () { return arg0 } f() }").codes(), "K0403");
  EXPECT_EQ(Compiled("tick-1s { print(pid, tid, uid, gid, cpu, ns, execname, probename, argstr, "
                     "e.name, e.tostring()) }")
                .codes(),
            "");
  // A timer of the CPUs is an event.
  EXPECT_EQ(Compiled("profile-99hz /ip != 0/ { print(args.ip, arg0, e.ip) }").codes(), "");
  EXPECT_EQ(Compiled("timer.profile('1s', function (e) { print(e.ip) })").codes(), "");
  EXPECT_EQ(Compiled("trace_end { print(e, probename, args.x, pid, ns) }").codes(),
            "K0403 K0403 K0402");
  EXPECT_EQ(Compiled("kdebug.probe_end(function () { print(arg1) })").codes(), "K0403");
  EXPECT_EQ(Compiled("print(argstr, args.x, pid)").codes(), "K0403 K0402");
  // Nobody sees from where such a function is called.
  EXPECT_EQ(Compiled("function f(e) { print(arg0, args.x, e.fd) } trace 'a:b' f").codes(), "");
  EXPECT_EQ(Compiled("kdebug.probe('tp:a:b', function (e) { print(arg0, e.fd) })").codes(), "");
}

TEST(Calls, FormatsPointAtTheirConversion) {
  EXPECT_EQ(Compiled(R"(printf("a\t%d %5s\n", 1))").pointed(), "%5s");
  EXPECT_EQ(Compiled(R"(printf("%d\n", 1, 22))").pointed(), "22");
  EXPECT_EQ(Compiled(R"(printf("%d\n", "x"))").pointed(), "\"x\"");
  EXPECT_EQ(Compiled(R"(printf("\n%q\n", "x"))").pointed(), "%q");
}

TEST(Calls, KnownTypes) {
  for (const char* bad : {"1.5", "\"s\"", "nil", "true", "{}", "function () { }", "1 < 2", "!x",
                          "\"a\" .. x", "print", "execname", "tostring(1)"}) {
    EXPECT_EQ(Compiled("x = 1 printf(\"%d\", " + std::string(bad) + ")").codes(), "K0503") << bad;
  }
  for (const char* good :
       {"1", "x", "x + 1", "pid", "pid()", "len(x)", "~x", "x & 1", "x.y", "-x", "(x)"}) {
    EXPECT_EQ(Compiled("x = 1 printf(\"%d\", " + std::string(good) + ")").codes(), "") << good;
  }
  EXPECT_EQ(Compiled("trace a:b { printf(\"%d\", arg0) }").codes(), "");
  EXPECT_EQ(Compiled("printf(\"%f %g\", 1, 1.5)").codes(), "");
  EXPECT_EQ(Compiled("printf(\"%s %s\", nil, {})").codes(), "");
  EXPECT_EQ(Compiled("function f() { } printf(\"%d %d\", f())").codes(), "");
  EXPECT_EQ(Compiled("function f() { } printf(\"%d\", 1, 2, f())").codes(), "K0502");
  EXPECT_EQ(Compiled("var fmt = \"%d\" printf(fmt, \"x\")").codes(), "");
}

TEST(Samples, GoIntoCellsAndVariables) {
  EXPECT_EQ(
      Compiled("var t = {} t[1, 2] <<< 3 t.a.b <<< 4 var x = aggr() x <<< 5 g = x g <<< 6").codes(),
      "");
  EXPECT_EQ(Compiled("print <<< 1").codes(), "K0303");
  EXPECT_EQ(Compiled("hist[1] <<< 1").codes(), "K0303");
  EXPECT_EQ(Compiled("hist[1] += 1").codes(), "K0303");
  EXPECT_EQ(Compiled("hist[1] = 1").codes(), "K0303");
  EXPECT_EQ(Compiled("trace a:b { pid <<< 1 }").codes(), "K0303");
  EXPECT_EQ(Compiled("args.x <<< 1").codes(), "K0303");
  EXPECT_EQ(Compiled("table.new <<< 1").codes(), "K0303");
  EXPECT_EQ(Compiled("trace a:b { x <<< 1 }").codes(), "K0301");
  EXPECT_EQ(Compiled("print(sum())").codes(), "K0501");
  EXPECT_EQ(Compiled("print(quantile(1))").codes(), "K0501");
}

// ---- limits, each at its edge and one past ----

TEST(Limits, Locals) {
  EXPECT_EQ(Compiled(repeated(limits::kMaxLocals, "var v", " = 1\n")).codes(), "");
  EXPECT_EQ(Compiled(repeated(limits::kMaxLocals + 1, "var v", " = 1\n")).codes(), "K0611");
}

TEST(Limits, Globals) {
  EXPECT_EQ(Compiled(repeated(limits::kMaxGlobals - 1, "g", " = 1\n")).codes(), "");
  const Compiled past(repeated(limits::kMaxGlobals, "g", " = 1\n"));
  EXPECT_EQ(past.codes(), "K0614");
  EXPECT_EQ(past.pointed(), "g255");
}

TEST(Limits, Registers) {
  EXPECT_EQ(Compiled("print(" + repeated(limits::kMaxRegisters - 2, "", ",") + "0)").codes(), "");
  EXPECT_EQ(Compiled("print(" + repeated(limits::kMaxRegisters - 1, "", ",") + "0)").codes(),
            "K0612");
}

TEST(Limits, Upvalues) {
  const auto script = [](int inner) {
    const int outer = 150;
    return "function f() {\n" + repeated(outer, "var a", " = 1\n") + "return function () {\n" +
           repeated(inner, "var b", " = 1\n") + "return function () {\n" +
           repeated(outer, "print(a", ")\n") + repeated(inner, "print(b", ")\n") + "} } }";
  };
  EXPECT_EQ(Compiled(script(limits::kMaxUpvalues - 150)).codes(), "");
  EXPECT_EQ(Compiled(script(limits::kMaxUpvalues - 149)).codes(), "K0613");
}

TEST(Limits, Constants) {
  const auto script = [](int count) {
    std::string out = "var t\n";
    for (int i = 0; i < count; ++i) out += "t = " + std::to_string(100000 + i) + "\n";
    return out;
  };
  EXPECT_EQ(Compiled(script(65536)).codes(), "");
  EXPECT_EQ(Compiled(script(65537)).codes(), "K0615");
}

TEST(Limits, SmallConstantOperandsFallBack) {
  std::string text = "var t = {}\n";
  for (int i = 0; i < 300; ++i) {
    const std::string n = std::to_string(i);
    text += "t.k" + n + " = t.k" + n + " + " + std::to_string(40000 + i) + "\n";
    text += "if (t.q" + n + " == \"s" + n + "\") { t.z" + n + " += 1 }\n";
  }
  const Compiled c(text);
  ASSERT_EQ(c.codes(), "");
  EXPECT_TRUE(has_op(*c.chunk->main, Op::GetField));
  EXPECT_TRUE(has_op(*c.chunk->main, Op::GetIndex));
  EXPECT_TRUE(has_op(*c.chunk->main, Op::SetIndex));
  EXPECT_TRUE(has_op(*c.chunk->main, Op::Add));
  EXPECT_TRUE(has_op(*c.chunk->main, Op::TestEq));
}

TEST(Limits, ListsAndLoops) {
  const std::string items = repeated(12799, "", ",");
  EXPECT_EQ(Compiled("function f() { } var t = {" + items + " f()}").codes(), "");
  EXPECT_EQ(Compiled("function f() { } var t = {" + items + " 1, f()}").codes(), "K0615");
  EXPECT_EQ(Compiled("var t = {" + items + items + " 1}").codes(), "");
  const auto loop = [](int count) {
    std::string body = "var t = {} for (i = 1, 2) {\n";
    for (int i = 0; i < count; ++i) body += "t[i] = i\n";
    return body + "}";
  };
  EXPECT_EQ(Compiled(loop(32766)).codes(), "");
  EXPECT_EQ(Compiled(loop(32767)).codes(), "K0615");
}

TEST(Limits, Functions) {
  EXPECT_EQ(Compiled(repeated(65536, "print(function () { }) #", "\n")).codes(), "");
  EXPECT_EQ(Compiled(repeated(65537, "print(function () { }) #", "\n")).codes(), "K0615");
}

}  // namespace
}  // namespace ktap::compiler
