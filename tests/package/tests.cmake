# Registers the tests of the installed package, the shared library and the use as a subfolder.
if(VITRAIL_INSTALL AND TARGET vitrail_codecs AND NOT CMAKE_CROSSCOMPILING)
  # The same compiler, flags and libraries as here; already downloaded ones are not downloaded again.
  set(inherited)
  foreach(name IN ITEMS CMAKE_BUILD_TYPE CMAKE_CXX_COMPILER CMAKE_CXX_FLAGS CMAKE_PREFIX_PATH VITRAIL_ONEDNN
                        FETCHCONTENT_BASE_DIR)
    string(APPEND inherited "set(${name} [==[${${name}}]==] CACHE STRING \"\")\n")
  endforeach()
  # Two of them compile the library again; what is tested here does not need it fast.
  string(APPEND inherited "set(CMAKE_CXX_FLAGS_RELEASE \"-O1 -DNDEBUG\" CACHE STRING \"\")\n")
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/package/inherited.cmake ${inherited})
  foreach(how IN ITEMS static shared subproject)
    add_test(NAME package_${how}
             COMMAND ${CMAKE_COMMAND} -D HOW=${how} -D SOURCE=${PROJECT_SOURCE_DIR} -D BUILD=${PROJECT_BINARY_DIR}
                     -D OUT=${CMAKE_CURRENT_BINARY_DIR}/package -P ${CMAKE_CURRENT_LIST_DIR}/test.cmake)
    set_tests_properties(package_${how} PROPERTIES LABELS package RESOURCE_LOCK package)
  endforeach()
endif()
