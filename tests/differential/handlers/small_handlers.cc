// See small_handlers.h. A handler's table holds [1] = 5, its variable is 3 to begin with; the event
// comes twice, with the numbers 3 and 0 as its first argument. No whole table is printed: a kernel
// handler shows it as it is when user space reads the record.
#include "handlers/small_handlers.h"

#include <fmt/format.h>

#include <map>

namespace ktap::differential {
namespace {

constexpr size_t kHandlersPerScript = 40;

using Texts = std::vector<std::string>;

const Texts kLeaves = {"0",     "1",     "(-1)", "(-9223372036854775807 - 1)",
                       "nil",   "\"s\"", "true", "t%[1]",
                       "t%[9]", "x%",    "arg1"};
const Texts kUnary = {"(-$)", "(!$)", "(~$)", "type($)", "tostring($)"};
const Texts kBinary = {"+",  "-",  "*",  "/", "%%", "&", "|",  "^", "<<", ">>",
                       "..", "==", "!=", "<", "<=", ">", ">=", "~", "&&", "||"};
const Texts kUpdates = {"=", "+=", "-=", "*=", "/=", "%%=", "&=", "|=", "^=", "<<=", ">>=", "..="};

std::string fill(const std::string& form, const std::string& with) {
  const size_t at = form.find('$');
  return form.substr(0, at) + with + form.substr(at + 1);
}

class Enumerator {
 public:
  /// Expressions of exactly `n` nodes.
  const Texts& expressions(int n) {
    auto [at, is_new] = expressions_.try_emplace(n);
    if (!is_new) return at->second;
    Texts out;
    if (n == 1) out = kLeaves;
    if (n >= 2) {
      for (const std::string& inner : expressions(n - 1)) {
        for (const std::string& form : kUnary) out.push_back(fill(form, inner));
        out.push_back("t%[" + inner + "]");
      }
    }
    for (int left = 1; left <= n - 2; ++left) {
      for (const std::string& a : expressions(left)) {
        for (const std::string& b : expressions(n - 1 - left)) {
          for (const std::string& op : kBinary) out.push_back("(" + a + " " + op + " " + b + ")");
        }
      }
    }
    return expressions_[n] = std::move(out);
  }

  /// Statements of exactly `n` nodes.
  const Texts& statements(int n) {
    auto [at, is_new] = statements_.try_emplace(n);
    if (!is_new) return at->second;
    Texts out;
    if (n == 1) out = {"return", "x%++", "x%--", "t%[1]++", "t%[9]--"};
    for (const std::string& e : n >= 2 ? expressions(n - 1) : Texts()) one_expression(e, out);
    for (int first = 1; first <= n - 2; ++first) two_parts(first, n - 1 - first, out);
    return statements_[n] = std::move(out);
  }

  /// Sequences of exactly `n` nodes.
  const Texts& bodies(int n) {
    auto [at, is_new] = bodies_.try_emplace(n);
    if (!is_new) return at->second;
    Texts out = statements(n);
    for (int first = 1; first < n; ++first) {
      for (const std::string& a : statements(first)) {
        if (a == "return") continue;  // the last statement of its block
        for (const std::string& b : bodies(n - first)) out.push_back(a + "; " + b);
      }
    }
    return bodies_[n] = std::move(out);
  }

 private:
  static void one_expression(const std::string& e, Texts& out) {
    out.push_back("print(" + e + ")");
    for (const std::string& op : kUpdates) {
      out.push_back("x% " + op + " " + e);
      if (op == "=" || op == "+=") {
        out.push_back("t%[1] " + op + " " + e);
        out.push_back("t%[9] " + op + " " + e);
      }
    }
    out.push_back("t%[" + e + "] = 7");
    out.push_back("t%[" + e + "] += 7");
    out.push_back("t%[" + e + "] = nil");
    out.push_back("delete(t%, " + e + ")");
    out.push_back("delete(t%) print(len(t%), " + e + ")");
    out.push_back("local y = " + e);
    out.push_back("assert(" + e + ")");
    out.push_back("error(" + e + ")");
  }

  void two_parts(int first, int second, Texts& out) {
    for (const std::string& e : expressions(first)) {
      for (const std::string& s : bodies(second)) {
        out.push_back("if (" + e + ") { " + s + " }");
        out.push_back("if (" + e + ") { } else { " + s + " }");
        out.push_back("while (" + e + ") { " + s + "; break }");
        out.push_back("repeat { " + s + " } until (true || " + e + ")");
        out.push_back("for (i = 1, " + e + ") { " + s + "; if (i > 2) { break } }");
      }
      for (const std::string& v : expressions(second)) {
        out.push_back("t%[" + e + "] = " + v);
        out.push_back("t%[" + e + "] += " + v);
        out.push_back("print(" + e + ", " + v + ")");
      }
    }
  }

  std::map<int, Texts> expressions_;
  std::map<int, Texts> statements_;
  std::map<int, Texts> bodies_;
};

}  // namespace

std::string SmallScript::text() const {
  std::string out = "#on: enter close 3\n#on: enter close 0\n";
  std::string end;
  for (size_t i = 0; i < bodies.size(); ++i) {
    std::string body;
    for (size_t at = 0; at < bodies[i].size(); ++at) {
      if (bodies[i][at] != '%') {
        body += bodies[i][at];
      } else if (at + 1 < bodies[i].size() && bodies[i][at + 1] == '%') {
        body += bodies[i][at++];
      } else {
        body += std::to_string(i);
      }
    }
    out += fmt::format("var t{0} = {{5}}\nvar x{0} = 3\n", i);
    out += fmt::format("trace syscalls:sys_enter_close {{ {} }}\n", body);
    end += fmt::format("  print(x{0})\n  print(t{0})\n", i);
  }
  return out + "trace_end {\n" + end + "}\n";
}

int64_t enumerate_handlers(int nodes, const std::function<void(const SmallScript&)>& judge) {
  Enumerator enumerator;
  SmallScript script;
  int64_t count = 0;
  for (int n = 1; n <= nodes; ++n) {
    for (const std::string& body : enumerator.bodies(n)) {
      script.bodies.push_back(body);
      ++count;
      if (script.bodies.size() < kHandlersPerScript) continue;
      judge(script);
      script.bodies.clear();
    }
  }
  if (!script.bodies.empty()) judge(script);
  return count;
}

}  // namespace ktap::differential
