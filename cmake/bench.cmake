# What the benchmarks without an operating system are made of: their firmware, and the payloads of the suite. Include
# after cmake/acpi.cmake.
file(MAKE_DIRECTORY "${ORIEL_GENERATED}/bench")
set(bench_dir "${CMAKE_SOURCE_DIR}/src/bench")
file(GLOB bench_payloads CONFIGURE_DEPENDS "${bench_dir}/payloads/*.asm")

function(oriel_bench_blob name source)
  add_custom_command(OUTPUT "${ORIEL_GENERATED}/${source}.bin"
    COMMAND "${NASM}" -f bin -Werror -I "${bench_dir}/" -o "${ORIEL_GENERATED}/${source}.bin" "${bench_dir}/${source}.asm"
    DEPENDS "${bench_dir}/${source}.asm" ${ARGN} VERBATIM)
  oriel_blob(${name} "${ORIEL_GENERATED}/${source}.bin" "${ORIEL_GENERATED}/bench/${source}_bin.h")
endfunction()
oriel_bench_blob(kBenchFirmware firmware)
oriel_bench_blob(kPayloads payloads ${bench_payloads})
