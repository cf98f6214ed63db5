/* SPDX-License-Identifier: Apache-2.0 */
/* The only C++ of the library: toml++ reads, and what it read goes through the JSON reader. */
extern "C" {
#include "sluice/core/toml.h"
}

#include <new>
#include <sstream>
#include <string>
#include <string_view>

#include <toml++/toml.h>

namespace
{

/* toml++ recurses over dotted keys and prints the tree recursively, without a limit of its own
 * on the former. */
constexpr size_t dots_max = 24;     /* dots in one key */
constexpr size_t brackets_max = 24; /* arrays and inline tables within one another */

/* Walks over TOML text outside of strings and comments, only to count. On text that toml++ would
 * refuse it may lose its way, but not before the place where toml++ stops. */
class depth_check
{
  public:
    explicit depth_check(std::string_view text) : rest(text)
    {
    }

    bool is_shallow()
    {
        while (!rest.empty()) {
            if (rest.front() == '"' || rest.front() == '\'')
                skip_string(rest.front());
            else if (rest.front() == '#')
                skip_comment();
            else if (!count(rest.front()))
                return false;
        }
        return true;
    }

  private:
    std::string_view rest;
    size_t dots = 0;
    size_t brackets = 0;

    void skip(size_t n)
    {
        rest.remove_prefix(n < rest.size() ? n : rest.size());
    }

    void skip_comment()
    {
        skip(rest.find('\n'));
    }

    void skip_string(char quote)
    {
        const std::string triple(3, quote);
        const bool is_long = rest.substr(0, 3) == triple;
        const bool has_escapes = quote == '"';
        skip(is_long ? 3 : 1);
        while (!rest.empty()) {
            if (has_escapes && rest.front() == '\\') {
                skip(2);
            } else if (is_long && rest.substr(0, 3) == triple) {
                skip(3);
                while (!rest.empty() && rest.front() == quote) /* """a"""" ends with one quote */
                    skip(1);
                return;
            } else if (!is_long && (rest.front() == quote || rest.front() == '\n')) {
                skip(1);
                return;
            } else {
                skip(1);
            }
        }
    }

    bool count(char c)
    {
        skip(1);
        if (c == '.')
            dots++;
        else if (c == '\n' || c == '=' || c == ',')
            dots = 0;
        else if (c == '[' || c == '{')
            brackets++;
        else if ((c == ']' || c == '}') && brackets > 0)
            brackets--;
        return dots <= dots_max && brackets <= brackets_max;
    }
};

std::string to_json(std::string_view text)
{
    std::ostringstream out;
    const auto flags = toml::json_formatter::default_flags & ~toml::format_flags::indentation;
    out << toml::json_formatter{toml::parse(text), flags};
    return out.str();
}

int parse(std::string_view text, const char *what, sl_json_doc **ret, sl_error *err)
{
    if (!depth_check{text}.is_shallow())
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: nested too deeply", what);
    std::string json = to_json(text);
    /* Escapes make JSON longer than the TOML it came from: at most six bytes for one. */
    const sl_json_limits limits = {8 * (size_t)SL_TOML_MAX, 0};
    const sl_span span = {reinterpret_cast<const uint8_t *>(json.data()), json.size()};
    const int r = sl_json_parse(span, what, &limits, ret, err);
    sl_wipe(json.data(), json.size()); /* configuration may hold tokens */
    return r;
}

} // namespace

int sl_toml_parse(struct sl_span text, const char *what, struct sl_json_doc **ret,
                  struct sl_error *err)
try {
    if (text.len > SL_TOML_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: %zu bytes, at most %d are read", what,
                            text.len, (int)SL_TOML_MAX);
    return parse({reinterpret_cast<const char *>(text.data), text.len}, what, ret, err);
} catch (const toml::parse_error &e) {
    const std::string_view why = e.description();
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: line %u: %.*s", what,
                        (unsigned)e.source().begin.line, (int)why.size(), why.data());
} catch (const std::bad_alloc &) {
    return sl_error_oom(err);
} catch (const std::exception &e) {
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: not readable as TOML: %s", what, e.what());
} catch (...) {
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: not readable as TOML", what);
}
