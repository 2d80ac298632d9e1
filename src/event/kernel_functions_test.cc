// Which functions a text means, over made-up lists.
#include "event/kernel_functions.h"

#include <gtest/gtest.h>

#include "bpf/test_btf.h"

namespace ktap::event {
namespace {

constexpr const char* kSymbols =
    "ffffffff81000000 T _stext\n"
    "ffffffff81001000 T vfs_write\n"
    "ffffffff81002000 T vfs_read\n"
    "ffffffff81002100 t vfs_helper\n"
    "ffffffff81003000 T do_sys_openat2\n"
    "ffffffff81004000 t twice_there\n"
    "ffffffff81005000 t twice_there\n"
    "ffffffff81006000 T vfs_forbidden\n"
    "ffffffff81007000 t only_by_kprobes\n"
    "ffffffff82000000 D vfs_data\n"
    "ffffffffc0000000 t vfs_of_module\t[some]\n";
constexpr const char* kTraceable =
    "vfs_write\nvfs_read\ndo_sys_openat2\ntwice_there\nvfs_forbidden\nvfs_of_module [some]\n"
    "__ftrace_invalid_address___12\n";
constexpr const char* kForbidden = "0xffffffff81006000-0xffffffff81006010\tvfs_forbidden\n";

KernelPlace place(const std::string& name, bool is_return) { return {name, 0, is_return, "", {}}; }

class KernelFunctionsTest : public testing::Test {
 protected:
  static FunctionLists lists() { return {kTraceable, kForbidden, true, true}; }

  /// Names of the events, then what is wrong, in brackets, with what is near, then notes.
  std::string include(const std::string& name, uint64_t offset = 0, bool is_return = false) {
    Pattern pattern;
    pattern.text = "probe:" + name;
    Matches out;
    functions_.include(pattern, {name, offset, is_return, "", {}}, &out);
    std::string text;
    const auto add = [&text](const std::string& word) { text += (text.empty() ? "" : " ") + word; };
    for (const schema::EventPtr& event : out.events) add(event->name);
    for (const Mistake& mistake : out.mistakes) {
      add("[" + mistake.text + "]");
      for (const std::string& near : mistake.nearest) add(near);
    }
    for (const std::string& note : out.notes) add("(" + note + ")");
    events_ = out.events;
    return text;
  }

