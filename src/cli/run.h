// `oriel run`, natively.
#pragma once

#include "cli/options.h"

namespace oriel::cli {

// Boots what `o` says and returns the exit status; what is wrong goes to stderr in one line.
int run(const Options& o);

}  // namespace oriel::cli
