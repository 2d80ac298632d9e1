// Result<T>: the road for what the machine refuses (a system call, a missing kernel feature).
// It carries what was attempted in words; KTAP_TRY and KTAP_ASSIGN pass it up.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace ktap {

/// What went wrong, in words for the user: the attempt, the object, the reason, what to do.
struct Error {
  std::string message;
  int sys_errno = 0;  ///< 0 when no system call was involved
};

/// A value or an Error. Reading the wrong one is a KTAP_CHECK failure.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  T& value() & {
    KTAP_CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    KTAP_CHECK(ok());
    return std::get<0>(state_);
  }
  T value() && {
    KTAP_CHECK(ok());
    return std::move(std::get<0>(state_));
  }
  const Error& error() const {
    KTAP_CHECK(!ok());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  const Error& error() const {
    KTAP_CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace ktap

#define KTAP_CONCAT_INNER(a, b) a##b
#define KTAP_CONCAT(a, b) KTAP_CONCAT_INNER(a, b)

/// Returns the error of `expr` from the enclosing function, or goes on.
#define KTAP_TRY(expr)                                         \
  do {                                                         \
    auto ktap_try_result = (expr);                             \
    if (!ktap_try_result.ok()) return ktap_try_result.error(); \
  } while (false)

/// `KTAP_ASSIGN(auto fd, open_it());` — declares or assigns the value, or returns the error.
#define KTAP_ASSIGN(target, expr) \
  KTAP_ASSIGN_INNER(KTAP_CONCAT(ktap_result_, __LINE__), target, expr)
#define KTAP_ASSIGN_INNER(name, target, expr) \
  auto name = (expr);                         \
  if (!name.ok()) return name.error();        \
  target = std::move(name).value()
