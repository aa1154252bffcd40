# Every library the project uses, in one place: the system's package first, else a release archive pinned by its hash.
option(VITRAIL_FETCH "Download the header libraries and Google Benchmark where the system has none" ON)
include(FetchContent)
if(POLICY CMP0135)  # extracted files get the time of extraction, so that a changed archive is rebuilt
  cmake_policy(SET CMP0135 NEW)
endif()

# vitrail_dependency(package target VERSIONS v… DEBIAN name URL … SHA256 … [HEADERS folder])
# VERSIONS: the oldest that works; several where packages accept only their own major version.
# HEADERS: where the archive of a header-only library has them; its own CMake project is then not run.
function(vitrail_dependency package target)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "DEBIAN;URL;SHA256;HEADERS" "VERSIONS")
  if(arg_HEADERS AND CMAKE_CROSSCOMPILING)  # headers that the building machine has serve every target
    set(CMAKE_LIBRARY_ARCHITECTURE ${CMAKE_HOST_SYSTEM_PROCESSOR}-linux-gnu)
    set(CMAKE_SIZEOF_VOID_P)
  endif()
  foreach(version IN LISTS arg_VERSIONS)
    if(NOT TARGET ${target})
      find_package(${package} ${version} CONFIG QUIET)
    endif()
  endforeach()
  if(TARGET ${target})
    return()
  endif()
  list(GET arg_VERSIONS -1 oldest)
  set(missing "${package} >= ${oldest} was not found (Debian, Ubuntu: ${arg_DEBIAN})")
  if(NOT VITRAIL_FETCH)
    message(FATAL_ERROR "${missing}. Install it, or let -DVITRAIL_FETCH=ON download it.")
  endif()
  message(STATUS "${missing}: using ${arg_URL}")
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  set(BENCHMARK_ENABLE_WERROR OFF)
  if(arg_HEADERS)
    set(own_project SOURCE_SUBDIR no-cmake-project)
  endif()
  FetchContent_Declare(${package} URL ${arg_URL} URL_HASH SHA256=${arg_SHA256} ${own_project})
  FetchContent_MakeAvailable(${package})
  if(arg_HEADERS)
    FetchContent_GetProperties(${package} SOURCE_DIR source_dir)
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    target_include_directories(${target} INTERFACE ${source_dir}/${arg_HEADERS})
  endif()
endfunction()

# Headers only: whoever links `target`, in this build or an installed one, never hears of `library`.
function(vitrail_use_headers target library)
  target_include_directories(${target} SYSTEM PRIVATE $<TARGET_PROPERTY:${library},INTERFACE_INCLUDE_DIRECTORIES>)
endfunction()

if(NOT TARGET Threads::Threads)
  find_package(Threads REQUIRED)
  set_target_properties(Threads::Threads PROPERTIES IMPORTED_GLOBAL TRUE)
endif()

vitrail_dependency(xsimd xsimd VERSIONS 14 13 12 11 10 9 8.1 DEBIAN libxsimd-dev HEADERS include
  URL https://github.com/xtensor-stack/xsimd/archive/refs/tags/13.2.0.tar.gz
  SHA256 edd8cd3d548c185adc70321c53c36df41abe64c1fe2c67bc6d93c3ecda82447a)

vitrail_dependency(nlohmann_json nlohmann_json::nlohmann_json VERSIONS 3.9 DEBIAN nlohmann-json3-dev HEADERS include
  URL https://github.com/nlohmann/json/archive/refs/tags/v3.11.3.tar.gz
  SHA256 0d8ef5af7f9794e3263480193c491549b2ba6cc74bb018906202ada498a79406)

if(VITRAIL_TOOLS)
  vitrail_dependency(CLI11 CLI11::CLI11 VERSIONS 2.1 DEBIAN libcli11-dev HEADERS include
    URL https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
    SHA256 f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a)
endif()

if(VITRAIL_CODECS)
  # Picture formats are optional: a file of a format that is missing is refused with a message.
  foreach(codec IN ITEMS JPEG PNG WebP)
    string(TOLOWER ${codec} name)
    string(TOUPPER ${codec} option)
    option(VITRAIL_${option} "Use lib${name}" ON)
    if(VITRAIL_${option})
      find_package(${codec} QUIET)
      if(NOT ${codec}_FOUND)
        message(STATUS "lib${name} was not found: ${codec} files will be refused (Debian, Ubuntu: lib${name}-dev)")
      endif()
    else()
      set(${codec}_FOUND FALSE)  # whatever a project around this one has found
    endif()
  endforeach()
endif()

if(VITRAIL_TESTS)
  vitrail_dependency(doctest doctest::doctest VERSIONS 2.4 DEBIAN doctest-dev HEADERS .
    URL https://github.com/doctest/doctest/archive/refs/tags/v2.4.11.tar.gz
    SHA256 632ed2c05a7f53fa961381497bf8069093f0d6628c5f26286161fbd32a560186)
endif()

if(VITRAIL_BENCH)
  vitrail_dependency(benchmark benchmark::benchmark VERSIONS 1.6 DEBIAN libbenchmark-dev
    URL https://github.com/google/benchmark/archive/refs/tags/v1.9.1.tar.gz
    SHA256 32131c08ee31eeff2c8968d7e874f3cb648034377dfc32a4c377fa8796d84981)
endif()

# Never downloaded: it takes a quarter of an hour to build, and everything runs without it.
if(VITRAIL_ONEDNN)
  find_package(oneDNN 2.6 QUIET)
  if(oneDNN_FOUND)
    message(STATUS "oneDNN ${oneDNN_VERSION}: ${oneDNN_LIBRARY}")
  else()
    message(STATUS "oneDNN 2.6 … 3.x was not found: the kernels of the project do all the work (Debian, Ubuntu: libdnnl-dev)")
  endif()
endif()
