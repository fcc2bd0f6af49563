// Recognising image formats by their magic numbers, and the raw image behind open_image().
#pragma once

#include "storage/block.h"

namespace oriel {

// The name of the container or compression that `store` holds, with what to do about it; null for anything
// else, which is taken as raw.
struct ForeignFormat {
  const char* name;
  const char* advice;
};
const ForeignFormat* detect_foreign_format(ByteStore& store);

}  // namespace oriel
