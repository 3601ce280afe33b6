# Writes page_files.cc, which has the files of the page in it, each with its media type and a digest as ETag:
#
#   cmake -DOUT=page_files.cc "-DFILES=/abs/index.html;/abs/page.js" -P embed_page.cmake
set(type_html "text/html; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_svg "image/svg+xml")

set(symbols "")
set(rows "")
set(index 0)
foreach(file ${FILES})
  get_filename_component(name "${file}" NAME)
  get_filename_component(extension "${file}" LAST_EXT)
  string(SUBSTRING "${extension}" 1 -1 extension)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "${file}: no media type is known for .${extension}; add it to embed_page.cmake")
  endif()
  file(SHA256 "${file}" digest)
  string(SUBSTRING "${digest}" 0 32 digest)
  set(path "/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  set(symbol "calserve_page_file_${index}")
  string(APPEND symbols
    "asm(\".section .rodata\\n\"\n"
    "    \"${symbol}: .incbin \\\"${file}\\\"\\n\"\n"
    "    \"${symbol}_end: .byte 0\\n\"\n"
    "    \".previous\\n\");\n"
    "extern \"C\" const char ${symbol}[], ${symbol}_end[];\n")
  string(APPEND rows
    "      {\"${path}\", \"${type_${extension}}\", \"\\\"${digest}\\\"\",\n"
    "       absl::string_view(${symbol}, static_cast<size_t>(${symbol}_end - ${symbol}))},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUT}"
"// Written by embed_page.cmake.
#include \"server/http/page_files.h\"

${symbols}
namespace calserve {

const PageFile* FindPageFile(absl::string_view path) {
  static const PageFile kFiles[] = {
${rows}  };
  for (const PageFile& file : kFiles) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

}  // namespace calserve
")
