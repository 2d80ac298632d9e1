// The judge of the main chunk's language: the same programs through compiler, compiled file and VM
// and through the naive evaluator of naive/, in one process. re2 is judged in this way
// (re2/testing/tester.h, exhaustive_tester.h). Usage:
//   judge --enumerate N             every expression of at most N nodes; every call of the library
//                                   with at most N arguments
//   judge --random N [--seed S]     N random programs; one that differs is made smaller and printed
//   judge --program S               prints the program of that seed
//   judge --common N [--seed S] OUT N programs of the subset that Lua shares: OUT.lua runs them
//   all,
//                                   OUT.txt is what the VM prints (with_lua.py compares)
//   judge --check FILE…             judges scripts, golden cases too
//   judge --self-test               shows that a difference is found and made small
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "enumerate.h"
#include "generator.h"
#include "machines.h"

namespace ktap::differential {
namespace {

constexpr int kShown = 3;  ///< programs that differ and are printed
constexpr int kShrinkAttempts = 5000;

int finish(int64_t passed, int64_t failed) {
  std::printf("%lld passed, %lld failed\n", static_cast<long long>(passed),
              static_cast<long long>(failed));
  return failed == 0 ? 0 : 1;
}

int run_enumerate(int nodes) {
  EnumerateResult calls = enumerate_library(nodes, false);
  std::printf("%lld calls of the library, of which %lld are run-time errors; %lld differ\n",
              static_cast<long long>(calls.judged), static_cast<long long>(calls.failing),
              static_cast<long long>(calls.differing));
  EnumerateResult result = enumerate(nodes, false);
  std::printf(
      "%lld expressions of at most %d nodes, of which %lld are run-time errors; %lld differ\n",
      static_cast<long long>(result.judged), nodes, static_cast<long long>(result.failing),
      static_cast<long long>(result.differing));
  const int failed = result.modes_failed + calls.modes_failed;
  return finish(result.modes + calls.modes - failed, failed);
}

/// What is generated: aggregates only where this compiler has them.
GeneratorOptions all_options() {
  GeneratorOptions options;
  options.aggregates = Subject("var x = aggr()").compiles();
  if (!options.aggregates)
    std::fprintf(stderr, "without aggregates: the compiler does not have them\n");
  return options;
}

uint64_t program_seed(uint64_t seed, uint64_t number) { return seed * 1000003 + number; }

void show(uint64_t seed, Node program) {
  shrink(
      program,
      [](const Node& smaller) {
        return judge(render(smaller, Language::Ktap), nullptr) == Verdict::Differ;
      },
      kShrinkAttempts);
  std::string text = render(program, Language::Ktap);
  std::string report;
  judge(text, &report);
  std::printf("program %llu differs:\n%s\n%s\n", static_cast<unsigned long long>(seed),
              text.c_str(), report.c_str());
}

int run_random(int64_t count, uint64_t seed) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  const GeneratorOptions options = all_options();
  int64_t tally[4] = {};
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t own = program_seed(seed, static_cast<uint64_t>(i));
    Node program = random_program(own, options);
    std::string report;
    Verdict verdict = judge(render(program, Language::Ktap), &report);
    const int64_t times = ++tally[static_cast<size_t>(verdict)];
    if (verdict == Verdict::Differ && times <= kShown) show(own, program);
    if (verdict == Verdict::Refused && times <= 1)
      std::printf("program %llu is refused:\n%s", static_cast<unsigned long long>(own),
                  report.c_str());
  }
  std::printf(
      "%lld programs agree, %lld differ, %lld were refused by the compiler, %lld not judged\n",
      static_cast<long long>(tally[0]), static_cast<long long>(tally[1]),
      static_cast<long long>(tally[2]), static_cast<long long>(tally[3]));
  int64_t failed = tally[1];
  if (tally[0] * 2 < count) {
    std::printf("less than half of the programs were judged: the generator is at fault\n");
    ++failed;
  }
  return finish(tally[0], failed);
}

int run_common(int64_t count, uint64_t seed, const std::string& out) {
  std::ofstream lua(out + ".lua");
  std::ofstream expected(out + ".txt");
  lua << kLuaPrelude;
  GeneratorOptions options;
  options.common = true;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t own = program_seed(seed, static_cast<uint64_t>(i));
    Node program = random_program(own, options);
    Subject subject(render(program, Language::Ktap));
    if (!subject.compiles()) {
      std::printf("program %llu is refused:\n%s", static_cast<unsigned long long>(own),
                  subject.refusal().c_str());
      return 1;
    }
    if (!subject.run_naive().judged) continue;  // too long
    Run run = subject.run_vm();
    expected << "=== " << own << "\n"
             << run.output << "--- " << (run.end == "ended" ? "ended" : "error") << "\n";
    lua << "run(\"" << own << "\", [==[\n" << render(program, Language::Lua) << "\n]==])\n";
  }
  return lua.good() && expected.good() ? 0 : 1;
}

