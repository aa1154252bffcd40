# Registers the tests of the installed package, the shared library and the use as a subfolder.
if(VITRAIL_INSTALL AND TARGET vitrail_codecs)
  # The same compiler, flags and libraries as here; already downloaded ones are not downloaded again.
  set(inherited)
  if(CMAKE_TOOLCHAIN_FILE)
    get_filename_component(CMAKE_TOOLCHAIN_FILE ${CMAKE_TOOLCHAIN_FILE} ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
  endif()
  foreach(name IN ITEMS CMAKE_TOOLCHAIN_FILE CMAKE_BUILD_TYPE CMAKE_CXX_COMPILER CMAKE_CXX_FLAGS CMAKE_PREFIX_PATH VITRAIL_ONEDNN
                        FETCHCONTENT_BASE_DIR)
    if(NOT "${${name}}" STREQUAL "")
      string(APPEND inherited "set(${name} [==[${${name}}]==] CACHE STRING \"\")\n")
    endif()
  endforeach()
  # Two of them compile the library again; what is tested here does not need it fast.
  string(APPEND inherited "set(CMAKE_CXX_FLAGS_RELEASE \"-O1 -DNDEBUG\" CACHE STRING \"\")\n")
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/package/inherited.cmake ${inherited})
  set(ways static shared subproject)
  if(CMAKE_CROSSCOMPILING)
    set(ways static)
  endif()
  foreach(how IN LISTS ways)
    add_test(NAME package_${how}
             COMMAND ${CMAKE_COMMAND} -D HOW=${how} -D SOURCE=${PROJECT_SOURCE_DIR} -D BUILD=${PROJECT_BINARY_DIR}
                     -D OUT=${CMAKE_CURRENT_BINARY_DIR}/package "-DEMULATOR=${CMAKE_CROSSCOMPILING_EMULATOR}" -P ${CMAKE_CURRENT_LIST_DIR}/test.cmake)
    set_tests_properties(package_${how} PROPERTIES LABELS package RESOURCE_LOCK package)
  endforeach()
endif()
