# Finds oneDNN 2.6 … 3.x as the target DNNL::dnnl.
# Not by its own dnnl-config.cmake: Debian 12's demands OpenCL's headers, which nothing here uses.
find_path(oneDNN_INCLUDE_DIR dnnl.hpp)
find_library(oneDNN_LIBRARY dnnl)
mark_as_advanced(oneDNN_INCLUDE_DIR oneDNN_LIBRARY)

set(oneDNN_VERSION)
foreach(file IN ITEMS dnnl_version.h oneapi/dnnl/dnnl_version.h)
  if(oneDNN_INCLUDE_DIR AND EXISTS ${oneDNN_INCLUDE_DIR}/${file})
    file(STRINGS ${oneDNN_INCLUDE_DIR}/${file} lines REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
    string(REGEX REPLACE "[^0-9;]" "" numbers "${lines}")
    list(JOIN numbers "." oneDNN_VERSION)
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(oneDNN REQUIRED_VARS oneDNN_LIBRARY oneDNN_INCLUDE_DIR VERSION_VAR oneDNN_VERSION)

if(oneDNN_FOUND AND NOT TARGET DNNL::dnnl)
  add_library(DNNL::dnnl UNKNOWN IMPORTED GLOBAL)
  set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION ${oneDNN_LIBRARY}
                                              INTERFACE_INCLUDE_DIRECTORIES ${oneDNN_INCLUDE_DIR})
  if(oneDNN_LIBRARY MATCHES "\\.a$")
    find_package(OpenMP REQUIRED COMPONENTS CXX)
    target_link_libraries(DNNL::dnnl INTERFACE OpenMP::OpenMP_CXX ${CMAKE_DL_LIBS})
  endif()
endif()
