// Which sanitizer the tests are built with.
#pragma once

#if defined(__has_feature)
#define WEFT_TEST_HAS_FEATURE(name) __has_feature(name)
#else
#define WEFT_TEST_HAS_FEATURE(name) 0
#endif

namespace weft::test {

#if defined(__SANITIZE_ADDRESS__) || WEFT_TEST_HAS_FEATURE(address_sanitizer)
inline constexpr bool under_asan = true;
#else
inline constexpr bool under_asan = false;
#endif
#if defined(__SANITIZE_THREAD__) || WEFT_TEST_HAS_FEATURE(thread_sanitizer)
inline constexpr bool under_tsan = true;
#else
inline constexpr bool under_tsan = false;
#endif

}  // namespace weft::test