  KernelFunctions functions_{symbol::Kallsyms(kSymbols), lists()};
  std::vector<schema::EventPtr> events_;
};

TEST_F(KernelFunctionsTest, APlainName) {
  EXPECT_EQ(include("vfs_read"), "vfs_read");
  ASSERT_EQ(events_.size(), 1U);
  const schema::Event& event = *events_[0];
  EXPECT_EQ(event.system, "probe");
  EXPECT_EQ(event.kind, schema::EventKind::Probe);
  EXPECT_EQ(event.point.address, 0xffffffff81002000U);
  EXPECT_TRUE(event.point.is_traceable);
  EXPECT_EQ(event.find_field("arg1"), 1);
  const schema::EventPtr before = events_[0];
  include("vfs_read");
  EXPECT_EQ(events_[0], before) << "the same event each time";
}

TEST_F(KernelFunctionsTest, ReturnsAndOffsets) {
  EXPECT_EQ(include("vfs_read", 0, true), "vfs_read%return");
  EXPECT_EQ(events_[0]->kind, schema::EventKind::ProbeReturn);
  EXPECT_EQ(events_[0]->find_field("retval"), 1);
  EXPECT_EQ(include("vfs_read", 9), "vfs_read+0x9");
  EXPECT_EQ(events_[0]->fields.size(), 1U) << "the arguments are gone there";
  EXPECT_FALSE(events_[0]->point.is_traceable);
}

TEST_F(KernelFunctionsTest, GlobsReachWhatTheTracerHas) {
  EXPECT_EQ(include("vfs_[rw]*"), "vfs_read vfs_write");
  EXPECT_EQ(include("{only_by,do_sys_open}*", 0, true), "do_sys_openat2%return");
  EXPECT_EQ(include("vfs_*"),
            "vfs_of_module vfs_read vfs_write (probe:vfs_*: left out, the kernel forbids to probe "
            "them: vfs_forbidden)");
  EXPECT_EQ(include("vfs_f*"),
            "[the kernel forbids to probe any of vfs_f*] (probe:vfs_f*: left out, the kernel "
            "forbids to probe them: vfs_forbidden)");
  EXPECT_EQ(include("x*"), "[no function of this kernel that can be traced matches 'x*']");
  EXPECT_EQ(include("vfs_*", 4), "[an offset is that of one function: a glob has none]");
}

TEST_F(KernelFunctionsTest, OfTheFunctionTraceWithoutArguments) {
  KernelPlace traced = place("vfs_*", false);
  traced.is_trace = true;
  Pattern pattern;
  pattern.text = "function:vfs_*";
  Matches out;
  functions_.include(pattern, traced, &out);
  ASSERT_EQ(out.events.size(), 3U);
  for (const schema::EventPtr& event : out.events) {
    EXPECT_EQ(event->system, "function");
    ASSERT_EQ(event->fields.size(), 1U);
    EXPECT_EQ(event->fields[0].name, "ip");
  }
  ASSERT_EQ(out.notes.size(), 1U);
  EXPECT_EQ(out.notes[0],
            "function:vfs_*: left out, the kernel forbids to probe them: vfs_forbidden");
  traced.name = "vfs_raed";
  Matches wrong;
  functions_.include(pattern, traced, &wrong);
  ASSERT_EQ(wrong.mistakes.size(), 1U);
  EXPECT_EQ(wrong.mistakes[0].nearest.front(), "function:vfs_read");
}

TEST(KernelFunctions, OfARenamedFunctionTheLongerNameIsMeant) {
  KernelFunctions functions(symbol::Kallsyms("ffffffff81001000 t do_sys_openat2\n"
                                             "ffffffff81002000 T do_sys_poll\n"
                                             "ffffffff81003000 T do_sys_ftruncate\n"),
                            {"do_sys_openat2\ndo_sys_poll\ndo_sys_ftruncate\n", "", true, true});
  Pattern pattern;
  pattern.text = "probe:do_sys_open";
  KernelPlace at;
  at.name = "do_sys_open";
  Matches out;
  functions.include(pattern, at, &out);
  ASSERT_EQ(out.mistakes.size(), 1U);
  EXPECT_EQ(out.mistakes[0].text, "this kernel has no function 'do_sys_open'");
  EXPECT_EQ(out.mistakes[0].nearest.front(), "probe:do_sys_openat2");
  at.name = "do_sys_poll%ret";
  functions.include(pattern, at, &out);
  ASSERT_EQ(out.mistakes.size(), 2U);
  EXPECT_EQ(out.mistakes[1].text,
            "this kernel has no function 'do_sys_poll%ret'; a function's return is "
            "do_sys_poll%return");
}

TEST(KernelFunctions, GlobsReachAFunctionByEachOfItsNames) {
  KernelFunctions functions(symbol::Kallsyms("ffffffff81001000 T __x64_sys_getppid\n"
                                             "ffffffff81001000 t __do_sys_getppid\n"
                                             "ffffffff81001000 T __ia32_sys_getppid\n"
                                             "ffffffff81002000 T __x64_sys_hidden\n"
                                             "ffffffff81003000 T __x64_sys_read\n"),
                            {"__do_sys_getppid\n__x64_sys_read\n", "", true, true});
  const auto names = [&functions](const std::string& glob) {
    Pattern pattern;
    pattern.text = "probe:" + glob;
    Matches out;
    functions.include(pattern, place(glob, false), &out);
    std::string text;
    for (const schema::EventPtr& event : out.events)
      text += event->name + (event->point.is_traceable ? " " : "? ");
    return text;
  };
  EXPECT_EQ(names("__x64_sys_*"), "__x64_sys_getppid __x64_sys_read ");
  EXPECT_EQ(names("*getppid"), "__do_sys_getppid ") << "once, by the name in the list";
  EXPECT_EQ(names("__{x64,ia32}*getppid"), "__x64_sys_getppid ");
  EXPECT_EQ(names("__x64_sys_hidden"), "__x64_sys_hidden? ");
}

class KernelAliases : public testing::Test {
 protected:
  /// What a list of functions comes to; `~NAME` at its end leaves some out.
  std::string left(const std::vector<std::string>& list, const std::string& excluded = "",
                   bool is_return = false, bool is_hidden = false) {
    std::string symbols =
        "ffffffff81001000 T __x64_sys_getppid\n"
        "ffffffff81001000 t __se_sys_getppid\n"
        "ffffffff81001000 T __ia32_sys_getppid\n"
        "ffffffff81003000 T __x64_sys_read\n";
    for (size_t at = symbols.find("ffffffff8100"); is_hidden && at != std::string::npos;
         at = symbols.find("ffffffff8100", at))
      symbols.replace(at, 16, "0000000000000000");
    KernelFunctions functions(
        symbol::Kallsyms(std::move(symbols)),
        {"__x64_sys_getppid\n__se_sys_getppid\n__x64_sys_read\n", "", true, true});
    Matches out;
    for (const std::string& name : list)
      functions.include(Pattern{"probe:" + name, false, 0}, place(name, is_return), &out);
    std::string text;
    for (const Mistake& mistake : out.mistakes) text += "[" + mistake.text + "]";
    for (const schema::EventPtr& event : out.events) {
      if (excluded.empty() || !functions.is_also_called(*event, excluded, false))
        text += (text.empty() ? "" : " ") + event->name;
    }
    return text;
  }
};

TEST_F(KernelAliases, AListTakesEachPlaceOnce) {
  EXPECT_EQ(left({"__se_sys_getppid", "__x64_sys_getppid"}), "__se_sys_getppid");
  EXPECT_EQ(left({"__x64_sys_getppid", "__se_*"}), "__x64_sys_getppid") << "and is no mistake";
  EXPECT_EQ(left({"*"}), "__se_sys_getppid __x64_sys_read");
  EXPECT_EQ(left({"__x64_sys_getppid", "__se_sys_getppid"}, "", true), "__x64_sys_getppid%return");
  EXPECT_EQ(left({"__x64_sys_getppid", "__se_sys_getppid"}, "", false, true),
            "__x64_sys_getppid __se_sys_getppid")
      << "without addresses nobody knows";
}

TEST_F(KernelAliases, ExclusionsKnowAllNames) {
  EXPECT_EQ(left({"__x64_*"}, "__se_sys_getppid"), "__x64_sys_read");
  EXPECT_EQ(left({"__x64_*"}, "__ia32_*"), "__x64_sys_read");
  EXPECT_EQ(left({"__x64_*"}, "__ia32_sys_read"), "__x64_sys_getppid __x64_sys_read");
  EXPECT_EQ(left({"__x64_*"}, "__se_*%return", true), "__x64_sys_read%return");
  EXPECT_EQ(left({"__x64_*"}, "__se_*", true), "__x64_sys_read%return");
  EXPECT_EQ(left({"__x64_*"}, "__ia32_*", false, true), "__x64_sys_getppid __x64_sys_read");
}

TEST(KernelFunctions, AnotherNameOfWhatTheTracerHasIsTraceable) {
  KernelFunctions functions(symbol::Kallsyms("ffffffff81001000 T __x64_sys_getppid\n"
                                             "ffffffff81001000 t __do_sys_getppid\n"),
                            {"__do_sys_getppid\n", "", true, true});
  Matches out;
  functions.include(Pattern{"probe:__x64_sys_getppid", false, 0}, place("__x64_sys_getppid", false),
                    &out);
  ASSERT_EQ(out.events.size(), 1U);
  EXPECT_EQ(out.events[0]->name, "__x64_sys_getppid");
  EXPECT_TRUE(out.events[0]->point.is_traceable);
}

TEST_F(KernelFunctionsTest, WhatTheTracerLacksIsLeftToKprobes) {
  EXPECT_EQ(include("only_by_kprobes"), "only_by_kprobes");
  EXPECT_FALSE(events_[0]->point.is_traceable);
  // Two of one name, and the tracer has one of them: nobody says which.
  EXPECT_EQ(include("twice_there"), "twice_there twice_there");
  EXPECT_FALSE(events_[0]->point.is_traceable);
  EXPECT_NE(events_[0]->point.address, events_[1]->point.address);
}

TEST_F(KernelFunctionsTest, MistakesNameWhatIsNear) {
  EXPECT_EQ(include("do_sys_open"),
            "[this kernel has no function 'do_sys_open'] probe:do_sys_openat2");
  EXPECT_EQ(include("vfs_raed", 0, true),
            "[this kernel has no function 'vfs_raed'] probe:vfs_read%return");
  EXPECT_EQ(include("vfs_raed", 4, false),
            "[this kernel has no function 'vfs_raed'] probe:vfs_read+0x4");
  EXPECT_EQ(include("vfs_data").substr(0, 42), "['vfs_data' is no function of this kernel]");
  EXPECT_EQ(include("vfs_forbidden").substr(0, 34), "['vfs_forbidden' cannot be probed:");
}

/// int vfs_read(struct file *file, const char *buf, unsigned int count, bool wait);
/// void vfs_write(struct pair by_value, int behind).
std::vector<uint8_t> functions_btf() {
  bpf::BtfWriter btf;
  const uint32_t number = btf.type("int", 1, 0, {1U << 24 | 32}, false, 4);
  const uint32_t bits = btf.type("unsigned int", 1, 0, {32}, false, 4);
  const uint32_t truth = btf.type("_Bool", 1, 0, {4U << 24 | 8}, false, 1);
  const uint32_t letter = btf.type("char", 1, 0, {1U << 24 | 8}, false, 1);
  const uint32_t text = btf.type("", 2, 0, {}, false, letter);
  const uint32_t file = btf.type("file", 4, 1, {btf.name("flags"), bits, 0}, false, 4);
  const uint32_t files = btf.type("", 2, 0, {}, false, file);
  const uint32_t read = btf.type("", 13, 4,
                                 {btf.name("file"), files, btf.name("buf"), text, btf.name("count"),
                                  bits, btf.name("wait"), truth},
                                 false, number);
  btf.type("vfs_read", 12, 1, {}, false, read);
  const uint32_t write =
      btf.type("", 13, 2, {btf.name("by_value"), file, btf.name("behind"), number}, false, 0);
  btf.type("vfs_write", 12, 1, {}, false, write);
  return btf.bytes();
}

TEST(KernelFunctions, ArgumentsHaveTheirNamesAndTypes) {
  const std::vector<uint8_t> bytes = functions_btf();
  KernelFunctions functions(symbol::Kallsyms(kSymbols), {kTraceable, kForbidden, true, true},
                            bpf::BtfTypes::open(bytes.data(), bytes.size()));
  Matches out;
  functions.include(Pattern{"probe:vfs_read", false, 0}, place("vfs_read", false), &out);
  functions.include(Pattern{"probe:vfs_read%return", false, 0}, place("vfs_read", true), &out);
  functions.include(Pattern{"probe:vfs_write", false, 0}, place("vfs_write", false), &out);
  functions.include(Pattern{"probe:vfs_write%return", false, 0}, place("vfs_write", true), &out);
  ASSERT_EQ(out.events.size(), 4U);
  const schema::Event& read = *out.events[0];
  ASSERT_EQ(read.fields.size(), 5U);
  EXPECT_EQ(read.fields[1].name, "file");
  EXPECT_EQ(read.fields[1].c_type, "struct file *");
  EXPECT_NE(read.fields[1].target, schema::CType{});
  EXPECT_EQ(read.fields[2].kind, schema::FieldKind::Pointer);
  EXPECT_EQ(read.fields[2].target, schema::CType{}) << "text is an address";
  EXPECT_EQ(read.fields[3].size_bytes, 4U);
  EXPECT_FALSE(read.fields[3].is_signed);
  EXPECT_EQ(read.fields[4].kind, schema::FieldKind::Bool);
  EXPECT_NE(read.point.btf_id, 0U);
  EXPECT_EQ(read.point.argument_count, 4U);
  EXPECT_EQ(out.events[1]->fields[1].size_bytes, 4U);
  EXPECT_TRUE(out.events[1]->fields[1].is_signed);
  // Behind the result of a return stands what the function was called with.
  const schema::Event& result = *out.events[1];
  EXPECT_EQ(result.own_fields(), 2U);
  ASSERT_EQ(result.entry_fields, 4U);
  EXPECT_EQ(result.unnumbered_fields, 4U);
  EXPECT_EQ(result.fields[4].name, "count");
  EXPECT_EQ(result.fields[4].fetch.base, schema::Fetch::Base::Argument);
  EXPECT_EQ(result.fields[4].fetch.at, 2);
  EXPECT_NE(result.point.btf_id, 0U);
  EXPECT_TRUE(result.point.gives_word);
  // A struct by value may take more than one register: behind it nobody knows.
  const schema::Event& write = *out.events[2];
  EXPECT_EQ(write.fields[1].kind, schema::FieldKind::Opaque);
  EXPECT_EQ(write.fields[2].kind, schema::FieldKind::Opaque);
  EXPECT_EQ(write.point.btf_id, 0U);
  EXPECT_EQ(out.events[3]->fields[1].kind, schema::FieldKind::Int) << "void: the register";
}

TEST(KernelFunctions, FetchedFieldsStandForTheArguments) {
  const std::vector<uint8_t> bytes = functions_btf();
  KernelFunctions functions(symbol::Kallsyms(kSymbols), {kTraceable, kForbidden, true, true},
                            bpf::BtfTypes::open(bytes.data(), bytes.size()));
  Matches out;
  const auto include = [&](bool is_return, const std::string& fetches, schema::Fetch::Base base) {
    KernelPlace fetching = place("vfs_read", is_return);
    fetching.fetches = fetches;
    fetching.fetched = {register_field("x", base)};
    functions.include(Pattern{"probe:vfs_read", false, 0}, fetching, &out);
    return out.events.back();
  };
  const schema::EventPtr argument = include(false, "x=$arg1", schema::Fetch::Base::Argument);
  ASSERT_EQ(argument->fields.size(), 2U);
  EXPECT_EQ(argument->fields[1].name, "x");
  EXPECT_EQ(argument->point.btf_id, 0U) << "a trampoline has no registers";
  EXPECT_TRUE(argument->point.is_traceable);
  const schema::EventPtr named = include(false, "x=%di", schema::Fetch::Base::Register);
  EXPECT_NE(named, argument);
  EXPECT_FALSE(named->point.is_traceable) << "the tracer does not keep all registers";
  EXPECT_EQ(include(false, "x=%di", schema::Fetch::Base::Register), named);
  const schema::EventPtr result = include(true, "x=$retval", schema::Fetch::Base::Result);
  ASSERT_EQ(result->fields.size(), 3U) << "what it was called with is in no register";
  EXPECT_EQ(result->fields[2].name, "retval");
  EXPECT_EQ(result->fields[2].size_bytes, 4U) << "by its type";
  EXPECT_EQ(result->unnumbered_fields, 1U);
}

TEST(KernelFunctions, AGlobHasWhatTrampolinesTakeWhereProbesMayNotStandAtBeginnings) {
  const std::vector<uint8_t> bytes = functions_btf();
  const auto glob = [&](bool has_entry_probes, bool with_types) {
    KernelFunctions functions(
        symbol::Kallsyms(kSymbols), {kTraceable, kForbidden, true, true, has_entry_probes},
        with_types ? bpf::BtfTypes::open(bytes.data(), bytes.size()) : std::nullopt);
    Matches out;
    functions.include(Pattern{"probe:vfs_*", false, 0}, place("vfs_*", false), &out);
    return out;
  };
  EXPECT_GT(glob(true, true).events.size(), 1U);
  const Matches typed = glob(false, true);
  ASSERT_FALSE(typed.events.empty());
  for (const schema::EventPtr& event : typed.events) EXPECT_NE(event->point.btf_id, 0U);
  EXPECT_LT(typed.events.size(), glob(true, true).events.size());
  ASSERT_EQ(typed.warnings.size(), 1U);
  EXPECT_NE(typed.warnings[0].text.find("trampolines alone"), std::string::npos);
  const Matches untyped = glob(false, false);
  EXPECT_TRUE(untyped.events.empty());
  ASSERT_EQ(untyped.mistakes.size(), 1U);
  EXPECT_NE(untyped.mistakes[0].text.find("has no types of any of vfs_*"), std::string::npos);
}

TEST(KernelFunctions, MemoryAtASymbol) {
  KernelFunctions functions(symbol::Kallsyms(kSymbols), {kTraceable, kForbidden, true, true});
  const Result<schema::Fetch> there = functions.variable("vfs_data");
  ASSERT_TRUE(there.ok());
  EXPECT_EQ(there.value().base, schema::Fetch::Base::Constant);
  EXPECT_EQ(static_cast<uint64_t>(there.value().at), 0xffffffff82000000U);
  ASSERT_EQ(there.value().steps.size(), 1U);
  EXPECT_FALSE(there.value().steps[0].is_user);
  EXPECT_EQ(functions.variable("nothing_there").error().message,
            "the kernel lists no symbol 'nothing_there'");
  EXPECT_EQ(functions.variable("twice_there").error().message,
            "the kernel has 2 symbols 'twice_there'; write the address");
}

TEST(KernelFunctions, AKernelWithoutProbesOrTracer) {
  const auto first = [](bool has_kprobes, bool has_tracer, const std::string& name) {
    KernelFunctions functions(symbol::Kallsyms(kSymbols),
                              FunctionLists{"", "", has_kprobes, has_tracer});
    Matches out;
    functions.include(Pattern{"probe:" + name, false, 0}, place(name, false), &out);
    return out;
  };
  const Matches none = first(false, false, "vfs_read");
  ASSERT_EQ(none.mistakes.size(), 1U);
  EXPECT_TRUE(none.mistakes[0].is_unavailable);
  EXPECT_NE(none.mistakes[0].text.find("CONFIG_KPROBE_EVENTS"), std::string::npos);
  EXPECT_EQ(first(true, false, "vfs_read").events.size(), 1U);
  EXPECT_NE(first(true, false, "vfs_*").mistakes[0].text.find("CONFIG_DYNAMIC_FTRACE"),
            std::string::npos);
}

}  // namespace
}  // namespace ktap::event
