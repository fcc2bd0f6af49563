# Script: writes the bytes of INPUT as a C++ array NAME to OUTPUT.
file(READ "${INPUT}" bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE "${OUTPUT}"
  "// Generated. Do not edit.\n#pragma once\nnamespace oriel {\ninline constexpr unsigned char ${NAME}[] = {\n${bytes}\n};\n}\n")
