#include "report_page.hpp"

#include <map>
#include <string_view>

#include <nlohmann/json.hpp>

#include "source_texts.hpp"

namespace weft::compare {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view folder = "bench/compare/page/";

std::string text_of_page(std::string_view name) {
  return std::string{text_of(std::string{folder} + std::string{name})};
}

// In a script element a browser looks for its end tag before anything else.
std::string inside_script(std::string text) {
  for (std::size_t at = 0; (at = text.find("</", at)) != std::string::npos; at += 3) {
    text.replace(at, 2, "<\\/");
  }
  return text;
}

std::string inside_text(std::string_view text) {
  std::string escaped;
  for (const char each : text) {
    switch (each) {
    case '<': escaped += "&lt;"; break;
    case '&': escaped += "&amp;"; break;
    default: escaped += each;
    }
  }
  return escaped;
}

std::string sources_object(const options& settings) {
  json object = json::object();
  for (const server& each : settings.servers) {
    for (const auto* paths : {&each.sources, &each.shared}) {
      for (const std::string& path : *paths) object[path] = text_of(path);
    }
  }
  return object.dump();
}

// Replaces each {{name}} of `page` by what it stands for; what is put in is not looked at again.
std::string fill(std::string_view page, const std::map<std::string, std::string>& parts) {
  std::string result;
  for (;;) {
    const std::size_t begin = page.find("{{");
    const std::size_t end = page.find("}}", begin);
    result += page.substr(0, begin);
    if (begin == std::string_view::npos || end == std::string_view::npos) return result;
    result += parts.at(std::string{page.substr(begin + 2, end - begin - 2)});
    page.remove_prefix(end + 2);
  }
}

}  // namespace

std::string page_report(const options& settings, const std::string& report) {
  return fill(text_of_page("page.html"),
              {{"css", text_of_page("page.css")},
               {"method", text_of_page("method.html")},
               {"licence", inside_text(text_of_page("vendor/chart.LICENSE.md"))},
               {"report", inside_script(report)},
               {"texts", inside_script(sources_object(settings))},
               {"chart", inside_script(text_of_page("vendor/chart.umd.js"))},
               {"script", text_of_page("page.js")}});
}

}  // namespace weft::compare
