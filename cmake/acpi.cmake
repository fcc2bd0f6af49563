# Firmware parts that are assembled at build time and become byte arrays in generated headers: the ACPI DSDT
# (by iasl) and the option ROM that boots Linux (by nasm). Include after the target oriel_core exists.
find_program(IASL iasl REQUIRED)
find_program(NASM nasm REQUIRED)

set(ORIEL_GENERATED "${CMAKE_BINARY_DIR}/generated")
file(MAKE_DIRECTORY "${ORIEL_GENERATED}/machine")

function(oriel_blob name input header)
  add_custom_command(OUTPUT "${header}"
    COMMAND ${CMAKE_COMMAND} "-DINPUT=${input}" "-DOUTPUT=${header}" "-DNAME=${name}"
      -P "${CMAKE_SOURCE_DIR}/cmake/blob.cmake"
    DEPENDS "${input}" "${CMAKE_SOURCE_DIR}/cmake/blob.cmake" VERBATIM)
  target_sources(oriel_core PRIVATE "${header}")
endfunction()

# Warning 3168: Processor() is old, but it is what operating systems of the board's age look for.
set(dsdt "${CMAKE_SOURCE_DIR}/src/machine/acpi/dsdt.asl")
add_custom_command(OUTPUT "${ORIEL_GENERATED}/dsdt.aml"
  COMMAND "${IASL}" -ve -vw 3168 -p "${ORIEL_GENERATED}/dsdt" "${dsdt}"
  DEPENDS "${dsdt}" VERBATIM)
oriel_blob(kDsdtAml "${ORIEL_GENERATED}/dsdt.aml" "${ORIEL_GENERATED}/machine/dsdt_aml.h")

set(rom "${CMAKE_SOURCE_DIR}/src/machine/linuxboot_rom.asm")
add_custom_command(OUTPUT "${ORIEL_GENERATED}/linuxboot.rom"
  COMMAND "${NASM}" -f bin -Werror -o "${ORIEL_GENERATED}/linuxboot.rom" "${rom}"
  DEPENDS "${rom}" VERBATIM)
oriel_blob(kLinuxBootRom "${ORIEL_GENERATED}/linuxboot.rom" "${ORIEL_GENERATED}/machine/linuxboot_rom.h")

target_include_directories(oriel_core PRIVATE "${ORIEL_GENERATED}")