/// Where a script shows what only the VM promises: the order of pairs.
bool is_ours_alone(const std::string& path) {
  for (const char* name :
       {"/pairs_order.kp", "/pairs_unpacks_multi_keys.kp", "/pairs_while_removing.kp"}) {
    const std::string end = name;
    if (path.size() > end.size() && path.compare(path.size() - end.size(), end.size(), end) == 0)
      return true;
  }
  return false;
}

/// Judges scripts; of a golden case, the part before its expectation.
int run_check(const std::vector<std::string>& paths) {
  int64_t tally[4] = {};
  for (const std::string& path : paths) {
    if (is_ours_alone(path)) continue;
    std::ifstream file(path);
    std::stringstream whole;
    whole << file.rdbuf();
    const std::string text = whole.str();
    std::string report;
    Verdict verdict = judge(text.substr(0, text.find("\n#---\n")), &report);
    ++tally[static_cast<size_t>(verdict)];
    if (verdict == Verdict::Differ) std::printf("%s differs\n%s", path.c_str(), report.c_str());
    if (verdict == Verdict::Refused && paths.size() == 1) std::printf("%s", report.c_str());
  }
  std::printf("%lld scripts agree, %lld differ, %lld were refused, %lld not judged\n",
              static_cast<long long>(tally[0]), static_cast<long long>(tally[1]),
              static_cast<long long>(tally[2]), static_cast<long long>(tally[3]));
  return finish(tally[0], tally[1] + (tally[0] == 0 ? 1 : 0));
}

/// A program that holds `print(7` somewhere stands for one that differs.
int self_test() {
  int failed = 0;
  if (enumerate(1, true).modes_failed != 6 || enumerate_library(1, true).modes_failed != 1) {
    std::printf("a spoiled result is not found\n");
    ++failed;
  }
  Node program = random_program(1, {});
  program.kids.push_back(stmt("if ($0) {$1}", {expr("($0 && true)", {expr("true")}),
                                               block({stmt("print(1)"), stmt("print(7)")})}));
  const auto fails = [](const Node& node) {
    Subject subject(render(node, Language::Ktap));
    return subject.compiles() && subject.run_naive().output.find("7\n") != std::string::npos &&
           render(node, Language::Ktap).find("print(7)") != std::string::npos;
  };
  shrink(program, fails, kShrinkAttempts);
  if (render(program, Language::Ktap) != "print(7)\n") {
    std::printf("shrinking leaves:\n%s", render(program, Language::Ktap).c_str());
    ++failed;
  }
  // The order of pairs is nobody's promise: the naive evaluator goes by keys.
  if (judge("for (k in pairs({b = 1, a = 2})) { print(k) }", nullptr) != Verdict::Differ) {
    std::printf("another order of output is not found\n");
    ++failed;
  }
  if (random_program(5, {}).kids.size() != random_program(5, {}).kids.size() ||
      render(random_program(5, {}), Language::Ktap) !=
          render(random_program(5, {}), Language::Ktap)) {
    std::printf("one seed gives two programs\n");
    ++failed;
  }
  return finish(4 - failed, failed);
}

int main(const std::vector<std::string>& args) {
  const auto number = [&](size_t i) { return std::strtoull(args[i].c_str(), nullptr, 10); };
  uint64_t seed = std::random_device()();
  for (size_t i = 0; i + 1 < args.size(); ++i) {
    if (args[i] == "--seed") seed = number(i + 1);
  }
  const std::string what = args.empty() ? "" : args[0];
  if (what == "--self-test") return self_test();
  if (args.size() >= 2 && what == "--enumerate") return run_enumerate(static_cast<int>(number(1)));
  if (args.size() >= 2 && what == "--random")
    return run_random(static_cast<int64_t>(number(1)), seed);
  if (args.size() >= 3 && what == "--common")
    return run_common(static_cast<int64_t>(number(1)), seed, args.back());
  if (args.size() >= 2 && what == "--check") return run_check({args.begin() + 1, args.end()});
  if (args.size() == 2 && what == "--program") {
    std::printf("%s", render(random_program(number(1), all_options()), Language::Ktap).c_str());
    return 0;
  }
  std::printf("judge: see the head of judge.cc\n");
  return 2;
}

}  // namespace
}  // namespace ktap::differential

int main(int argc, char** argv) {
  return ktap::differential::main(std::vector<std::string>(argv + 1, argv + argc));
}
