# cmake -D HOW=static|shared|subproject -D SOURCE=… -D BUILD=… -D OUT=… -P test.cmake
#
# A stranger's project (the examples) is configured, built and run: against an install of this build (static), against an
# install of a shared build, or with Vitrail as a subfolder of it. EMULATOR: what runs the programs of a cross build.
cmake_minimum_required(VERSION 3.22)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\n${output}")
  endif()
endfunction()

set(out ${OUT}/${HOW})
set(configure ${CMAKE_COMMAND} -G Ninja -C ${OUT}/inherited.cmake)
if(HOW STREQUAL "shared")
  set(BUILD ${OUT}/shared-vitrail)  # kept between runs: building it takes a while
  run(${configure} -S ${SOURCE} -B ${BUILD} -DBUILD_SHARED_LIBS=ON -DVITRAIL_TESTS=OFF -DVITRAIL_BENCH=OFF
      -DVITRAIL_EXAMPLES=OFF)
  run(${CMAKE_COMMAND} --build ${BUILD} --target vitrail_codecs)
  execute_process(COMMAND nm -D --defined-only ${BUILD}/libvitrail.so OUTPUT_VARIABLE exported COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX REPLACE "[^\n]* _Z(TV|TI|TS)?NK?7vitrail[^\n]*\n" "" others "${exported}")
  if(NOT exported MATCHES "_ZN7vitrail" OR NOT others STREQUAL "")
    message(FATAL_ERROR "exports of a shared library: expected vitrail's, found also\n${others}")
  endif()
endif()
file(REMOVE_RECURSE ${out}/prefix ${out}/moved)
if(HOW STREQUAL "subproject")
  set(from -DVITRAIL_SUBPROJECT=${SOURCE})
else()
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${out}/prefix)
  file(RENAME ${out}/prefix ${out}/moved)  # a path of the build or the prefix in an installed file would be found out
  set(from -Dvitrail_ROOT=${out}/moved)
endif()
if(HOW STREQUAL "static")
  # Where a codec's library is missing, so is the component, and only whoever needs it minds.
  run(${configure} -S ${SOURCE}/tests/package -B ${out}/without -DWITHOUT_CODECS=ON -DCMAKE_DISABLE_FIND_PACKAGE_JPEG=ON
      -DCMAKE_DISABLE_FIND_PACKAGE_PNG=ON -DCMAKE_DISABLE_FIND_PACKAGE_WebP=ON ${from})
endif()
run(${configure} -S ${SOURCE}/tests/package -B ${out}/build ${from})
run(${CMAKE_COMMAND} --build ${out}/build)
run(${EMULATOR} ${out}/build/examples/camera ${SOURCE}/models/demo)
string(REPEAT "any" 4096 pixels)
file(WRITE ${out}/picture.ppm "P6 64 64 255\n${pixels}")  # read without libpng, too
run(${EMULATOR} ${out}/build/examples/classify ${SOURCE}/models/demo ${out}/picture.ppm)
