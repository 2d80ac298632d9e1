// Where a path ends.
#include "event/program_files.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace ktap::event {
namespace {

std::string split(const std::string& text) {
  const size_t end = path_end(text);
  return end == std::string::npos ? "none" : text.substr(0, end) + " | " + text.substr(end + 1);
}

TEST(ProgramFiles, PathsEndAtTheColonBehindTheirLastSlash) {
  EXPECT_EQ(split("vfs_read"), "none");
  EXPECT_EQ(split("vfs_read a=+0(%di):string"), "none");
  EXPECT_EQ(split("libc.so.6:malloc"), "libc.so.6 | malloc");
  EXPECT_EQ(split("./a:f"), "./a | f");
  EXPECT_EQ(split("/tmp/a:b/prog:f+0x10%return"), "/tmp/a:b/prog | f+0x10%return");
  EXPECT_EQ(split("build/prog:ns::Class::method"), "build/prog | ns::Class::method");
  EXPECT_EQ(split("prog:ns::operator/"), "prog | ns::operator/");
  EXPECT_EQ(split("prog:f(a/b, c::d)"), "prog | f(a/b, c::d)");
  EXPECT_EQ(split("/bin/prog:f x=%di:b4@2/32 y=@a/b:u8"), "/bin/prog | f x=%di:b4@2/32 y=@a/b:u8");
  EXPECT_EQ(split("/bin/prog:provider:mark"), "/bin/prog | provider:mark");
  EXPECT_EQ(split(":f"), " | f");
}

TEST(ProgramFiles, PathsWithBlanksAndColonsAreThoseThatAreThere) {
  const auto split_where = [](const std::string& text, const std::set<std::string>& there) {
    const size_t end =
        path_end(text, [&](const std::string& path) { return there.count(path) != 0; });
    return end == std::string::npos ? "none" : text.substr(0, end) + " | " + text.substr(end + 1);
  };
  EXPECT_EQ(split_where("./a b:f", {"./a b"}), "./a b | f");
  EXPECT_EQ(split_where("./a b:f", {}), "none");
  EXPECT_EQ(split_where("./c:d:f", {"./c:d"}), "./c:d | f");
  EXPECT_EQ(split_where("./c:d:f", {"./c", "./c:d"}), "./c:d | f") << "no function is d:f";
  EXPECT_EQ(split_where("./c:d:f", {"./c"}), "./c | d:f") << "a provider's marker";
  EXPECT_EQ(split_where("./c:d::f", {"./c", "./c:d"}), "./c | d::f") << "a name of C++";
  EXPECT_EQ(split_where("/x y/a:b:f+4 v=+0(%di):s8", {"/x y/a:b"}), "/x y/a:b | f+4 v=+0(%di):s8");
  EXPECT_EQ(split_where("app:ns::operator/", {"app:ns"}), "app | ns::operator/") << "a bare name";
  EXPECT_EQ(split_where("./app:ns::f", {}), "./app | ns::f");
}

}  // namespace
}  // namespace ktap::event
