// `oriel bench`, natively.
#pragma once

namespace oriel::cli {

// Measures what the arguments say and returns the exit status; what is wrong goes to stderr.
int bench(int argc, char** argv);

}  // namespace oriel::cli
