// What unit tests count and print: CHECK says where it failed and goes on.
#pragma once

#include <cstdio>

inline int g_passed = 0, g_failed = 0;
#define CHECK(cond)                                                 \
  do {                                                              \
    if (cond) {                                                     \
      g_passed++;                                                   \
    } else {                                                        \
      g_failed++;                                                   \
      std::printf("%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #cond); \
    }                                                               \
  } while (0)
