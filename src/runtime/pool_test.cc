// Unit test of runtime/pool.h: blocks do not overlap, keep what is in them when they grow, and
// serve again.
#include "runtime/pool.h"

#include <cstdint>
#include <cstring>
#include <set>

#include <gtest/gtest.h>

namespace ktap::runtime {
namespace {

TEST(Pool, BlocksOfAllSizesAreApart) {
  Pool pool;
  struct Block {
    unsigned char* memory;
    size_t bytes;
  };
  std::vector<Block> blocks;
  for (int round = 0; round < 200; ++round) {
    for (size_t bytes = 1; bytes <= 300; bytes += 13) {
      blocks.push_back({static_cast<unsigned char*>(pool.take(bytes)), bytes});
      EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks.back().memory) % 16, 0u);
      std::memset(blocks.back().memory, static_cast<int>(blocks.size() % 251), bytes);
    }
  }
  for (size_t n = 0; n < blocks.size(); ++n) {
    for (size_t at = 0; at < blocks[n].bytes; ++at) {
      ASSERT_EQ(blocks[n].memory[at], (n + 1) % 251);
    }
  }
  for (const Block& block : blocks) pool.give(block.memory, block.bytes);
}

TEST(Pool, WhatIsGivenBackServesAgain) {
  if (kPoolIsMalloc) GTEST_SKIP() << "under a sanitizer the pool is malloc";
  Pool pool;
  std::set<void*> first;
  for (int n = 0; n < 1000; ++n) first.insert(pool.take(48));
  for (void* memory : first) pool.give(memory, 48);
  for (int n = 0; n < 1000; ++n) EXPECT_EQ(first.count(pool.take(40)), 1u);  // the same class
}

TEST(Pool, ResizeKeepsTheContents) {
  Pool pool;
  size_t bytes = 16;
  auto* memory = static_cast<unsigned char*>(pool.resize(nullptr, 0, bytes));
  std::memset(memory, 7, bytes);
  for (size_t bigger : {32u, 64u, 256u, 272u, 4096u, 100000u}) {
    memory = static_cast<unsigned char*>(pool.resize(memory, bytes, bigger));
    for (size_t at = 0; at < 16; ++at) ASSERT_EQ(memory[at], 7);
    bytes = bigger;
  }
  memory = static_cast<unsigned char*>(pool.resize(memory, bytes, 16));
  for (size_t at = 0; at < 16; ++at) EXPECT_EQ(memory[at], 7);
  pool.give(memory, 16);
}

}  // namespace
}  // namespace ktap::runtime
