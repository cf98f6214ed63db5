/* SPDX-License-Identifier: Apache-2.0 */
/* The only C++ of the library: toml++ reads, and what it read becomes the tree of JSON. */
extern "C" {
#include "json_tree.h"
#include "sluice/core/toml.h"
}

#include <cmath>
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

/* Wherever toml++ throws. */
struct auto_builder : sl_json_builder {
    auto_builder() : sl_json_builder{}
    {
    }
    auto_builder(const auto_builder &) = delete;
    auto_builder &operator=(const auto_builder &) = delete;
    ~auto_builder()
    {
        sl_json_builder_done(this);
    }
};

sl_span span_of(std::string_view text)
{
    return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

template <typename T> std::string print(const T &value)
{
    std::ostringstream out;
    out << value;
    return out.str();
}

void set_place(sl_json_builder *b, const toml::source_region &source)
{
    b->place = {source.begin.line, source.begin.column};
}

int build(sl_json_builder *b, const toml::node &node, sl_error *err);

int build_table(sl_json_builder *b, const toml::table &table, sl_error *err)
{
    int r = sl_json_build_open(b, SL_JSON_OBJECT, err);
    for (auto it = table.cbegin(); r == 0 && it != table.cend(); ++it) {
        set_place(b, it->first.source());
        r = sl_json_build_name(b, span_of(it->first.str()), err);
        if (r == 0)
            r = build(b, it->second, err);
    }
    if (r == 0)
        sl_json_build_close(b);
    return r;
}

int build_array(sl_json_builder *b, const toml::array &array, sl_error *err)
{
    int r = sl_json_build_open(b, SL_JSON_ARRAY, err);
    for (auto it = array.cbegin(); r == 0 && it != array.cend(); ++it) {
        set_place(b, it->source());
        r = build(b, *it, err);
    }
    if (r == 0)
        sl_json_build_close(b);
    return r;
}

/* JSON has no infinities: they become strings, as dates and times do. */
int build_float(sl_json_builder *b, const toml::value<double> &value, sl_error *err)
{
    const auto type = std::isfinite(value.get()) ? SL_JSON_NUMBER : SL_JSON_STRING;
    return sl_json_build_text(b, type, span_of(print(value)), err);
}

int build_leaf(sl_json_builder *b, const toml::node &node, sl_error *err)
{
    if (const auto *text = node.as_string())
        return sl_json_build_text(b, SL_JSON_STRING, span_of(text->get()), err);
    if (const auto *flag = node.as_boolean())
        return sl_json_build_bool(b, flag->get(), err);
    if (const auto *number = node.as_integer())
        return sl_json_build_text(b, SL_JSON_NUMBER, span_of(std::to_string(number->get())), err);
    if (const auto *real = node.as_floating_point())
        return build_float(b, *real, err);
    if (const auto *date = node.as_date())
        return sl_json_build_text(b, SL_JSON_STRING, span_of(print(date->get())), err);
    if (const auto *time = node.as_time())
        return sl_json_build_text(b, SL_JSON_STRING, span_of(print(time->get())), err);
    if (const auto *both = node.as_date_time())
        return sl_json_build_text(b, SL_JSON_STRING, span_of(print(both->get())), err);
    return sl_json_build_null(b, err); /* TOML has no other */
}

int build(sl_json_builder *b, const toml::node &node, sl_error *err)
{
    if (const auto *table = node.as_table())
        return build_table(b, *table, err);
    if (const auto *array = node.as_array())
        return build_array(b, *array, err);
    return build_leaf(b, node, err);
}

int parse(std::string_view text, const char *what, sl_json_doc **ret, sl_error *err)
{
    if (!depth_check{text}.is_shallow())
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: nested too deeply", what);
    const toml::table table = toml::parse(text);
    auto_builder b;
    /* The size is limit enough for the number of nodes. */
    int r = sl_json_builder_init(&b, 0, /* nodes_max= */ SL_TOML_MAX, err);
    b.place = {1, 1};
    if (r == 0)
        r = build_table(&b, table, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s", what);
    *ret = b.doc;
    b.doc = nullptr;
    return 0;
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
