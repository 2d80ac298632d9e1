// Users and the mount of cgroup v2, out of stored text.
#include "sys/users.h"

#include <gtest/gtest.h>

namespace ktap::sys {
namespace {

TEST(Users, NamesAndNumbers) {
  const auto users = parse_users(
      "root:x:0:0:root:/root:/bin/sh\n# no user\nbad:x:12x:0\n:x:1:1\n"
      "nobody:x:65534:65534::/:/bin/false");
  EXPECT_EQ(users, (std::map<std::string, uint32_t>{{"root", 0}, {"nobody", 65534}}));
}

TEST(Users, CgroupMount) {
  EXPECT_EQ(parse_cgroup_mount("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n"
                               "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n"),
            "/sys/fs/cgroup/unified");
  EXPECT_EQ(parse_cgroup_mount("proc /proc proc rw 0 0\n"), "");
}

}  // namespace
}  // namespace ktap::sys
