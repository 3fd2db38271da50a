# Fails unless REGEX is a regular expression for CMake, and so for ctest:
# cmake -D REGEX=... -P regex.cmake
string(REGEX MATCH "${REGEX}" found "any text")
