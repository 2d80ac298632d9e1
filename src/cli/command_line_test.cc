// The command line of the language's section 10: what is taken, what is refused and in which words.
#include "cli/command_line.h"

#include <gtest/gtest.h>

namespace ktap::cli {
namespace {

TEST(CommandLine, ScriptItsArgumentsAndTheCommand) {
  const CommandLine line = parse_command_line({"-q", "-T", "a.kp", "-x", "7", "--", "dd", "-q"});
  EXPECT_EQ(line.action, Action::Session);
  EXPECT_EQ(line.script, "a.kp");
  EXPECT_TRUE(line.options.quiet);
  EXPECT_TRUE(line.options.timestamps);
  EXPECT_EQ(line.options.args, (std::vector<std::string>{"a.kp", "-x", "7"}));
  EXPECT_EQ(line.options.command, (std::vector<std::string>{"dd", "-q"}));
}

TEST(CommandLine, FactsTakenAway) {
  const CommandLine line = parse_command_line({"--without=may_goto,cpu_v4", "a.kp"});
  EXPECT_EQ(line.action, Action::Session);
  EXPECT_EQ(line.options.without, (std::vector<std::string>{"may_goto", "cpu_v4"}));
  for (const char* wrong : {"--without=", "--without=may_goto,", "--without=may_go"}) {
    const CommandLine bad = parse_command_line({wrong, "a.kp"});
    EXPECT_EQ(bad.action, Action::Mistake) << wrong;
    EXPECT_NE(bad.mistake.find("--without takes facts of fetch_atomics, "), std::string::npos);
  }
}

TEST(CommandLine, OneLiner) {
  const CommandLine line = parse_command_line({"-e", "exit()", "1"});
  EXPECT_EQ(line.options.source_name, "-e");
  EXPECT_EQ(line.options.source_text, "exit()");
  EXPECT_EQ(line.options.args, (std::vector<std::string>{"-e", "1"}));
}

TEST(CommandLine, NegativeNumberIsAnArgumentOfAOneLiner) {
  const CommandLine line = parse_command_line({"-q", "-e", "print(arg[1])", "-5", "-q"});
  EXPECT_EQ(line.action, Action::Session);
  EXPECT_EQ(line.options.args, (std::vector<std::string>{"-e", "-5", "-q"}));
  EXPECT_EQ(parse_command_line({"-5", "a.kp"}).action, Action::Mistake);
  EXPECT_EQ(parse_command_line({"-e", "print(arg[1])", "-z"}).action, Action::Mistake);
}

TEST(CommandLine, StandardInputIsCalledStdin) {
  const CommandLine line = parse_command_line({"-"});
  EXPECT_EQ(line.script, "-");
  EXPECT_EQ(line.options.args[0], "stdin");
}

TEST(CommandLine, LongOptionsTakeEqualsOrABlank) {
  EXPECT_EQ(parse_command_line({"--table-size=7", "a"}).options.table_size, 7U);
  EXPECT_EQ(parse_command_line({"--table-size", "7", "a"}).options.table_size, 7U);
  EXPECT_EQ(parse_command_line({"--max-memory=64M", "a"}).options.max_memory_bytes, 64U << 20);
  EXPECT_EQ(parse_command_line({"--max-memory", "1048576", "a"}).options.max_memory_bytes,
            1U << 20);
  EXPECT_EQ(parse_command_line({"--max-memory=1024G", "a"}).options.max_memory_bytes, 1ULL << 40);
  for (const char* wrong : {"1048575", "1023K", "1025G", "M", "", "64m", "64 M", "-1", "1.5G",
                            "99999999999999999999"}) {
    EXPECT_EQ(parse_command_line({std::string("--max-memory=") + wrong, "a"}).action,
              Action::Mistake)
        << wrong;
  }
}

TEST(CommandLine, WhatIsGivenTwiceIsRefused) {
  EXPECT_EQ(parse_command_line({"-C", "0", "-C", "1", "a"}).mistake, "option '-C' is given twice");
  EXPECT_EQ(parse_command_line({"-o", "x", "-o", "y", "a"}).mistake, "option '-o' is given twice");
  EXPECT_NE(parse_command_line({"-p", "1", "-p", "2", "a"}).mistake.find("pid == 1 || pid == 2"),
            std::string::npos);
  EXPECT_EQ(parse_command_line({"-q", "-q", "a"}).action, Action::Session);
  EXPECT_EQ(parse_command_line({"--without=may_goto", "--without=iter_num", "a"}).options.without,
            (std::vector<std::string>{"may_goto", "iter_num"}));
}

TEST(CommandLine, AnOptionIsNoArgument) {
  EXPECT_EQ(parse_command_line({"-o", "-e", "print(1)"}).mistake,
            "option '-o' needs FILE, and '-e' is an option");
  EXPECT_EQ(parse_command_line({"--user=-e", "a"}).options.user, "-e");
}

TEST(CommandLine, AListTakesOneArgument) {
  EXPECT_EQ(parse_command_line({"-le", "a", "b"}).mistake,
            "a list takes one argument, not 'b' as well; quote a glob");
  EXPECT_EQ(parse_command_line({"-le", "-v"}).options.verbose, true);
}

TEST(CommandLine, UnknownOptionNamesTheNearest) {
  const CommandLine line = parse_command_line({"--explian", "a"});
  EXPECT_EQ(line.action, Action::Mistake);
  EXPECT_NE(line.mistake.find("--explain"), std::string::npos);
}

TEST(CommandLine, NamesOfFilesAreNotEmpty) {
  EXPECT_EQ(parse_command_line({""}).action, Action::Mistake);
  EXPECT_EQ(parse_command_line({"", "--", "true"}).action, Action::Mistake);
  EXPECT_EQ(parse_command_line({"-o", "", "a"}).action, Action::Mistake);
}

TEST(CommandLine, ShortOptionsAreNotJoined) {
  EXPECT_EQ(parse_command_line({"-qT", "a"}).action, Action::Mistake);
}

TEST(CommandLine, WhatIsNotThereYetSaysSo) {
  EXPECT_NE(parse_command_line({"--engine=perf", "a"}).mistake.find("not there yet"),
            std::string::npos);
}

TEST(CommandLine, WhomToTrace) {
  const CommandLine line =
      parse_command_line({"--follow", "--cgroup=a/b", "--user", "nobody", "a.kp", "--", "ls"});
  EXPECT_EQ(line.action, Action::Session);
  EXPECT_TRUE(line.options.follow);
  EXPECT_EQ(line.options.cgroup, "a/b");
  EXPECT_EQ(line.options.user, "nobody");
  EXPECT_EQ(parse_command_line({"--follow", "a.kp"}).action, Action::Mistake);
}

TEST(CommandLine, OneModeAtATime) {
  EXPECT_EQ(parse_command_line({"-d", "-d", "a"}).options.mode, session::Mode::DryRun);
  EXPECT_EQ(parse_command_line({"--dump=ssa", "--check", "a"}).mistake,
            "--dump=ssa and --check exclude each other: give one at a time");
}

TEST(CommandLine, BadArguments) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{},
                                             {"-e"},
                                             {"-p", "x", "a"},
                                             {"-p", "0", "a"},
                                             {"-C", "-1", "a"},
                                             {"--engine=x", "a"},
                                             {"--dump=x", "a"},
                                             {"a", "--"},
                                             {"--", "ls"},
                                             {"-p", "1", "a", "--", "ls"},
                                             {"-e", "a", "-e", "b"},
                                             {"--check=1", "a"},
                                             {"-b", "-d", "a"},
                                             {"--check", "--explain", "a"},
                                             {"--dump=ssa", "--dump=bpf", "a"},
                                             {"-i", "-d"},
                                             {"--table-size=0", "a"},
                                             {"--diagnostics=xml", "a"},
                                             {"--explain-code"},
                                             {"--placement=kernel", "a"}}) {
    EXPECT_EQ(parse_command_line(args).action, Action::Mistake);
    EXPECT_FALSE(parse_command_line(args).mistake.empty());
  }
}

