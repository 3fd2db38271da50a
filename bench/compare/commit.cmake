# Writes the header that tells which commit is built: run at each build, for a checkout changes
# without CMake being run again. The file is touched only when its content changes, so that nothing
# is compiled anew for it.
# cmake -D SOURCE=checkout -D HEADER=file [-D GIT=program] -P commit.cmake
set(commit "unknown")
# Without this a copy of the sources inside another project's checkout would name that one's commit.
if(GIT AND EXISTS "${SOURCE}/.git")
  # --dirty looks at the files: it must not lock out a git command of somebody else meanwhile.
  set(ENV{GIT_OPTIONAL_LOCKS} 0)
  execute_process(COMMAND "${GIT}" describe --always --dirty --tags
                  WORKING_DIRECTORY "${SOURCE}"
                  OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE
                  ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed AND described)
    set(commit "${described}")
  endif()
endif()
set(text "// Made at each build by commit.cmake.\n#define WEFT_COMPARE_COMMIT \"${commit}\"\n")
set(present "")
if(EXISTS "${HEADER}")
  file(READ "${HEADER}" present)
endif()
if(NOT present STREQUAL text)
  file(WRITE "${HEADER}" "${text}")
endif()
