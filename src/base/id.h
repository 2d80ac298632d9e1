// Typed indices: a BlockId is not a ValueId. Each is a 32-bit index with one invalid value.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace ktap {

/// `struct BlockTag; using BlockId = Id<BlockTag>;`
template <class Tag>
struct Id {
  static constexpr uint32_t kInvalid = UINT32_MAX;

  uint32_t index = kInvalid;

  constexpr Id() = default;
  constexpr explicit Id(uint32_t i) : index(i) {}
  constexpr bool valid() const { return index != kInvalid; }
  friend constexpr auto operator<=>(Id, Id) = default;
};

}  // namespace ktap

template <class Tag>
struct std::hash<ktap::Id<Tag>> {
  size_t operator()(ktap::Id<Tag> id) const noexcept { return id.index; }
};
