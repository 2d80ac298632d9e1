// Where a path ends.
#include "event/program_files.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace ktap::event