TEST(CommandLine, InteractiveTakesNoScript) {
  const CommandLine line = parse_command_line({"-q", "-i"});
  EXPECT_EQ(line.action, Action::Session);
  EXPECT_EQ(line.options.mode, session::Mode::Interactive);
  EXPECT_EQ(line.options.args, (std::vector<std::string>{"-i"}));
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"-i", "a.kp"}, {"-i", "-e", "x"}, {"-e", "x", "-i"}, {"-i", "--", "ls"}})
    EXPECT_EQ(parse_command_line(args).action, Action::Mistake);
}

TEST(CommandLine, DiagnosticsAndTheirExplanation) {
  EXPECT_TRUE(parse_command_line({"--diagnostics=json", "a"}).options.json);
  EXPECT_FALSE(parse_command_line({"--diagnostics", "text", "a"}).options.json);
  const CommandLine line = parse_command_line({"--explain-code", "K0203"});
  EXPECT_EQ(line.action, Action::ExplainCode);
  EXPECT_EQ(line.code, "K0203");
}

TEST(CommandLine, ListTakesAGlobOrNone) {
  EXPECT_EQ(parse_command_line({"-le"}).action, Action::ListEvents);
  EXPECT_EQ(parse_command_line({"-le", "sched:*"}).list_glob, "sched:*");
}

}  // namespace
}  // namespace ktap::cli
